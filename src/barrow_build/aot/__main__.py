"""What CMake calls: `configure` answers what the environment asks for, `build` makes the kernels and their table."""

import argparse
import os
import sys
from pathlib import Path

from barrow_build.aot.environment import BuildError, Settings
from barrow_build.aot.kernel import Compiled
from barrow_build.aot.pack import manifest, pack
from barrow_build.aot.precompiled import MANIFEST, PACK, unpack
from barrow_build.aot.table import table
from barrow_build.aot.torch_headers import torch_folder
from barrow_build.config import GemmSpec, catalogue, tuning

_PACKAGE = Path(__file__).parents[1]


def configure(args: argparse.Namespace) -> None:
    """Write the variables that the CMake project needs to `args.out`/settings.cmake."""
    settings = Settings.from_environment(os.environ)
    variables = {"BARROW_ARCHS": ";".join(settings.archs), "BARROW_JOBS": str(settings.jobs)}
    if settings.precompiled:
        folder = args.out / "precompiled"
        taken = unpack(settings.precompiled, args.version, folder)
        print(f"nothing is compiled: {', '.join(taken)} are taken from {settings.precompiled}")
        variables["BARROW_PRECOMPILED"] = ";".join(str(folder / name) for name in taken)
    else:
        variables["BARROW_TORCH"] = str(torch_folder())
        print(f"kernels for: {', '.join(settings.archs) or 'none (cpu)'}; jobs: {settings.jobs}")
    lines = [f"set({name} [==[{value}]==])\n" for name, value in variables.items()]
    (args.out / "settings.cmake").write_text("".join(lines))


def build(args: argparse.Namespace) -> None:
    """Write kernels.pack, manifest.json, catalogue.cpp and their depfile to `args.out`."""
    specs = [spec for arch in args.archs.split(",") for spec in catalogue(arch)]
    compiled = Compiled()
    if specs:
        # Imported here, because a build without kernels needs no NVRTC.
        from barrow_build.aot.compile import compile_kernels

        compiled = compile_kernels(specs, args.sources, args.cache, args.jobs)
    content, placed = pack(compiled.kernels)
    _write(args.out / PACK, content)
    _write(args.out / MANIFEST, manifest(placed, compiled.toolchain).encode())
    gemms = [spec for spec in specs if isinstance(spec, GemmSpec)]
    # A build without kernels has no choices either.
    tuned = tuning.load(tuning.FOLDER, gemms) if gemms else ()
    _write(args.out / "catalogue.cpp", table(placed, len(content), tuned).encode())
    # The folder stands for tables that are added or removed, and its parent for the folder.
    watched = tuning.FOLDER if tuning.FOLDER.is_dir() else tuning.FOLDER.parent
    tables = [watched, *sorted(tuning.FOLDER.glob("*.json"))]
    read = [*compiled.inputs, *sorted(_PACKAGE.rglob("*.py")), *tables]
    (args.out / "kernels.d").write_text(f"{PACK}: " + " ".join(str(path).replace(" ", "\\ ") for path in read) + "\n")


def _write(path: Path, content: bytes) -> None:
    # The same content keeps its time stamp, so that nothing after it is made anew.
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(prog="barrow_build.aot", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("configure")
    command.add_argument("--version", required=True)
    command.set_defaults(run=configure)
    command.add_argument("--out", type=Path, required=True)
    command = commands.add_parser("build")
    command.add_argument("--archs", required=True, help="separated by commas; empty for a build without kernels")
    command.add_argument("--sources", type=Path, required=True)
    command.add_argument("--cache", type=Path, required=True)
    command.add_argument("--jobs", type=int, required=True)
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=build)
    args = parser.parse_args()
    try:
        args.run(args)
    except (BuildError, tuning.TuningError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
