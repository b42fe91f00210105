"""From a Machine and a target to findings and environment variables. Pure, so every case can be tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from barrow_wheel.doctor.probe import Machine, Tool
from barrow_wheel.errors import UsageError
from barrow_wheel.facts.gpus import ROCM_GPUS, gpu
from barrow_wheel.findings import Severity
from barrow_wheel.machine import GIB, jobs_within

TARGETS = ("cuda", "rocm", "cpu", "xpu", "tpu")
_JOB_GIB = {"cuda": 4, "rocm": 1, "cpu": 2, "xpu": 2, "tpu": 1}
_TORCH_FOR = {"cuda": "cuda", "rocm": "rocm", "xpu": "xpu", "cpu": "cpu", "tpu": "cpu"}
# Instructions that only exist with the suffix: wgmma and TMA multicast on Hopper, tcgen05 and block scaling later.
_ARCH_SPECIFIC_FROM = 90
# arch -> oldest nvcc that knows it (with its suffix where it has one).
_NVCC_SINCE = {
    80: (11, 0), 86: (11, 1), 87: (11, 4), 89: (11, 8), 90: (12, 0), 100: (12, 8), 103: (12, 9), 110: (13, 0),
    120: (12, 8), 121: (12, 9),
}  # fmt: skip
# Since CUDA 13 nvcc compiles for nothing older than Turing.
_OLDEST_ARCH_OF_CUDA13 = 75
# nvcc -> newest GCC major that its host_config.h accepts.
_NEWEST_GCC = (((13, 0), 15), ((12, 8), 14), ((12, 4), 13), ((12, 0), 12), ((11, 5), 11), ((11, 0), 10))


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that was seen, how bad it is, and what to do ("" when nothing)."""

    severity: Severity | None
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable to set, and why it has this value."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    target: str
    advice: tuple[Advice, ...]
    variables: tuple[Variable, ...]

    @property
    def healthy(self) -> bool:
        return not any(one.severity is Severity.ERROR for one in self.advice)


def diagnose(machine: Machine, target: str, gpus: Sequence[str] = ()) -> Diagnosis:
    """What stands in the way of a build for `target`, and what to set for it. `gpus` are product names."""
    if target not in TARGETS:
        raise UsageError(f"--target {target}: unknown; known are {', '.join(TARGETS)}")
    archs = _architectures(machine, target, gpus)
    advice = [
        *_torch(machine, target),
        *_toolchain(machine, target, archs),
        *_tools(machine),
        *_cache_advice(machine),
    ]
    variables = [
        *_places(machine, target),
        *_arch_variables(target, archs),
        *_parallelism(machine, target, archs),
        *_cache_variables(machine, target),
    ]
    return Diagnosis(target, tuple(advice), tuple(variables))


def _architectures(machine: Machine, target: str, gpus: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(architecture, why) for each GPU, in the spelling of the target's compiler."""
    if target == "cuda":
        if gpus:
            return tuple(dict.fromkeys((cuda_arch(name), name) for name in gpus))
        return tuple((_suffixed(int(c.replace(".", ""))), "GPU of this machine") for c in machine.gpus)
    if target == "rocm":
        return tuple(dict.fromkeys((rocm_arch(name), name) for name in gpus))
    if gpus:
        raise UsageError(f"--gpu makes no sense for target {target}")
    return ()


def cuda_arch(name: str) -> str:
    """`h100` -> 9.0a, `a100` -> 8.0, `sm_89` -> 8.9."""
    return _suffixed(gpu(name).arch)


def _suffixed(arch: int) -> str:
    return f"{arch // 10}.{arch % 10}{'a' if arch >= _ARCH_SPECIFIC_FROM else ''}"


def rocm_arch(name: str) -> str:
    """`mi300x` -> gfx942; a gfx name stays."""
    key = name.lower().replace("-", "").replace(" ", "")
    if key.startswith("gfx"):
        return key
    if key not in ROCM_GPUS:
        raise UsageError(f"--gpu {name}: unknown AMD GPU; give a gfx name, or one of {', '.join(ROCM_GPUS)}")
    return ROCM_GPUS[key]


def _torch(machine: Machine, target: str) -> Iterator[Advice]:
    torch = machine.torch
    wanted = _TORCH_FOR[target]
    if torch is None:
        yield Advice(Severity.ERROR, "torch is not installed here", _torch_remedy(target))
        return
    if torch.flavour != wanted:
        severity = Severity.ERROR if wanted != "cpu" else Severity.WARNING
        yield Advice(
            severity, f"torch {torch.version} is a {torch.flavour} build, the target is {target}", _torch_remedy(target)
        )
    else:
        with_stack = f" with {torch.flavour} {'.'.join(map(str, torch.accelerator))}" if torch.accelerator else ""
        yield Advice(None, f"torch {torch.version}{with_stack}")
    if target == "tpu" and not machine.torch_xla:
        yield Advice(Severity.ERROR, "torch_xla is not installed", "pip install torch_xla[tpu]")
    nvcc = machine.nvcc
    if target == "cuda" and torch.flavour == "cuda" and nvcc is not None and nvcc.version != (0,):
        yield from _cuda_versions(nvcc.version, torch.accelerator)


def _cuda_versions(nvcc: tuple[int, ...], torch: tuple[int, ...]) -> Iterator[Advice]:
    stated = f"nvcc is CUDA {'.'.join(map(str, nvcc))}, torch was built with CUDA {'.'.join(map(str, torch))}"
    if nvcc[0] != torch[0]:
        yield Advice(
            Severity.ERROR,
            f"{stated}: the extension would load two CUDA run times",
            f"install CUDA {torch[0]}.x and point CUDA_HOME at it, or a torch for CUDA {nvcc[0]}",
        )
    elif nvcc > torch:
        yield Advice(
            Severity.WARNING,
            f"{stated}: users need a driver for the newer one",
            f"build with CUDA {'.'.join(map(str, torch))} to keep torch's driver floor",
        )


def _torch_remedy(target: str) -> str:
    suffix = {"cuda": "cu130", "rocm": "rocm6.4", "xpu": "xpu", "cpu": "cpu", "tpu": "cpu"}[target]
    index = f"https://download.pytorch.org/whl/{suffix}"
    return f"pip install torch --index-url {index}, then build with --no-build-isolation"


def _toolchain(machine: Machine, target: str, archs: Sequence[tuple[str, str]]) -> Iterator[Advice]:
    tools: dict[str, tuple[str, Tool | None, str]] = {
        "cuda": ("nvcc", machine.nvcc, "install the CUDA toolkit, or set CUDA_HOME"),
        "rocm": ("hipcc", machine.hipcc, "install ROCm, or set ROCM_PATH"),
        "xpu": ("icpx", machine.icpx, "install the oneAPI DPC++ compiler and source its setvars.sh"),
    }
    if target in tools:
        name, tool, remedy = tools[target]
        if tool is None:
            yield Advice(Severity.ERROR, f"{name} not found", remedy)
        else:
            yield Advice(None, f"{name} {tool.version_text} at {tool.path}")
    wrong = _wrong_home(machine) if target == "cuda" else ""
    if wrong:
        text = f"{wrong} is {machine.environment[wrong]}, which has no bin/nvcc, and torch looks nowhere else"
        yield Advice(Severity.ERROR, text, f"point {wrong} at the toolkit, or unset it")
    if machine.toolchain_error:
        yield Advice(Severity.ERROR, machine.toolchain_error)
    if machine.cxx is not None:
        yield Advice(None, f"C++ compiler {machine.cxx.version_text} at {machine.cxx.path}")
    if target == "cuda" and machine.nvcc is not None and machine.nvcc.version != (0,):
        yield from _nvcc_limits(machine.nvcc.version, machine.cxx, archs)


def _wrong_home(machine: Machine) -> str:
    """The variable that torch takes for the CUDA toolkit, when nvcc was found elsewhere; "" when all is well."""
    stated = next((name for name in ("CUDA_HOME", "CUDA_PATH") if machine.environment.get(name)), "")
    if not stated or machine.nvcc is None:
        return ""
    return "" if Path(machine.nvcc.path) == Path(machine.environment[stated], "bin/nvcc") else stated


def _nvcc_limits(nvcc: tuple[int, ...], cxx: Tool | None, archs: Sequence[tuple[str, str]]) -> Iterator[Advice]:
    text = ".".join(map(str, nvcc))
    for arch, why in archs:
        number = int(arch.rstrip("af").replace(".", ""))
        since = _NVCC_SINCE.get(number)
        if since is not None and nvcc < since:
            newer = ".".join(map(str, since))
            yield Advice(Severity.ERROR, f"nvcc {text} does not know {arch} ({why})", f"use CUDA {newer} or newer")
        if nvcc >= (13, 0) and number < _OLDEST_ARCH_OF_CUDA13:
            yield Advice(Severity.ERROR, f"nvcc {text} no longer compiles for {arch} ({why})", "use CUDA 12.9 or older")
    newest = next((gcc for release, gcc in _NEWEST_GCC if nvcc >= release), None)
    is_gcc = cxx is not None and "clang" not in cxx.path
    if cxx is not None and is_gcc and newest is not None and cxx.version[0] > newest:
        yield Advice(
            Severity.ERROR,
            f"nvcc {text} takes GCC up to {newest}, the compiler is {cxx.version_text}",
            f"install g++-{newest} and set CXX and CUDAHOSTCXX to it",
        )


def _tools(machine: Machine) -> Iterator[Advice]:
    if machine.ninja is None:
        yield Advice(
            Severity.WARNING,
            "ninja not found: torch's builds then compile one file after the other",
            "pip install ninja",
        )
    if machine.cmake is None:
        yield Advice(Severity.NOTE, "cmake not found; projects that build with CMake need it", "pip install cmake")


def _cache_advice(machine: Machine) -> Iterator[Advice]:
    cache = machine.cache
    if machine.toolchain_error:
        return
    if cache is None:
        yield Advice(Severity.NOTE, "no compiler cache: every rebuild compiles everything", "install ccache or sccache")
    elif cache.through:
        yield Advice(None, f"compiler cache {cache.path}, used through {cache.through}")
    else:
        yield Advice(
            Severity.WARNING,
            f"compiler cache {cache.path} is installed and not used",
            "set the launcher variables below",
        )


def _places(machine: Machine, target: str) -> Iterator[Variable]:
    stated = machine.environment.get("CUDA_HOME", "")
    better = machine.cuda_home != stated and (not stated or _wrong_home(machine))
    if target == "cuda" and machine.cuda_home and better:
        yield Variable("CUDA_HOME", machine.cuda_home, "its headers were found there, and torch looks here first")
    if target == "rocm" and machine.hipcc is not None and not machine.environment.get("ROCM_PATH"):
        yield Variable("ROCM_PATH", machine.hipcc.path.rpartition("/bin/")[0], "hipcc was found there")


def _arch_variables(target: str, archs: Sequence[tuple[str, str]]) -> Iterator[Variable]:
    if not archs:
        return
    values = list(dict.fromkeys(arch for arch, _ in archs))
    reason = ", ".join(f"{why} -> {arch}" for arch, why in archs)
    if target == "cuda":
        yield Variable(
            "TORCH_CUDA_ARCH_LIST",
            ";".join(sorted(values, key=_arch_number)),
            f"{reason}; each more costs compile time and size",
        )
    else:
        yield Variable("PYTORCH_ROCM_ARCH", ";".join(values), reason)


def _arch_number(arch: str) -> int:
    return int(arch.rstrip("af").replace(".", ""))


def _parallelism(machine: Machine, target: str, archs: Sequence[tuple[str, str]]) -> Iterator[Variable]:
    per_job = _JOB_GIB[target]
    spend = machine.capacity
    jobs = jobs_within(spend, per_job * GIB)
    # nvcc compiles the architectures of one file beside each other; threads beyond the processors only cost memory.
    threads = 1
    if target == "cuda":
        threads = max(1, min(len(archs), spend.cpus // jobs if jobs < spend.cpus else 1))
    yield Variable(
        "MAX_JOBS",
        str(jobs),
        f"{spend.cpus} processors, {spend.memory / GIB:.0f} GiB free, about {per_job} GiB a job for {target}",
    )
    if target == "cuda":
        why = f"{max(len(archs), 1)} architecture(s), {jobs} jobs on {spend.cpus} processors"
        yield Variable("NVCC_THREADS", str(threads), f"threads of one nvcc: {why}")


def _cache_variables(machine: Machine, target: str) -> Iterator[Variable]:
    if machine.cache is not None and not machine.cache.through:
        languages = (
            ("C", "CXX", "CUDA") if target == "cuda" else ("C", "CXX", "HIP") if target == "rocm" else ("C", "CXX")
        )
        for language in languages:
            # $CC starts it already.
            if language == "C" and Path(machine.cache.path).name in machine.environment.get("CC", ""):
                continue
            yield Variable(
                f"CMAKE_{language}_COMPILER_LAUNCHER", machine.cache.path, "lets the cache see what CMake compiles"
            )
