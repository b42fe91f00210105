"""The kernels' walks over tiles as programs of the host."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from cxx import compiler

TESTS = Path(__file__).resolve().parent


def host_program(folder: Path, source: str, *flags: str) -> Path:
    """Compile this file of tests/, which includes headers of kernels."""
    if (found := compiler()) is None:
        pytest.skip("compiling the walk needs a C++ compiler")
    target = folder / Path(source).stem
    always = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{TESTS.parent / 'kernels'}"]
    subprocess.run([found, *always, *flags, "-o", str(target), str(TESTS / source)], check=True)
    return target


def walk_program(folder: Path, source: str, tiles: Iterable[tuple[int, ...]], *flags: str) -> Path:
    """The same for kernels with such tiles, the arguments of its template `walk`."""
    numbers = [", ".join(map(str, tile)) for tile in tiles]
    walks = ", ".join(f"{{{tile}, walk<{tile}>}}" for tile in numbers)
    return host_program(folder, source, f"-DWALKS={walks}", *flags)
