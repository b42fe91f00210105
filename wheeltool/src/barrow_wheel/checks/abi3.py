"""The stable ABI: symbols against the tag, and against Requires-Python."""

from __future__ import annotations

from collections.abc import Iterator

from barrow_wheel.checks.matrix import Loader, loader_of, unresolved_python_symbols, users_of
from barrow_wheel.checks.runtime import has_own_rule
from barrow_wheel.facts import libraries
from barrow_wheel.facts.cpython import CPython, covered, extension_name, stable_since, tag_minor
from barrow_wheel.findings import Finding, Severity
from barrow_wheel.readers.wheel import Binary, Wheel
from barrow_wheel.rules import finding


def claims_abi3(wheel: Wheel, binary: Binary) -> bool:
    """Whether a file is offered to several CPythons: by its own name, or as a bare .so in a wheel tagged abi3."""
    name = extension_name(binary.path.rpartition("/")[2])
    if binary.elf is None or name is None or loader_of(binary) is not Loader.IMPORT:
        return False
    return name.abi3 or (name.build is None and any(tag.abi == "abi3" for tag in wheel.tags))


def foreign_helpers(wheel: Wheel, binary: Binary) -> tuple[str, ...]:
    """Libraries of other packages that the file links: they may define names like CPython's (shiboken6 does)."""
    assert binary.elf is not None
    own = {b.path.rpartition("/")[2] for b in wheel.binaries} | {b.elf.soname for b in wheel.binaries if b.elf}
    return tuple(
        soname
        for soname in binary.elf.needed
        if soname not in own and not has_own_rule(soname) and not libraries.DISTRIBUTION.match(soname)
    )


def check_abi3(wheel: Wheel) -> Iterator[Finding]:
    tag_floor = min((m for tag in wheel.tags if tag.abi == "abi3" and (m := tag_minor(tag)) is not None), default=None)
    file_floors: list[int] = []
    for binary in wheel.binaries:
        if claims_abi3(wheel, binary):
            symbols = unresolved_python_symbols(wheel, binary)
            unstable = tuple(sorted(s for s in symbols if stable_since(s) is None))
            if unstable:
                helpers = foreign_helpers(wheel, binary)
                yield finding(
                    "abi3-unstable-symbol",
                    wheel.name,
                    binary.path,
                    f"is offered as abi3 and uses {len(unstable)} symbol(s) outside of the stable ABI"
                    + (f", unless {helpers[0]} defines them" if helpers else ""),
                    evidence=unstable,
                    severity=Severity.WARNING if helpers else None,
                )
            floor = max((since for s in symbols if (since := stable_since(s)) is not None), default=2)
            file_floors.append(100 if unstable else floor)
            # Where an exact file exists for an old CPython, that CPython never loads this one.
            oldest = min((p for p in users_of(wheel, binary.path) if not p.free_threaded), default=None)
            yield from _too_new(wheel, binary, floor, symbols, tag_floor, oldest)
        elif binary.elf is not None and loader_of(binary) is Loader.IMPORT:
            file_floors.append(100)
        if binary.elf is not None and loader_of(binary) is Loader.IMPORT:
            linked = tuple(library for library in binary.elf.needed if libraries.is_python(library))
            if linked:
                yield finding("links-libpython", wheel.name, binary.path, f"links {linked[0]}", evidence=linked)
    if tag_floor is not None and file_floors:
        yield from _needlessly_high(wheel, tag_floor, max(file_floors))


def _too_new(
    wheel: Wheel, binary: Binary, floor: int, symbols: frozenset[str], tag_floor: int | None, oldest: CPython | None
) -> Iterator[Finding]:
    evidence = tuple(sorted(s for s in symbols if stable_since(s) == floor))
    if oldest is not None and floor > oldest.minor:
        yield finding(
            "abi3-floor-above-requires-python",
            wheel.name,
            binary.path,
            f"needs CPython 3.{floor}, but the wheel installs on {oldest}",
            evidence=evidence,
        )
    elif tag_floor is not None and floor > tag_floor and not _has_exact_sibling(wheel, binary):
        yield finding(
            "abi3-floor-above-tag",
            wheel.name,
            binary.path,
            f"needs CPython 3.{floor}, the tag says cp3{tag_floor}; only Requires-Python keeps older ones out",
            evidence=evidence,
        )


def _has_exact_sibling(wheel: Wheel, binary: Binary) -> bool:
    """Whether the same module also comes as a file for one CPython: then the tag speaks for both."""
    folder, _, name = binary.path.rpartition("/")
    stem = name.partition(".")[0]
    names = (path.rpartition("/") for path in wheel.paths)
    siblings = (extension_name(name) for other, _, name in names if other == folder)
    return any(s is not None and s.stem == stem and s.build is not None for s in siblings)


def _needlessly_high(wheel: Wheel, tag_floor: int, needed: int) -> Iterator[Finding]:
    if wheel.metadata.requires_python is None:
        return
    kept_out = [
        python
        for python in covered(wheel.metadata.requires_python, free_threaded=False)
        if needed <= python.minor < tag_floor
    ]
    if kept_out:
        yield finding(
            "abi3-floor-needlessly-high",
            wheel.name,
            "",
            f"the tag cp3{tag_floor} keeps out CPython {', '.join(map(str, kept_out))}, which Requires-Python allows; "
            f"every symbol used exists since 3.{needed}",
        )
