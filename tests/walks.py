"""The kernels' walks over tiles as programs of the host."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from cxx import compiler

TESTS = Path(__file__).resolve().parent


def walk_program(folder: Path, source: str, tiles: Iterable[tuple[int, ...]], *flags: str) -> Path:
    """Compile this file of tests/ for kernels with such tiles, the arguments of its template `walk`."""
    if (found := compiler()) is None:
        pytest.skip("compiling the walk needs a C++ compiler")
    target = folder / "walk"
    numbers = [", ".join(map(str, tile)) for tile in tiles]
    walks = ", ".join(f"{{{tile}, walk<{tile}>}}" for tile in numbers)
    always = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{TESTS.parent / 'kernels'}", f"-DWALKS={walks}"]
    subprocess.run([found, *always, *flags, "-o", str(target), str(TESTS / source)], check=True)
    return target
