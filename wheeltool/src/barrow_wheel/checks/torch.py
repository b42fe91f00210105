"""torch: its C++ ABI against its stable shim, the minimum version, and whether Requires-Dist says so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet

from barrow_wheel.checks.requirements import followed
from barrow_wheel.facts.cpython import extension_name
from barrow_wheel.facts.libraries import cuda_library
from barrow_wheel.facts.torch_abi import NEWEST_TORCH_MINOR, TorchUse, allowed_minors, is_torch_library, torch_use
from barrow_wheel.findings import Finding, and_more
from barrow_wheel.readers.wheel import Wheel
from barrow_wheel.rules import finding


@dataclass(frozen=True, slots=True)
class TorchFile:
    path: str
    use: TorchUse


def torch_files(wheel: Wheel) -> tuple[TorchFile, ...]:
    """The files that use torch; none when the wheel is torch itself."""
    if any(b.elf is not None and is_torch_library(b.path.rpartition("/")[2]) for b in wheel.binaries):
        return ()
    uses = [(b.path, torch_use(b.elf.imports, b.elf.needed)) for b in wheel.binaries if b.elf is not None]
    if not wheel.metadata.requires("torch"):
        # A project may have namespaces of the same names (paddle has); without any link to torch they are its own.
        uses = [(path, use if use.links else replace(use, unstable=())) for path, use in uses]
    return tuple(TorchFile(path, use) for path, use in uses if use)


def without_choices(files: tuple[TorchFile, ...]) -> tuple[TorchFile, ...]:
    """The files without those of which there is one per torch version, told apart by digits in their names.

    A package that ships libaddon_torch28.so beside libaddon_torch29.so picks the right one when it runs. The files of
    one module for several CPythons are no such choice.
    """
    families = Counter(_family(module) for module in {_module(file.path) for file in files})
    return tuple(file for file in files if families[_family(_module(file.path))] < 3)


def _module(path: str) -> str:
    """The path without the suffix that says for which CPython a file is."""
    folder, _, file_name = path.rpartition("/")
    name = extension_name(file_name)
    return f"{folder}/{name.stem if name is not None else file_name.removesuffix('.so')}"


def _family(module: str) -> str:
    return re.sub(r"[\d._]+", "#", module)


def minimum_torch(files: tuple[TorchFile, ...]) -> tuple[int, int] | None:
    """The oldest torch that has every shim function used; None when the baseline has them all."""
    return max((file.use.minimum for file in files if file.use.minimum is not None), default=None)


def torch_spec(wheel: Wheel) -> SpecifierSet | None:
    """What Requires-Dist allows."""
    plain = followed(wheel, wheel.metadata.requires("torch"))
    if not plain:
        return None
    # Several lines differ by marker: the widest is what some user gets.
    return max((r.specifier for r in plain), key=lambda spec: len(allowed_minors(spec)))


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def check_torch(wheel: Wheel) -> Iterator[Finding]:
    files = without_choices(torch_files(wheel))
    if not files:
        return
    spec = torch_spec(wheel)
    yield from _floor(wheel, files, spec)
    yield from _unstable(wheel, files, spec)
    for file in files:
        if file.use.unknown:
            yield finding(
                "torch-symbol-unknown",
                wheel.name,
                file.path,
                f"uses {len(file.use.unknown)} function(s) newer than torch 2.{NEWEST_TORCH_MINOR}",
                evidence=file.use.unknown,
            )


def _floor(wheel: Wheel, files: tuple[TorchFile, ...], spec: SpecifierSet | None) -> Iterator[Finding]:
    minimum = minimum_torch(files)
    if spec is None:
        unstable = [f for f in files if f.use.unstable]
        newest = next(
            (f for f in files if minimum is not None and f.use.minimum == minimum), (unstable or list(files))[0]
        )
        needs = f"torch >= {_text(minimum)}" if minimum else "torch"
        exactly = " of exactly the version it was built with (C++ ABI)" if unstable else ""
        cuda = _linked_cuda(wheel, files)
        optional = wheel.metadata.requires("torch")
        yield finding(
            "torch-requirement-missing",
            wheel.name,
            newest.path,
            f"needs {needs}{exactly}{cuda}, and Requires-Dist "
            + ("names it for extras or other platforms only" if optional else "does not name torch"),
            evidence=newest.use.newest_functions
            or newest.use.unstable[:3]
            or (newest.use.shim + newest.use.unknown)[:3]
            or ("links libtorch",),
            remedy=f"Declare {needs.replace(' ', '')} in the project's dependencies."
            if not unstable
            else "Declare torch==2.X.* with the version of the build.",
        )
        return
    for file in files:
        if file.use.minimum is None:
            continue
        older = [minor for minor in allowed_minors(spec) if (2, minor) < file.use.minimum]
        if older:
            yield finding(
                "torch-floor-too-low",
                wheel.name,
                file.path,
                f"needs torch >= {_text(file.use.minimum)}, and Requires-Dist (torch{spec}) allows 2.{older[0]}",
                evidence=file.use.newest_functions,
            )


def _linked_cuda(wheel: Wheel, files: tuple[TorchFile, ...]) -> str:
    paths = {file.path for file in files}
    needed = (soname for b in wheel.binaries if b.path in paths and b.elf is not None for soname in b.elf.needed)
    majors = sorted({library.major for soname in needed if (library := cuda_library(soname)) and library.major})
    return f" for CUDA {' or '.join(map(str, majors))}" if majors else ""


def _unstable(wheel: Wheel, files: tuple[TorchFile, ...], spec: SpecifierSet | None) -> Iterator[Finding]:
    minors = allowed_minors(spec) if spec is not None else ()
    affected = [file for file in files if file.use.unstable]
    # An upper bound just above the newest torch known pins as well as == does.
    if spec is None or len(minors) <= 1 or not affected:
        return
    worst = max(affected, key=lambda file: len(file.use.unstable))
    yield finding(
        "torch-unstable-abi-unpinned",
        wheel.name,
        worst.path,
        f"{len(worst.use.unstable)} symbols of torch's C++ ABI{and_more(affected)}, and Requires-Dist allows torch "
        f"2.{minors[0]} to 2.{minors[-1]}{' and later' if minors[-1] == NEWEST_TORCH_MINOR else ''}",
        evidence=worst.use.unstable[:5] + tuple(f"also: {file.path}" for file in affected if file is not worst)[:10],
    )
