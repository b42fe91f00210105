"""What the package needs on the user's machine: libraries, a C library, compilers, a toolkit."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_name

from barrow_wheel.checks.matrix import Loader, loader_of
from barrow_wheel.facts import libraries, manylinux
from barrow_wheel.facts.torch_abi import is_torch_library
from barrow_wheel.findings import Finding, Severity
from barrow_wheel.readers.elf import EM_CUDA, Elf
from barrow_wheel.readers.wheel import Binary, Wheel
from barrow_wheel.rules import finding

_HEADER_ROOTS = ("/cutlass/", "/cute/", "/cuda/std/", "/cub/", "/thrust/")


def host_binaries(wheel: Wheel) -> Iterator[tuple[Binary, Elf]]:
    for binary in wheel.binaries:
        if binary.elf is not None and binary.elf.machine != EM_CUDA:
            yield binary, binary.elf


def check_libraries(wheel: Wheel) -> Iterator[Finding]:
    """NEEDED entries that nothing provides. CUDA's libraries have checks of their own."""
    bundled = {b.path.rpartition("/")[2] for b in wheel.binaries} | {elf.soname for _, elf in host_binaries(wheel)}
    bundled |= {path.rpartition("/")[2] for path in wheel.paths if ".so" in path}
    required = {canonicalize_name(r.name) for r in wheel.metadata.requirements}
    for binary, elf in host_binaries(wheel):
        missing = [
            soname
            for soname in elf.needed
            if soname.rpartition("/")[2] not in bundled
            and not libraries.is_system(soname)
            and not libraries.is_driver(soname)
            and not libraries.is_python(soname)
            and not is_torch_library(soname)
            and libraries.cuda_library(soname) is None
            and not _required(soname, required)
        ]
        stacks = sorted({libraries.stack(soname) for soname in missing} - {""})
        if not missing or (stacks and len(missing) == sum(1 for s in missing if libraries.stack(s))):
            continue
        imported = loader_of(binary) is Loader.IMPORT
        yield finding(
            "library-not-provided" if imported else "library-expected",
            wheel.name,
            binary.path,
            f"links {', '.join(missing)}, which the wheel neither holds nor requires",
            evidence=tuple(missing),
        )


def _required(soname: str, required: set[str]) -> bool:
    """Whether a required package is named like the library: libtvm_ffi.so and apache-tvm-ffi, libucp.so and libucx-cu12."""
    stem = canonicalize_name(soname.removeprefix("lib").split(".so")[0])
    names = {name.removeprefix("lib").removesuffix("-cu11").removesuffix("-cu12").removesuffix("-cu13") for name in required}
    if len(stem) >= 3 and any(stem == n or stem.startswith(n + "-") or n.endswith("-" + stem) or n.startswith(stem) for n in names if len(n) >= 3):
        return True
    return _FAMILY.get(stem.split("-")[0], "") in names


# Libraries of packages that are not named like their files.
_FAMILY = {
    "ucp": "ucx", "ucs": "ucx", "uct": "ucx", "ucm": "ucx", "arrow": "pyarrow", "mkl": "mkl", "iomp5": "intel-openmp",
    "nvinfer": "tensorrt", "Qt6Core": "pyqt6",
}  # fmt: skip


def check_platform(wheel: Wheel) -> Iterator[Finding]:
    """glibc and libstdc++ against the oldest system that the platform tags admit."""
    floors = {glibc for tag in wheel.tags if (glibc := manylinux.glibc_of_platform(tag.platform)) is not None}
    if not floors:
        return
    floor = min(floors)
    bundled = {path.rpartition("/")[2] for path in wheel.paths}
    own_runtime = any(name.startswith("libstdc++") for name in bundled)
    # (rule, optional) -> needs. A library that nothing links and nobody imports is one of several to choose from.
    needs: dict[tuple[str, bool], list[tuple[manylinux.Version, str, str]]] = {}
    linked = {soname for _, elf in host_binaries(wheel) for soname in elf.needed}
    for binary, elf in host_binaries(wheel):
        optional = loader_of(binary) is Loader.LIBRARY and not linked & {elf.soname, binary.path.rpartition("/")[2]}
        for rule, version, name in _above(elf, floor):
            if rule == "glibc-above-tag" or not own_runtime:
                needs.setdefault((rule, optional), []).append((version, name, binary.path))
    for (rule, optional), entries in needs.items():
        _, newest, path = max(entries)
        more = f" (and {len(entries) - 1} more files)" if len(entries) > 1 else ""
        yield finding(
            rule, wheel.name, path, f"needs {newest}{more}, and the tag admits systems with glibc {floor[0]}.{floor[1]}",
            evidence=tuple(f"{file}: {name}" for _, name, file in entries[:10]),
            severity=Severity.WARNING if optional else None,
        )  # fmt: skip


def _above(elf: Elf, floor: tuple[int, int]) -> Iterator[tuple[str, manylinux.Version, str]]:
    """For each rule the newest symbol version beyond what systems with this glibc have."""
    worst: dict[str, tuple[manylinux.Version, str]] = {}
    for _, name in elf.version_needs:
        parsed = manylinux.symbol_version(name)
        allowed = manylinux.allowed(parsed[0], floor) if parsed else None
        if parsed is None or allowed is None or parsed[1] <= allowed:
            continue
        rule = "glibc-above-tag" if parsed[0] == "GLIBC" else "libstdcxx-above-tag"
        worst[rule] = max(worst.get(rule, ((), "")), (parsed[1], name))
    for rule, (version, name) in worst.items():
        yield rule, version, name


def check_loading(wheel: Wheel) -> Iterator[Finding]:
    outside: dict[tuple[str, ...], list[str]] = {}
    stacks: list[str] = []
    for binary, elf in host_binaries(wheel):
        bad = tuple(path for path in elf.rpaths if not path.startswith(("$ORIGIN", "${ORIGIN}", "$LIB", "@")))
        if bad:
            outside.setdefault(bad, []).append(binary.path)
        if elf.executable_stack:
            stacks.append(binary.path)
    if outside:
        paths = [path for group in outside.values() for path in group]
        shown = ", ".join(sorted({p or "the current folder (empty entry)" for bad in outside for p in bad})[:3])
        more = f" (and {len(paths) - 1} more files)" if len(paths) > 1 else ""
        yield finding(
            "rpath-outside", wheel.name, paths[0], f"searches {shown}{more}",
            evidence=tuple(f"{path}: {':'.join(bad)}" for bad, group in outside.items() for path in group)[:10],
        )  # fmt: skip
    if stacks:
        yield finding("executable-stack", wheel.name, stacks[0], f"{len(stacks)} file(s) ask for an executable stack", evidence=tuple(stacks[:10]))


def check_toolchains(wheel: Wheel) -> Iterator[Finding]:
    """A toolkit, a host compiler or a JIT at run time. No single sign is proof: files list libnvrtc and never call it."""
    signs = toolkit_signs(wheel)
    if len(signs) >= 2 and any("compile" in sign or "nvcc" in sign for sign in signs):
        yield finding(
            "toolkit-at-run-time", wheel.name, "", "compiles CUDA code on the user's machine", evidence=tuple(signs.values())
        )  # fmt: skip
    builds = _outside_tests(wheel.python_words.get("torch-jit-build", ()))
    if builds:
        yield finding(
            "host-compiler-at-run-time", wheel.name, builds[0], "builds C++ extensions with torch.utils.cpp_extension when it runs",
            evidence=builds[:10],
        )  # fmt: skip
    triton = _outside_tests(wheel.python_words.get("triton-jit", ()))
    if triton:
        yield finding(
            "jit-at-run-time", wheel.name, triton[0], f"{len(triton)} file(s) hold Triton kernels, compiled at their first call",
            evidence=triton[:5], severity=Severity.NOTE,
        )  # fmt: skip


def toolkit_signs(wheel: Wheel) -> dict[str, str]:
    """Signs of compilation with a CUDA toolkit at run time, each with its evidence."""
    signs: dict[str, str] = {}
    headers = [p for p in wheel.paths if p.endswith(".cuh") or any(root in p for root in _HEADER_ROOTS)]
    if headers:
        signs["headers"] = f"{len(headers)} CUDA headers, such as {min(headers)}"
    for binary, elf in host_binaries(wheel):
        if any(s.startswith(("nvrtcCompileProgram", "nvrtcCreateProgram")) for s in elf.imports):
            signs.setdefault("compile with nvrtc", f"{binary.path} calls nvrtcCompileProgram")
        elif "nvrtcCompileProgram" in binary.words:
            signs.setdefault("compile with nvrtc", f"{binary.path} looks up nvrtcCompileProgram")
        if {"nvcc", "cuobjdump"} <= binary.words or {"nvcc", "CUDA_HOME"} <= binary.words:
            signs.setdefault("nvcc from a library", f"{binary.path} holds the words {', '.join(sorted(binary.words))}")
    for word in ("nvcc", "cuobjdump", "CUDA_HOME", "nvrtc"):
        files = _outside_tests(wheel.python_words.get(word, ()))
        if files:
            name = "compile with nvrtc from Python" if word == "nvrtc" else f"{word} in Python"
            signs.setdefault(name, f"{files[0]} mentions {word}")
    return signs


def _outside_tests(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Without tests, benchmarks and set-up scripts that packages carry along."""
    skipped = ("test", "tests", "testing", "benchmark", "benchmarks", "examples", "tools", "_internal")
    return tuple(
        p for p in paths
        if not any(part in skipped for part in p.split("/")[:-1]) and not p.endswith(("setup.py", "collect_env.py"))
    )  # fmt: skip
