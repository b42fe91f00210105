"""CPython: which versions exist, which files each imports, and what its stable ABI contains."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from abi3info import DATAS, FUNCTIONS
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags

from barrow_wheel.facts.manylinux import machine_of_platform

# 3.15.0 came out in October 2026; 3.10 got its last fix in the same month.
NEWEST_MINOR = 15
OLDEST_MAINTAINED_MINOR = 10
OLDEST_MINOR = 6
FIRST_FREE_THREADED_MINOR = 13
# 3.13t was an experiment, which projects may pass over (PEP 779).
FIRST_SUPPORTED_FREE_THREADED_MINOR = 14
# More than any branch has ever had; only asks whether some release of a branch meets a specifier.
_PATCH_RELEASES = 40

_EXTENSION = re.compile(r"^(?P<stem>[^.]+)\.(?:(?P<tag>[^/]*)\.)?(?P<end>so|pyd|dylib)$")
_PYTHON_NAME = re.compile(r"_?Py[A-Z_]")
_CPYTHON_TAG = re.compile(r"^(?:cpython-3|cp3)(?P<minor>\d+)(?P<flags>[dmut]*)(?:-(?P<platform>.+))?$")
_LINUX_TRIPLE = re.compile(r"^(?P<machine>\w+)-linux-(?P<libc>gnu|musl)")
# Machines that a suffix names otherwise than a platform tag does.
_TRIPLE_MACHINES = {"i686": "i386", "armv6l": "arm", "armv7l": "arm", "ppc64le": "powerpc64le"}
# Older ones call themselves linux-gnu on musl too.
_FIRST_MUSL_MINOR = 11


@dataclass(frozen=True, slots=True, order=True)
class CPython:
    """One CPython build: the minor version of 3.x, and whether it is free-threaded."""

    minor: int
    free_threaded: bool = False

    def __str__(self) -> str:
        return f"3.{self.minor}{'t' if self.free_threaded else ''}"

    def accepts(self, tag: Tag) -> bool:
        """Whether installers put a wheel of this interpreter and ABI tag on it, whatever its platform."""
        return (tag.interpreter, tag.abi) in _accepted(self.minor, self.free_threaded)


@functools.cache
def _accepted(minor: int, free_threaded: bool) -> frozenset[tuple[str, str]]:
    own = f"cp3{minor}"
    abi = own + ("t" if free_threaded else "m" if minor < 8 else "")
    tags = [
        *cpython_tags((3, minor), [abi], ["any"]),
        *compatible_tags((3, minor), own, ["any"]),
    ]
    return frozenset((tag.interpreter, tag.abi) for tag in tags)


def tag_minor(tag: Tag) -> int | None:
    """12 of a tag for cp312; None for any other interpreter."""
    match = re.fullmatch(r"cp3(\d+)", tag.interpreter)
    return int(match[1]) if match else None


def covered(spec: SpecifierSet | None, free_threaded: bool = True, named: Iterable[int] = ()) -> tuple[CPython, ...]:
    """The CPythons that a Requires-Python covers, ascending.

    One without a lower bound means "whatever is maintained", not the last twenty years, unless older minor versions are
    `named` by something else, such as a tag cp39-cp39.
    """
    spec = spec if spec is not None else SpecifierSet()
    unbounded = spec.contains("2.7.18") or _meets(spec, 0)
    oldest = min([OLDEST_MAINTAINED_MINOR, *named]) if unbounded else OLDEST_MINOR
    first = max(oldest, OLDEST_MINOR)
    minors = [minor for minor in range(first, NEWEST_MINOR + 1) if _meets(spec, minor)]
    builds = [CPython(minor) for minor in minors]
    if free_threaded:
        builds += [CPython(minor, True) for minor in minors if minor >= FIRST_FREE_THREADED_MINOR]
    return tuple(sorted(builds))


def _meets(spec: SpecifierSet, minor: int) -> bool:
    return any(spec.contains(f"3.{minor}.{patch}") for patch in range(_PATCH_RELEASES))


@dataclass(frozen=True, slots=True)
class ExtensionName:
    """A file name as the import system reads it.

    `stem` is the module's last name. `build` is the one CPython the file is for (None: any), with its `platform`
    (x86_64-linux-gnu) and whether it is a `debug` build; `abi3` whether the name says abi3 or abi3t
    (`free_threaded_abi`), `windows` whether it is a .pyd.
    """

    stem: str
    build: CPython | None = None
    abi3: bool = False
    free_threaded_abi: bool = False
    foreign: bool = False
    windows: bool = False
    platform: str = ""
    debug: bool = False

    def loads_on(self, python: CPython) -> bool:
        """Whether `python` has this file's suffix among its importlib.machinery.EXTENSION_SUFFIXES."""
        if self.foreign or self.debug:
            return False
        if self.build is not None:
            return self.build == python
        if self.abi3:
            return (not python.free_threaded) if not self.free_threaded_abi else python.minor >= 15
        return True

    def fits(self, platform: str) -> bool:
        """Whether CPythons of this platform tag may have the suffix; what is not known of a platform passes."""
        triple = _LINUX_TRIPLE.match(self.platform)
        if "linux" not in platform:
            return triple is None or platform == "any"
        if triple is None:
            return not self.windows and self.platform != "darwin"
        musl = platform.startswith("musllinux")
        old = self.build is not None and self.build.minor < _FIRST_MUSL_MINOR
        right_libc = triple["libc"] == ("musl" if musl else "gnu") or (musl and old) or platform.startswith("linux_")
        machine = machine_of_platform(platform)
        return right_libc and triple["machine"] == _TRIPLE_MACHINES.get(machine, machine)

    @property
    def rank(self) -> int:
        """Order in which the import system tries: the exact build first, a bare suffix last."""
        return 0 if self.build is not None else 1 if self.abi3 else 2


def extension_name(file_name: str) -> ExtensionName | None:
    """Parses `_C.cpython-312-x86_64-linux-gnu.so`, `_C.abi3.so`, `_C.so`, `_C.cp312-win_amd64.pyd`; None for others."""
    match = _EXTENSION.match(file_name)
    if not match:
        return None
    stem, tag, windows = match["stem"], match["tag"], match["end"] == "pyd"
    if tag is None:
        return ExtensionName(stem, windows=windows)
    if tag in ("abi3", "abi3t"):
        return ExtensionName(stem, abi3=True, free_threaded_abi=tag == "abi3t", windows=windows)
    cpython = _CPYTHON_TAG.match(tag)
    if cpython:
        return ExtensionName(
            stem,
            CPython(int(cpython["minor"]), "t" in cpython["flags"]),
            windows=windows,
            platform=cpython["platform"] or "",
            debug="d" in cpython["flags"],
        )
    if tag.startswith(("pypy", "graalpy", "cpython-2", "cp2")):
        return ExtensionName(stem, foreign=True, windows=windows)
    return None


@functools.cache
def _stable_symbols() -> dict[str, tuple[int, int]]:
    tables = (FUNCTIONS, DATAS)
    return {symbol.name: (entry.added.major, entry.added.minor) for table in tables for symbol, entry in table.items()}


def is_python_symbol(name: str) -> bool:
    """Whether a symbol is named as CPython's C API names things (a project may name its own that way too)."""
    return _PYTHON_NAME.match(name) is not None and not name.startswith(
        ("PyInit_", "PyInitU_", "PyModExport_", "PyModExportU_")
    )


def stable_since(name: str) -> int | None:
    """The minor version of CPython 3 whose stable ABI first has the symbol; None when it is not stable."""
    added = _stable_symbols().get(name)
    return added[1] if added else None
