"""`python -m barrow_wheel.cmake`: what BarrowWheelConfig.cmake asks, answered as one JSON object.

Not for people: `barrow-wheel pythons` and `build-ext` are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from barrow_wheel.build.plan import PLAIN_STANDARD
from barrow_wheel.build.toolchain import Torch, cuda_include, environment, find_pybind11, find_torch
from barrow_wheel.errors import BarrowWheelError
from barrow_wheel.pythons import resolve, resolve_all


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m barrow_wheel.cmake")
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--requires")
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--pybind11", action="store_true")
    options = parser.parse_args(arguments)
    try:
        interpreters = resolve_all(options.requires) if options.requires else resolve(options.python)
        torch = find_torch() if options.torch else None
        includes = [find_pybind11()] if options.pybind11 else []
    except BarrowWheelError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    libraries: list[str] = []
    if torch is not None:
        includes += [*torch.includes, *cuda_include(environment())]
        libraries = [str(torch.library_folder / f"lib{name}.so") for name in torch.libraries]
    answer = {
        "pythons": [
            {"python": str(one.python), "ext_suffix": one.ext_suffix, "include": one.include.as_posix()}
            for one in interpreters
        ],
        "includes": [path.as_posix() for path in includes],
        "flags": ["-DTORCH_API_INCLUDE_EXTENSION_H", *torch.cxx_flags] if torch is not None else [],
        "libraries": libraries,
        "standard": str(Torch.STANDARD if options.torch else PLAIN_STANDARD),
    }
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
