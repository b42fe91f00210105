"""Writes src/barrow_wheel/facts/torch_shim.json: since which torch each function of the stable C shim exists.

    python tools/generate_torch_shim.py 2.9=DIR 2.10=DIR ... 2.13=DIR

Each DIR is the `torch/include` folder of that version's wheel, oldest first. A function's version is the first whose
headers declare it: that is when the library exports it, while the TORCH_FEATURE_VERSION guard only says what a source
may target. Functions already in the oldest version are its baseline: "this old or older", which is not "unknown".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from barrow_wheel.facts.torch_abi import SHIM_JSON, declared_shim_functions


def main(arguments: list[str]) -> int:
    if not arguments or not all("=" in argument for argument in arguments):
        sys.stderr.write(__doc__ or "")
        return 2
    since: dict[str, str] = {}
    versions = []
    for argument in arguments:
        version, _, folder = argument.partition("=")
        versions.append(version)
        for name in declared_shim_functions(Path(folder)):
            since.setdefault(name, version)
    functions = {version: sorted(n for n, v in since.items() if v == version) for version in versions}
    SHIM_JSON.write_text(
        json.dumps({"baseline": versions[0], "newest": versions[-1], "functions": functions}, indent=0) + "\n"
    )
    print({version: len(names) for version, names in functions.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
