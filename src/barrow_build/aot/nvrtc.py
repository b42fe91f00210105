"""Compiles one kernel to a cubin with NVRTC, in this process."""

import ctypes
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata

from cuda.bindings import nvrtc

from barrow_build.aot.environment import BuildError
from barrow_build.aot.kernel import Cubin
from barrow_build.config import AuxSpec, GemmSpec

_DISTRIBUTION = "nvidia-cuda-nvrtc-cu12"


@cache
def toolchain() -> str:
    """Load the pinned compiler into this process; its name and version, as the manifest and the cache know it."""
    try:
        distribution = metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise BuildError(f"the kernels are compiled by {_DISTRIBUTION}, which is not installed") from error
    # cuda.bindings takes the one that is loaded already. By itself it would not look into pip's isolated build
    # environment, and take a CUDA toolkit that LD_LIBRARY_PATH names.
    for file in distribution.files or ():
        if file.name.startswith("libnvrtc.so."):
            ctypes.CDLL(str(distribution.locate_file(file)))
    result, major, minor = nvrtc.nvrtcVersion()
    _require(result, "nvrtcVersion")
    if not distribution.version.startswith(f"{major}.{minor}."):
        raise BuildError(f"{_DISTRIBUTION} is {distribution.version}, but the NVRTC that was loaded is {major}.{minor}")
    return f"nvrtc {distribution.version}"


def options(spec: GemmSpec | AuxSpec) -> tuple[str, ...]:
    """Compiler options of a kernel, its macros among them."""
    return (
        f"--gpu-architecture=sm_{spec.arch}",
        "--std=c++17",
        "--ptxas-options=-v",
        *(f"--define-macro={name}={value}" for name, value in sorted(spec.defines().items())),
    )


def compile_kernel(spec: GemmSpec | AuxSpec, sources: Mapping[str, bytes]) -> Cubin:
    """Compile a kernel from exactly `sources`. Raises BuildError with the log for an error or a warning."""
    toolchain()
    headers = {name.encode(): text for name, text in sources.items() if name != spec.source}
    result, program = nvrtc.nvrtcCreateProgram(
        sources[spec.source], spec.source.encode(), len(headers), list(headers.values()), list(headers)
    )
    _require(result, "nvrtcCreateProgram")
    try:
        flags = [option.encode() for option in options(spec)]
        (result,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        log = _fetch(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
        if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise BuildError(f"{spec.name}: {nvrtc.nvrtcGetErrorString(result)[1].decode()}\n{log}")
        image = _fetch(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return read_log(spec.name, log, image)


def read_log(name: str, log: str, image: bytes) -> Cubin:
    """Resources of the kernel `name` from the assembler's report; a warning or a second kernel in `log` is an error."""
    # Two things are reported as mere information: serialised wgmma, which costs half the speed, and a wait for it that
    # the source does not have, which undoes what was meant to go on meanwhile.
    if re.search(r"warning|Potential Performance Loss|warpgroup\.wait is injected", log):
        raise BuildError(f"{name}: the compiler warns, and warnings are errors\n{log}")
    if (entries := re.findall(r"Compiling entry function '(\w+)'", log)) != [name]:
        raise BuildError(f"{name}: the source must define this one kernel, but it defines {entries}")

    def number(pattern: str) -> int:
        return sum(int(found) for found in re.findall(pattern, log))

    return Cubin(
        image,
        registers=number(r"Used (\d+) registers"),
        spill_bytes=number(r"(\d+) bytes spill (?:stores|loads)"),
        static_smem_bytes=number(r"(\d+) bytes smem"),
    )


def _fetch(size_of, read, program) -> bytes:  # type: ignore[no-untyped-def]
    result, size = size_of(program)
    _require(result, size_of.__name__)
    buffer = bytes(size)
    (result,) = read(program, buffer)
    _require(result, read.__name__)
    return buffer


def _require(result: nvrtc.nvrtcResult, call: str) -> None:
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise BuildError(f"{call} failed: {result.name}")
