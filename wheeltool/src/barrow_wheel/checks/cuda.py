"""CUDA: which GPUs run the device code and how, and whether the CUDA libraries linked will be there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from barrow_wheel.checks.matrix import Loader, loader_of
from barrow_wheel.checks.requirements import followed
from barrow_wheel.checks.torch import torch_files, torch_spec
from barrow_wheel.facts.gpus import Gpu, Support, driver_floor, runs_by_jit, support
from barrow_wheel.facts.libraries import CUDA_MAJORS, TORCH_BRINGS, CudaLibrary, cuda_library
from barrow_wheel.facts.torch_abi import allowed_minors, default_cuda
from barrow_wheel.findings import Finding, and_more
from barrow_wheel.readers.device_code import DeviceCode
from barrow_wheel.readers.wheel import Binary, Wheel
from barrow_wheel.rules import finding


def cuda_files(wheel: Wheel) -> tuple[Binary, ...]:
    return tuple(binary for binary in wheel.binaries if binary.device.cuda)


def codes_of(binary: Binary) -> tuple[DeviceCode, ...]:
    return tuple(code for code, _ in binary.device.cuda)


def is_loose(binary: Binary) -> bool:
    """Whether a file is one kernel of many: a bare cubin, a pack. Together they are one offer."""
    return binary.elf is None or binary.path.endswith(".cubin")


def check_gpus(wheel: Wheel, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Only GPUs that were asked for: a wheel claims none by itself, and one without binaries needs none covered."""
    if not wheel.binaries:
        return
    files = cuda_files(wheel)
    for gpu in gpus:
        label = f"{gpu.name} (sm_{gpu.arch})"
        levels = [(binary, support(codes_of(binary), gpu.arch)) for binary in files]
        if all(level is Support.NONE for _, level in levels):
            found = sorted({code.name for binary in files for code in codes_of(binary)})
            evidence = tuple(found) or ("no device code at all",)
            yield finding("gpu-not-covered", wheel.name, "", f"no device code runs on {label}", evidence)
            continue
        without = [binary for binary, level in levels if level is Support.NONE and not is_loose(binary)]
        if without:
            yield finding(
                "gpu-partly-covered",
                wheel.name,
                without[0].path,
                f"{len(without)} of {len(files)} files have no code for {label}",
                evidence=tuple(f"{b.path}: {', '.join(code.name for code in codes_of(b))}" for b in without),
            )
        for binary, level in levels:
            if level is Support.JIT:
                ptx = max((c for c in codes_of(binary) if runs_by_jit(c, gpu.arch)), key=lambda code: code.arch)
                yield finding(
                    "gpu-jit-only",
                    wheel.name,
                    binary.path,
                    f"on {label} only through the driver's JIT from {ptx.name}",
                    evidence=(f"PTX {ptx.ptx_isa[0]}.{ptx.ptx_isa[1]}, driver >= {driver_floor(ptx)}",),
                )


def linked_cuda(binary: Binary) -> tuple[CudaLibrary, ...]:
    if binary.elf is None:
        return ()
    return tuple(library for soname in binary.elf.needed if (library := cuda_library(soname)) is not None)


def check_cuda_libraries(wheel: Wheel) -> Iterator[Finding]:
    bundled = {b.path.rpartition("/")[2] for b in wheel.binaries} | {b.elf.soname for b in wheel.binaries if b.elf}
    requirements = followed(wheel, wheel.metadata.requirements)
    required = frozenset(canonicalize_name(r.name) for r in requirements)
    toolkits = _toolkit_majors(requirements)
    majors_of_files: dict[str, set[int]] = {}
    undeclared: dict[str, list[CudaLibrary]] = {}
    for binary in wheel.binaries:
        libraries = [lib for lib in linked_cuda(binary) if lib.soname not in bundled]
        majors = {lib.major for lib in libraries} - {0}
        majors_of_files[binary.path] = majors
        if len(majors) > 1:
            yield finding(
                "cuda-mixed-majors",
                wheel.name,
                binary.path,
                f"links libraries of CUDA {' and '.join(map(str, sorted(majors)))}",
                evidence=tuple(lib.soname for lib in libraries if lib.major),
            )
        missing = [lib for lib in libraries if lib.major not in toolkits and not _brought(wheel, lib, required)]
        if missing:
            undeclared[binary.path] = missing
    if not undeclared or _is_choice(wheel, majors_of_files):
        return
    yield from _group(wheel, undeclared, required)


def _group(wheel: Wheel, undeclared: dict[str, list[CudaLibrary]], required: frozenset[str]) -> Iterator[Finding]:
    """One finding for all files with the same missing libraries: a maintainer fixes them in one place."""
    groups: dict[tuple[CudaLibrary, ...], list[str]] = {}
    for path, libraries in undeclared.items():
        groups.setdefault(tuple(libraries), []).append(path)
    for group, paths in groups.items():
        majors = {lib.major for lib in group} - {0}
        names = ", ".join(lib.soname for lib in group)
        more = and_more(paths)
        conflicts = _other_major(group, required)
        if conflicts:
            yield finding(
                "cuda-major-conflict",
                wheel.name,
                paths[0],
                f"links {names}{more}, and Requires-Dist brings {', '.join(conflicts)}",
                evidence=tuple(conflicts),
            )
            continue
        because = _why_missing(wheel, group, majors)
        suffix = f"-cu{min(majors)}" if majors and min(majors) < 13 else ""
        packages = sorted({lib.package + suffix for lib in group})
        yield finding(
            "cuda-library-undeclared",
            wheel.name,
            paths[0],
            f"links {names}{more}; {because}",
            evidence=tuple(paths[1:6]),
            remedy=f"Require {', '.join(packages)}"
            + (
                f", or a torch whose wheels bring CUDA {min(majors)}"
                if majors and torch_spec(wheel) is not None
                else ""
            )
            + "; or link statically.",
        )


def _toolkit_majors(requirements: Sequence[Requirement]) -> frozenset[int]:
    """The CUDA majors that a requirement of cuda-toolkit may bring, 0 for libraries that serve several."""
    specs = [r.specifier for r in requirements if canonicalize_name(r.name) == "cuda-toolkit"]
    majors = set()
    for major in CUDA_MAJORS:
        releases = [f"{major}.{minor}.{patch}" for minor in range(10) for patch in range(10)]
        if any(spec.contains(release) for spec in specs for release in releases):
            majors |= {major, 0}
    return frozenset(majors)


def _brought(wheel: Wheel, library: CudaLibrary, required: frozenset[str]) -> bool:
    """Whether Requires-Dist brings the library for sure."""
    if any(library.provided_by(name) for name in required):
        return True
    # A package for one CUDA major (jax-cuda12-plugin, rmm-cu12) brings that major's run time along.
    if library.major and any(
        name.endswith((f"-cu{library.major}", f"cuda{library.major}", f"cuda{library.major}x")) for name in required
    ):
        return True
    if library.package not in TORCH_BRINGS:
        return False
    spec = torch_spec(wheel)
    if spec is None:
        # A file that needs torch gets the library from it; that torch is not declared is a finding of its own.
        return bool(torch_files(wheel))
    majors = {default_cuda(minor) for minor in allowed_minors(spec)}
    return library.major == 0 or majors == {library.major}


def _other_major(libraries: Sequence[CudaLibrary], required: frozenset[str]) -> list[str]:
    others = {
        name
        for library in libraries
        for major in CUDA_MAJORS
        if library.major not in (0, major)
        for name in library.packages(major)
    }
    return sorted(others & required)


def _why_missing(wheel: Wheel, libraries: Sequence[CudaLibrary], majors: set[int]) -> str:
    spec = torch_spec(wheel)
    other = [m for m in allowed_minors(spec) if default_cuda(m) not in majors] if spec is not None and majors else []
    if not other:
        names = {canonicalize_name(r.name) for r in wheel.metadata.requirements}
        if any(library.provided_by(name) for library in libraries for name in names):
            return "Requires-Dist brings it for extras or other platforms only"
        return "nothing in Requires-Dist brings it"
    return f"torch 2.{other[-1]}, which Requires-Dist allows, brings CUDA {default_cuda(other[-1])}"


def _is_choice(wheel: Wheel, majors_of_files: dict[str, set[int]]) -> bool:
    """Whether the wheel ships one library per CUDA version and picks one when it runs (bitsandbytes does)."""
    majors = set().union(*majors_of_files.values()) if majors_of_files else set()
    if len(majors) < 2:
        return False
    users = [b for b in wheel.binaries if majors_of_files[b.path]]
    return all(b.elf is not None and loader_of(b) is not Loader.IMPORT for b in users) or _same_stem(users)


def _same_stem(users: Sequence[Binary]) -> bool:
    """Modules that differ in digits only, such as _C_cu12 and _C_cu13."""
    return len({"".join(c for c in b.path if not c.isdigit()) for b in users}) == 1
