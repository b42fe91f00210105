"""The matrix module x CPython: which file each interpreter would import, and where it finds none."""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from barrow_wheel.facts.cpython import (
    FIRST_SUPPORTED_FREE_THREADED_MINOR,
    OLDEST_MINOR,
    CPython,
    ExtensionName,
    covered,
    extension_name,
    is_python_symbol,
    stable_since,
    tag_minor,
)
from barrow_wheel.facts.manylinux import machine_of_platform
from barrow_wheel.facts.torch_abi import torch_use
from barrow_wheel.findings import Finding, Severity
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
    """Symbols that CPython has to provide: neither the file nor what it links within the wheel defines them."""
    assert binary.elf is not None
    libraries = {
        name: b.elf for b in wheel.binaries if b.elf is not None for name in (b.elf.soname, b.path.rpartition("/")[2])
    }
    own = set(binary.elf.python_exports)
    seen: set[str] = set()
    pending = list(binary.elf.needed)
    while pending:
        soname = pending.pop()
        if soname in libraries and soname not in seen:
            seen.add(soname)
            own |= libraries[soname].python_exports
            pending += libraries[soname].needed
    return frozenset(s for s in binary.elf.imports if is_python_symbol(s) and s not in own)


def unstable_symbols(wheel: Wheel, binary: Binary) -> tuple[str, ...]:
    return tuple(sorted(s for s in unresolved_python_symbols(wheel, binary) if stable_since(s) is None))


def initialiser(binary: Binary, stem: str) -> bool:
    """Whether the file is an importable module of this name, whatever its suffix says."""
    assert binary.elf is not None
    # Names beyond ASCII have a form of their own (PEP 489).
    spelt = f"U_{stem.encode('punycode').decode('ascii').replace('-', '_')}" if not stem.isascii() else f"_{stem}"
    return any(f"{prefix}{spelt}" in binary.elf.python_exports for prefix in ("PyInit", "PyModExport"))


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
    minors = (tag_minor(tag) for tag in wheel.tags if tag.abi.startswith("cp3"))
    pythons = covered(wheel.metadata.requires_python, named=[minor for minor in minors if minor is not None])
    return tuple(python for python in pythons if any(python.accepts(tag) for tag in wheel.tags))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file that could be a module. `binary` is None where only the name is known (PE, Mach-O).

    `fits` says whether the platform of the wheel loads such files at all.
    """

    name: ExtensionName
    path: str
    binary: Binary | None
    fits: bool


def _importable(wheel: Wheel) -> dict[str, list[_Candidate]]:
    """The files behind each module name."""
    modules: dict[str, list[_Candidate]] = defaultdict(list)
    for binary in _shared_objects(wheel):
        name = extension_name(binary.path.rpartition("/")[2])
        if name is not None and loader_of(binary) is Loader.IMPORT:
            modules[_dotted(binary.path, name.stem)].append(
                _Candidate(name, binary.path, binary, any(name.fits(tag.platform) for tag in wheel.tags))
            )
    for path, _ in wheel.foreign:
        name = extension_name(path.rpartition("/")[2])
        # Without symbols a suffix of CPython's own is the only sign of a module.
        if name is not None and (name.build is not None or name.abi3 or name.windows):
            fits = any(name.fits(tag.platform) and "linux" not in tag.platform for tag in wheel.tags)
            modules[_dotted(path, name.stem)].append(_Candidate(name, path, None, fits))
    return {module: files for module, files in modules.items() if any(not c.name.foreign for c in files)}


def _shared_objects(wheel: Wheel) -> Iterator[Binary]:
    for binary in wheel.binaries:
        if binary.elf is not None and ".so" in binary.path.rpartition("/")[2]:
            yield binary


def build_matrix(wheel: Wheel) -> Matrix:
    importable = _importable(wheel)
    # Which file a free-threaded build imports is only a question where something is imported.
    pythons = tuple(python for python in installable_pythons(wheel) if importable or not python.free_threaded)
    imports = [
        Module(
            module,
            Loader.IMPORT,
            tuple(sorted(candidate.path for candidate in files)),
            tuple(_cell(wheel, python, files) for python in pythons),
        )
        for module, files in sorted(importable.items())
    ]
    others = [
        Module(binary.path, loader, (binary.path,), (Cell.ANY,) * len(pythons))
        for binary in _shared_objects(wheel)
        if (loader := loader_of(binary)) is not Loader.IMPORT and not _is_vendored(binary.path)
    ]
    return Matrix(pythons, (*imports, *others))


def _dotted(path: str, stem: str) -> str:
    folder = path.rpartition("/")[0]
    # Wheels put platform files of the root below NAME.data/platlib.
    folder = re.sub(r"^[^/]+\.data/(?:plat|pure)lib/?", "", folder)
    return ".".join([*folder.split("/"), stem]) if folder else stem


def _is_vendored(path: str) -> bool:
    """Libraries that auditwheel and its like have grafted: they are linked, nobody loads them by name."""
    return re.search(r"(?:^|/)[^/]+\.libs/|-[0-9a-f]{8}\.so", path) is not None


def _chosen(python: CPython, files: list[_Candidate]) -> _Candidate | None:
    """The file that the import system takes: the first suffix that exists, in its order of suffixes."""
    return min((c for c in files if c.fits and c.name.loads_on(python)), key=lambda c: c.name.rank, default=None)


def _cell(wheel: Wheel, python: CPython, files: list[_Candidate]) -> Cell:
    chosen = _chosen(python, files)
    if chosen is None:
        return Cell.PURE if _has_python_source(wheel, files[0].path, files[0].name.stem) else Cell.MISSING
    if chosen.name.build is not None:
        return Cell.OK
    if chosen.binary is not None and not _bound_by_tag(wheel, python):
        since = [stable_since(symbol) for symbol in unresolved_python_symbols(wheel, chosen.binary)]
        if any(minor is None or minor > python.minor for minor in since):
            return Cell.RISK
    return Cell.ABI3 if chosen.name.abi3 else Cell.OK


def users_of(wheel: Wheel, path: str) -> tuple[CPython, ...]:
    """The CPythons that install the wheel and, importing the file's module, take this very file."""
    for files in _importable(wheel).values():
        if any(candidate.path == path for candidate in files):
            chosen = ((python, _chosen(python, files)) for python in installable_pythons(wheel))
            return tuple(python for python, candidate in chosen if candidate is not None and candidate.path == path)
    return ()


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
    yield from _installs_nowhere(wheel)
    yield from _unversioned(wheel, matrix)
    yield from _wrong_machine(wheel, matrix)
    for path, kind in wheel.foreign[:1]:
        count = len(wheel.foreign)
        yield finding(
            "binary-not-read", wheel.name, path, f"{count} {kind} file{'s' * (count > 1)} judged by name only"
        )


def _installs_nowhere(wheel: Wheel) -> Iterator[Finding]:
    """Only of tags that name a CPython, and one that is known here."""
    tags = [tag for tag in wheel.tags if tag_minor(tag) is not None]
    tagged = [p for p in covered(None, named=[OLDEST_MINOR]) if any(p.accepts(tag) for tag in tags)]
    if tagged and not set(tagged).intersection(covered(wheel.metadata.requires_python, named=[OLDEST_MINOR])):
        yield finding(
            "installs-nowhere",
            wheel.name,
            "",
            f"the tags are for CPython {_list(tagged)}, none of which Requires-Python allows",
            evidence=(f"Requires-Python: {wheel.metadata.requires_python}",),
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
    if not claimed:
        return
    imported = {path for module in matrix.modules if module.loader is Loader.IMPORT for path in module.files}
    modules = [binary for binary in _shared_objects(wheel) if binary.path in imported]
    others = [b for b in _shared_objects(wheel) if b.path not in imported and _machine(b) in MACHINES]
    wrong = [(binary, Severity.ERROR) for binary in modules if not claimed.intersection(_names(_machine(binary)))]
    # Libraries for several processors are a choice, as long as one is for the right one.
    if not any(claimed.intersection(_names(_machine(binary))) for binary in others):
        wrong += [(binary, Severity.WARNING) for binary in others]
    for binary, severity in wrong:
        yield finding(
            "matrix-wrong-machine",
            wheel.name,
            binary.path,
            f"is for {_names(_machine(binary))[0]}, the wheel for {', '.join(sorted(claimed))}",
            evidence=(f"ELF e_machine {_machine(binary)}",),
            severity=severity,
        )


def _machine(binary: Binary) -> int:
    assert binary.elf is not None
    return binary.elf.machine


def _names(machine: int) -> tuple[str, ...]:
    """What platform tags call a processor."""
    return MACHINES.get(machine, (f"machine {machine}",))
