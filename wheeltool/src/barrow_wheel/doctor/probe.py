"""Looks at the machine: tools and their versions, torch's flavour, memory, caches. Nothing is imported or changed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from barrow_wheel.build.toolchain import Cache, Toolchain, cuda_root, find_toolchain, package_root
from barrow_wheel.errors import MissingToolError, UsageError
from barrow_wheel.machine import Capacity, capacity

_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that was found. `version` is (0,) when it would not tell."""

    path: str
    version: tuple[int, ...] = (0,)

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True)
class TorchFlavour:
    """torch of this environment: `flavour` is cuda, rocm, xpu or cpu; `accelerator` the version of that stack."""

    version: str
    flavour: str
    accelerator: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that a diagnosis rests on. With a `toolchain_error` there is neither a compiler nor its cache."""

    capacity: Capacity
    environment: Mapping[str, str]
    torch: TorchFlavour | None = None
    torch_xla: bool = False
    nvcc: Tool | None = None
    cuda_home: str = ""
    hipcc: Tool | None = None
    icpx: Tool | None = None
    cxx: Tool | None = None
    cache: Cache | None = None
    toolchain_error: str = ""
    ninja: Tool | None = None
    cmake: Tool | None = None
    gpus: tuple[str, ...] = ()


def probe(environment: Mapping[str, str]) -> Machine:
    """Looks at the machine as a build with these environment variables would."""
    toolchain, toolchain_error = _toolchain(environment)
    return Machine(
        capacity=capacity(),
        environment=dict(environment),
        torch=torch_flavour(),
        torch_xla=package_root("torch_xla") is not None,
        nvcc=_tool("nvcc", environment, ("CUDA_HOME", "CUDA_PATH"), r"release (\d+)\.(\d+)", "/usr/local/cuda"),
        cuda_home=str(cuda_root(environment) or ""),
        hipcc=_tool("hipcc", environment, ("ROCM_PATH", "ROCM_HOME"), r"HIP version: (\d+)\.(\d+)", "/opt/rocm"),
        icpx=_tool("icpx", environment, ("CMPLR_ROOT",), r"Compiler (\d+)\.(\d+)", "/opt/intel/oneapi/compiler/latest"),
        cxx=_tool(toolchain.cxx[0], environment, (), r"(\d+)\.(\d+)\.\d+") if toolchain is not None else None,
        cache=toolchain.cache if toolchain is not None else None,
        toolchain_error=toolchain_error,
        ninja=_tool("ninja", environment, (), r"(\d+)\.(\d+)"),
        cmake=_tool("cmake", environment, (), r"version (\d+)\.(\d+)"),
        gpus=_nvidia_gpus(),
    )


def _tool(
    name: str, environment: Mapping[str, str], homes: tuple[str, ...], pattern: str, standard: str = ""
) -> Tool | None:
    """A program below a variable of `homes`, on PATH, or in its standard place; an empty variable is unset."""
    places = [str(Path(environment[home], "bin", name)) for home in homes if environment.get(home)]
    places += [name, str(Path(standard, "bin", name))] if standard else [name]
    path = next((found for place in places if (found := shutil.which(place, path=environment.get("PATH")))), None)
    return Tool(path, _version(path, pattern)) if path else None


def _toolchain(environment: Mapping[str, str]) -> tuple[Toolchain | None, str]:
    """What build-ext would compile with, or why it could not."""
    try:
        return find_toolchain(environment), ""
    except (MissingToolError, UsageError) as error:
        return None, str(error)


def _version(path: str, pattern: str) -> tuple[int, ...]:
    match = re.search(pattern, _output(path, "--version"))
    return tuple(int(part) for part in match.groups()) if match else (0,)


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout + done.stderr


def _nvidia_gpus() -> tuple[str, ...]:
    """Compute capabilities of the GPUs that the driver shows, such as 9.0."""
    path = shutil.which("nvidia-smi")
    if path is None:
        return ()
    listed = _output(path, "--query-gpu=compute_cap", "--format=csv,noheader")
    return tuple(dict.fromkeys(re.findall(r"^(\d+\.\d)$", listed, re.M)))


def torch_flavour() -> TorchFlavour | None:
    """What torch/version.py says; torch itself is not imported."""
    root = package_root("torch")
    if root is None:
        return None
    try:
        text = (root / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    return parse_torch_version(text)


def parse_torch_version(text: str) -> TorchFlavour:
    """The flavour of a torch from its version.py."""

    def value(name: str) -> str:
        match = re.search(rf"^{name}(?:\s*:[^=]+)?\s*=\s*['\"]([^'\"]+)['\"]", text, re.M)
        return match[1] if match else ""

    version = value("__version__")
    for flavour, name in (("cuda", "cuda"), ("rocm", "hip"), ("xpu", "xpu")):
        if value(name):
            numbers = tuple(int(part) for part in re.findall(r"\d+", value(name))[:2])
            return TorchFlavour(version, flavour, numbers)
    return TorchFlavour(version, "cpu")
