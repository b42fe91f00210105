"""What the package needs on the user's machine: libraries, a C library, compilers, a toolkit."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from barrow_wheel.checks.matrix import Loader, loader_of
from barrow_wheel.checks.requirements import followed
from barrow_wheel.facts import libraries, manylinux
from barrow_wheel.facts.torch_abi import is_torch_library
from barrow_wheel.findings import Finding, Severity, and_more
from barrow_wheel.readers.elf import EM_CUDA, Elf
from barrow_wheel.readers.wheel import Binary, Wheel
from barrow_wheel.rules import finding

_HEADER_SUFFIXES = (".cuh", ".h", ".hpp", ".inl")
_HEADERS_OF_A_LIBRARY = 10
_HEADER_ROOTS = ("/cutlass/", "/cute/", "/cuda/std/", "/cub/", "/thrust/")


def host_binaries(wheel: Wheel) -> Iterator[tuple[Binary, Elf]]:
    for binary in wheel.binaries:
        if binary.elf is not None and binary.elf.machine != EM_CUDA:
            yield binary, binary.elf


def check_libraries(wheel: Wheel) -> Iterator[Finding]:
    """NEEDED entries that nothing provides. CUDA's libraries have checks of their own."""
    bundled = {b.path.rpartition("/")[2] for b in wheel.binaries} | {elf.soname for _, elf in host_binaries(wheel)}
    bundled |= {path.rpartition("/")[2] for path in wheel.paths if ".so" in path}
    requires_others = bool(followed(wheel, wheel.metadata.requirements))
    missing: dict[Severity, dict[str, list[str]]] = {Severity.WARNING: {}, Severity.NOTE: {}}
    for binary, elf in host_binaries(wheel):
        elsewhere = _searches_other_packages(wheel, binary, elf)
        for soname in elf.needed:
            if soname.rpartition("/")[2] in bundled or has_own_rule(soname) or libraries.stack(soname):
                continue
            # A requirement may bring a library of its own; one of the distribution's it will not.
            distribution = libraries.DISTRIBUTION.match(soname) is not None
            if elsewhere and (not distribution or libraries.IN_PACKAGES.match(soname)):
                continue
            sure = distribution or not requires_others
            severity = Severity.WARNING if sure else Severity.NOTE
            missing[severity].setdefault(soname, []).append(binary.path)
    for severity, users in missing.items():
        if users:
            files = sorted({path for paths in users.values() for path in paths})
            more = f" (in {len(files)} files)" if len(files) > 1 else ""
            yield finding(
                "library-not-provided",
                wheel.name,
                files[0],
                f"links {', '.join(sorted(users)[:6])}{', ...' if len(users) > 6 else ''}{more}; "
                + ("nothing brings it" if severity is Severity.WARNING else "only a requirement could bring it"),
                evidence=tuple(f"{soname}: {', '.join(paths[:3])}" for soname, paths in sorted(users.items())[:20]),
                severity=severity,
            )


def has_own_rule(soname: str) -> bool:
    """Whether a library is part of the platform, or judged elsewhere: torch, CUDA, libpython, the driver."""
    return (
        libraries.is_system(soname)
        or libraries.is_driver(soname)
        or libraries.is_python(soname)
        or is_torch_library(soname)
        or libraries.cuda_library(soname) is not None
    )


def _searches_other_packages(wheel: Wheel, binary: Binary, elf: Elf) -> bool:
    """Whether a search path relative to the file leads to a folder that another package fills (PyQt6 does so)."""
    own = {path.rpartition("/")[0] for path in wheel.paths}
    folder = binary.path.rpartition("/")[0]
    for entry in elf.rpaths:
        if entry.startswith("$ORIGIN/"):
            target = posixpath.normpath(posixpath.join(folder, entry.removeprefix("$ORIGIN/")))
            if target not in own and not target.startswith("..") and not any(o.startswith(target + "/") for o in own):
                return True
    return False


def check_platform(wheel: Wheel) -> Iterator[Finding]:
    """The C and C++ libraries that the files need against the systems that the platform tags admit."""
    platforms = {tag.platform for tag in wheel.tags}
    if platforms == {"any"}:
        yield from _any_platform(wheel)
    if any(platform.startswith("musllinux") for platform in platforms):
        yield from _glibc_on_musl(wheel)
    floors = {glibc for platform in platforms if (glibc := manylinux.glibc_of_platform(platform)) is not None}
    if floors:
        yield from _newer_than_tag(wheel, min(floors))


def _any_platform(wheel: Wheel) -> Iterator[Finding]:
    machines = {b.path: elf.machine for b, elf in host_binaries(wheel) if ".so" in b.path.rpartition("/")[2]}
    # A wheel that holds files for several systems or processors picks one when it runs (debugpy does).
    if wheel.foreign or len(set(machines.values())) != 1:
        return
    first = next(iter(machines))
    more = and_more(machines)
    yield finding(
        "platform-tag-any",
        wheel.name,
        first,
        f"is for Linux only, and the tag admits any platform{more}",
        evidence=tuple(machines)[:10],
    )


def _glibc_on_musl(wheel: Wheel) -> Iterator[Finding]:
    needs: dict[bool, list[tuple[str, str]]] = {}
    optional_files = _optional(wheel)
    for binary, elf in host_binaries(wheel):
        versions = {name for _, name in elf.version_needs if name.startswith("GLIBC_")}
        signs = sorted(versions | {"libc.so.6"}.intersection(elf.needed))
        if signs:
            needs.setdefault(binary.path in optional_files, []).append((binary.path, ", ".join(signs)))
    for optional, files in needs.items():
        more = and_more(files)
        yield finding(
            "glibc-on-musl",
            wheel.name,
            files[0][0],
            f"needs glibc{more}, and the tag admits systems with musl",
            evidence=tuple(f"{path}: {signs}" for path, signs in files[:10]),
            severity=Severity.WARNING if optional else None,
        )


def _optional(wheel: Wheel) -> frozenset[str]:
    """Libraries that nothing links and nobody imports: each is one of several to choose from."""
    linked = {soname for _, elf in host_binaries(wheel) for soname in elf.needed}
    return frozenset(
        binary.path
        for binary, elf in host_binaries(wheel)
        if loader_of(binary) is Loader.LIBRARY and not linked & {elf.soname, binary.path.rpartition("/")[2]}
    )


def _newer_than_tag(wheel: Wheel, floor: tuple[int, int]) -> Iterator[Finding]:
    bundled = {path.rpartition("/")[2] for path in wheel.paths}
    own_runtime = any(name.startswith("libstdc++") for name in bundled)
    optional_files = _optional(wheel)
    # (rule, optional) -> needs.
    needs: dict[tuple[str, bool], list[tuple[manylinux.Version, str, str]]] = {}
    for binary, elf in host_binaries(wheel):
        for rule, version, name in _above(elf, floor):
            if rule == "glibc-above-tag" or not own_runtime:
                entry = (version, name, binary.path)
                needs.setdefault((rule, binary.path in optional_files), []).append(entry)
    for (rule, optional), entries in needs.items():
        _, newest, path = max(entries)
        more = and_more(entries)
        yield finding(
            rule,
            wheel.name,
            path,
            f"needs {newest}{more}, and the tag admits systems with glibc {floor[0]}.{floor[1]}",
            evidence=tuple(f"{file}: {name}" for _, name, file in entries[:10]),
            severity=Severity.WARNING if optional else None,
        )


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
    outside: dict[str, tuple[str, ...]] = {}
    searched: dict[str, str] = {}
    stacks: list[str] = []
    for binary, elf in host_binaries(wheel):
        bad = tuple(path for path in elf.rpaths if not path.startswith(("$ORIGIN", "${ORIGIN}", "$LIB", "@")))
        if bad:
            outside[binary.path] = bad
            searched[binary.path] = ":".join(elf.rpaths)
        if elf.executable_stack:
            stacks.append(binary.path)
    if outside:
        first = next(iter(outside))
        more = and_more(outside)
        shown = ", ".join(path or "the current folder (empty entry)" for path in outside[first][:3])
        yield finding(
            "rpath-outside",
            wheel.name,
            first,
            f"searches {shown}{more}",
            evidence=tuple(f"{path}: {text}" for path, text in searched.items())[:10],
        )
    if stacks:
        yield finding(
            "executable-stack",
            wheel.name,
            stacks[0],
            f"{len(stacks)} file(s) ask for an executable stack",
            evidence=tuple(stacks[:10]),
        )


def check_toolchains(wheel: Wheel) -> Iterator[Finding]:
    """A toolkit, a host compiler or a JIT at run time. No single sign is proof: files list libnvrtc, never call it."""
    builds = torch_builds(wheel)
    strong, weak = toolkit_signs(wheel)
    if strong and len(strong) + len(weak) >= 2:
        yield finding(
            "toolkit-at-run-time", wheel.name, "", "compiles CUDA code on the user's machine", evidence=(*strong, *weak)
        )
    if builds:
        # A few lines of C++ in a string serve some rare path; shipped sources are what the package is made of.
        sources = sorted(p for p in wheel.paths if p.endswith((".cu", ".cuh", ".cpp", ".cc")))
        yield finding(
            "host-compiler-at-run-time",
            wheel.name,
            builds[0],
            "builds C++ extensions with torch.utils.cpp_extension when it runs",
            evidence=builds[:10],
            severity=None if sources else Severity.NOTE,
        )
    triton = _outside_tests(wheel.python_words.get("triton-jit", ()))
    if triton:
        yield finding(
            "jit-at-run-time",
            wheel.name,
            triton[0],
            f"{len(triton)} file(s) hold Triton kernels, compiled at their first call",
            evidence=triton[:5],
        )


def toolkit_signs(wheel: Wheel) -> tuple[list[str], list[str]]:
    """Signs of compilation with a CUDA toolkit at run time: those that hardly occur otherwise, and mere mentions."""
    strong: list[str] = []
    weak: list[str] = []
    headers = [
        p
        for p in wheel.paths
        if p.endswith(_HEADER_SUFFIXES) and (p.endswith(".cuh") or any(r in p for r in _HEADER_ROOTS))
    ]
    # One or two belong to some example; a package that compiles kernels carries a library of them.
    if len(headers) >= _HEADERS_OF_A_LIBRARY:
        strong.append(f"{len(headers)} CUDA headers, such as {min(headers)}")
    nvrtc = [b.path for b, elf in host_binaries(wheel) if "nvrtcCompileProgram" in elf.imports | b.words]
    nvrtc += _outside_tests(wheel.python_words.get("nvrtc", ()))
    if nvrtc and not nvrtc_brought(wheel):
        strong.append(f"{nvrtc[0]} compiles with nvrtc, which nothing in Requires-Dist brings")
    drivers = [
        b for b, _ in host_binaries(wheel) if "nvcc" in b.words and b.words & {"cuobjdump", "nvrtcCompileProgram"}
    ]
    if drivers:
        strong.append(f"{drivers[0].path} holds the words {', '.join(sorted(drivers[0].words))}")
    builds = torch_builds(wheel)
    for word in ("nvcc", "cuobjdump", "CUDA_HOME"):
        files = _outside_tests(wheel.python_words.get(word, ()))
        if files:
            (strong if set(files) & set(builds) else weak).append(f"{files[0]} mentions {word}")
    return strong, weak


def torch_builds(wheel: Wheel) -> tuple[str, ...]:
    """Files that build extensions through torch; torch's own module of that name only offers it to others."""
    found = _outside_tests(wheel.python_words.get("torch-jit-build", ()))
    return tuple(path for path in found if path != "torch/utils/cpp_extension.py")


def nvrtc_brought(wheel: Wheel) -> bool:
    """Whether a requirement installs nvrtc: then its use is a JIT, but no need for a toolkit."""
    bundled = any("libnvrtc.so" in path for path in wheel.paths)
    return bundled or any(
        r.name.startswith("nvidia-cuda-nvrtc") or r.name in ("torch", "cuda-toolkit")
        for r in followed(wheel, wheel.metadata.requirements)
    )


def _outside_tests(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Without tests, benchmarks and set-up scripts that packages carry along."""
    skipped = ("test", "tests", "testing", "benchmark", "benchmarks", "examples", "tools", "_internal")
    return tuple(
        p
        for p in paths
        if not any(part in skipped for part in p.split("/")[:-1]) and not p.endswith(("setup.py", "collect_env.py"))
    )
