"""The matrix module x CPython: which file each interpreter would import, and where it finds none."""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from barrow_wheel.facts.cpython import (
    FIRST_SUPPORTED_FREE_THREADED_MINOR,
    CPython,
    ExtensionName,
    covered,
    extension_name,
    is_python_symbol,
    stable_since,
)
from barrow_wheel.facts.manylinux import machine_of_platform
from barrow_wheel.facts.torch_abi import torch_use
from barrow_wheel.findings import Finding
from barrow_wheel.readers.elf import MACHINES
from barrow_wheel.readers.wheel import Binary, Wheel
from barrow_wheel.rules import finding

_FREE_THREADED_CLASSIFIER = "Programming Language :: Python :: Free Threading"


class Loader(enum.Enum):
    """How a file gets into the process."""

    IMPORT = "import"
    TORCH = "torch.ops"
    LIBRARY = "ctypes / linked"
    PROGRAM = "program"


class Cell(enum.Enum):
    """What one CPython gets for one module."""

    OK = "ok"
    ABI3 = "abi3"
    ANY = "any"
    PURE = "python"
    RISK = "risk"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Module:
    """One row: a dotted module name (a path for libraries), the files behind it, and its cell for each CPython."""

    name: str
    loader: Loader
    files: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows and columns. `pythons` are the CPythons on which an installer would put the wheel."""

    pythons: tuple[CPython, ...]
    modules: tuple[Module, ...]


def unresolved_python_symbols(wheel: Wheel, binary: Binary) -> frozenset[str]:
    """Symbols that CPython has to provide: those that no file of the wheel defines itself."""
    assert binary.elf is not None
    own = frozenset().union(*(b.elf.python_exports for b in wheel.binaries if b.elf is not None))
    return frozenset(s for s in binary.elf.imports if is_python_symbol(s) and s not in own)


def unstable_symbols(wheel: Wheel, binary: Binary) -> tuple[str, ...]:
    return tuple(sorted(s for s in unresolved_python_symbols(wheel, binary) if stable_since(s) is None))


def initialiser(binary: Binary, stem: str) -> bool:
    """Whether the file is an importable module of this name, whatever its suffix says."""
    assert binary.elf is not None
    return any(f"{prefix}{stem}" in binary.elf.python_exports for prefix in ("PyInit_", "PyModExport_"))


def loader_of(binary: Binary) -> Loader:
    """How this file is loaded; an import needs PyInit_ of the file's own name, its SOABI suffix proves nothing."""
    assert binary.elf is not None
    name = extension_name(binary.path.rpartition("/")[2])
    if name is not None and initialiser(binary, name.stem):
        return Loader.IMPORT
    if binary.elf.executable and not binary.path.endswith(".so"):
        return Loader.PROGRAM
    return Loader.TORCH if torch_use(binary.elf.imports, binary.elf.needed).registers_operators else Loader.LIBRARY


def installable_pythons(wheel: Wheel) -> tuple[CPython, ...]:
    """The CPythons that both Requires-Python and the tags admit."""
    return tuple(
        python for python in covered(wheel.metadata.requires_python) if any(python.accepts(tag) for tag in wheel.tags)
    )


def build_matrix(wheel: Wheel) -> Matrix:
    importable: dict[str, list[tuple[ExtensionName, str, Binary | None]]] = defaultdict(list)
    others: list[Module] = []
    pythons = installable_pythons(wheel)
    for binary in wheel.binaries:
        if binary.elf is None or ".so" not in binary.path.rpartition("/")[2]:
            continue
        loader = loader_of(binary)
        if loader is Loader.IMPORT:
            name = extension_name(binary.path.rpartition("/")[2])
            assert name is not None
            importable[_dotted(wheel, binary.path, name.stem)].append((name, binary.path, binary))
        elif not _is_vendored(binary.path):
            others.append(Module(binary.path, loader, (binary.path,), (Cell.ANY,) * len(pythons)))
    for path, _ in wheel.foreign:
        name = extension_name(path.rpartition("/")[2])
        # Without symbols a suffix of CPython's own is the only sign of a module.
        if name is not None and (name.build is not None or name.abi3 or name.windows):
            importable[_dotted(wheel, path, name.stem)].append((name, path, None))
    if not any(len(files) for files in importable.values()):
        pythons_shown = tuple(p for p in pythons if not p.free_threaded)
        others = [Module(m.name, m.loader, m.files, (Cell.ANY,) * len(pythons_shown)) for m in others]
        return Matrix(pythons_shown, tuple(others))
    rows = [
        Module(
            module,
            Loader.IMPORT,
            tuple(sorted(path for _, path, _ in files)),
            tuple(_cell(wheel, python, module, files) for python in pythons),
        )
        for module, files in sorted(importable.items())
        if any(not name.foreign for name, _, _ in files)
    ]
    return Matrix(pythons, tuple(rows + others))


def _dotted(wheel: Wheel, path: str, stem: str) -> str:
    folder = path.rpartition("/")[0]
    # Wheels put platform files of the root below NAME.data/platlib.
    folder = re.sub(r"^[^/]+\.data/(?:plat|pure)lib/?", "", folder)
    return ".".join([*folder.split("/"), stem]) if folder else stem


def _is_vendored(path: str) -> bool:
    """Libraries that auditwheel and its like have grafted: they are linked, nobody loads them by name."""
    return re.search(r"(?:^|/)[^/]+\.libs/|-[0-9a-f]{8}\.so", path) is not None


def _cell(wheel: Wheel, python: CPython, module: str, files: list[tuple[ExtensionName, str, Binary | None]]) -> Cell:
    usable = sorted((entry for entry in files if entry[0].loads_on(python)), key=lambda entry: entry[0].rank)
    if not usable:
        return Cell.PURE if _has_python_source(wheel, files[0][1], files[0][0].stem) else Cell.MISSING
    name, _, binary = usable[0]
    if name.build is not None:
        return Cell.OK
    if binary is not None and not _bound_by_tag(wheel, python):
        symbols = unresolved_python_symbols(wheel, binary)
        since = [stable_since(symbol) for symbol in symbols]
        if any(minor is None or minor > python.minor for minor in since):
            return Cell.RISK
    return Cell.ABI3 if name.abi3 else Cell.OK


def _bound_by_tag(wheel: Wheel, python: CPython) -> bool:
    """Whether the wheel is for this one CPython, so that a bare suffix is as good as an exact one."""
    return all(tag.abi.startswith(f"cp3{python.minor}") for tag in wheel.tags if python.accepts(tag))


def _has_python_source(wheel: Wheel, path: str, stem: str) -> bool:
    folder = path.rpartition("/")[0]
    base = f"{folder}/{stem}" if folder else stem
    return f"{base}.py" in wheel.paths or f"{base}/__init__.py" in wheel.paths


def check_matrix(wheel: Wheel) -> Iterator[Finding]:
    matrix = build_matrix(wheel)
    claims_free_threaded = any(c.startswith(_FREE_THREADED_CLASSIFIER) for c in wheel.metadata.classifiers) or any(
        tag.abi.endswith("t") and tag.abi.startswith("cp") for tag in wheel.tags
    )
    for module in matrix.modules:
        missing = [python for python, cell in zip(matrix.pythons, module.cells, strict=True) if cell is Cell.MISSING]
        usual = [p for p in missing if not p.free_threaded]
        threaded = [p for p in missing if p.free_threaded]
        if claims_free_threaded:
            usual = [p for p in missing if not p.free_threaded or p.minor >= FIRST_SUPPORTED_FREE_THREADED_MINOR]
            threaded = [p for p in missing if p not in usual]
        if usual:
            yield finding(
                "matrix-missing-cell",
                wheel.name,
                module.files[0],
                f"{module.name} cannot be imported on CPython {_list(usual)}",
                evidence=(*_file_evidence(module.files), *_way_out(wheel, module)),
            )
        if threaded:
            yield finding(
                "matrix-missing-free-threaded",
                wheel.name,
                module.files[0],
                f"{module.name} cannot be imported on free-threaded CPython {_list(threaded)}",
                evidence=_file_evidence(module.files),
            )
    yield from _unversioned(wheel, matrix)
    yield from _wrong_machine(wheel, matrix)
    for path, kind in wheel.foreign[:1]:
        count = len(wheel.foreign)
        yield finding(
            "binary-not-read", wheel.name, path, f"{count} {kind} file{'s' * (count > 1)} judged by name only"
        )


def _list(pythons: Iterable[CPython]) -> str:
    return ", ".join(str(python) for python in pythons)


def _file_evidence(files: tuple[str, ...]) -> tuple[str, ...]:
    return ("files: " + ", ".join(path.rpartition("/")[2] for path in files),)


def _way_out(wheel: Wheel, module: Module) -> tuple[str, ...]:
    """Whether renaming the file to .abi3.so would do: people try that first."""
    for binary in wheel.binaries:
        if binary.path == module.files[0] and binary.elf is not None:
            unstable = unstable_symbols(wheel, binary)
            if unstable:
                return (f"not abi3, uses {len(unstable)} symbols outside of it: {', '.join(unstable)}",)
            return ("uses only the stable ABI: building it as .abi3.so would fill the row",)
    return ()


def _unversioned(wheel: Wheel, matrix: Matrix) -> Iterator[Finding]:
    imported = {path for module in matrix.modules if module.loader is Loader.IMPORT for path in module.files}
    for binary in wheel.binaries:
        name = extension_name(binary.path.rpartition("/")[2])
        if binary.path not in imported or name is None or name.build is not None or name.abi3:
            continue
        if any(tag.abi != "none" for tag in wheel.tags):
            continue
        unstable = unstable_symbols(wheel, binary)
        if unstable:
            yield finding(
                "matrix-unversioned-module",
                wheel.name,
                binary.path,
                f"fits one CPython only, but tag and suffix offer it to all; {len(unstable)} symbols are not stable",
                evidence=unstable[:20],
            )


def _wrong_machine(wheel: Wheel, matrix: Matrix) -> Iterator[Finding]:
    claimed = {machine_of_platform(tag.platform) for tag in wheel.tags} - {""}
    imported = {path for module in matrix.modules if module.loader is Loader.IMPORT for path in module.files}
    for binary in wheel.binaries:
        if not claimed or binary.path not in imported or binary.elf is None:
            continue
        own = MACHINES.get(binary.elf.machine, (f"machine {binary.elf.machine}",))
        if not claimed.intersection(own):
            yield finding(
                "matrix-wrong-machine",
                wheel.name,
                binary.path,
                f"is for {own[0]}, the wheel for {', '.join(sorted(claimed))}",
                evidence=(f"ELF e_machine {binary.elf.machine}",),
            )
