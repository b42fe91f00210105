"""The environment variables of a build: an empty one means unset, a wrong one is an error that says what is right."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from barrow_build.config import ARCHS

# What one job may take. NVRTC and the C++ compiler were seen to take 120 MiB; a sanitizer or a debug build takes more.
JOB_BYTES = 512 << 20


class BuildError(Exception):
    """A build that cannot go on; the text says what was found and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a build was asked for. `precompiled` is the wheel whose binaries are taken instead of compiling."""

    device: str
    archs: tuple[str, ...]
    jobs: int
    precompiled: Path | None

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Settings":
        device = _device(env)
        return cls(device, _archs(env) if device == "cuda" else (), _jobs(env), _precompiled(env))


def _device(env: Mapping[str, str]) -> str:
    device = env.get("BARROW_TARGET_DEVICE", "").strip() or "cuda"
    if device not in ("cuda", "cpu"):
        raise BuildError(
            f"BARROW_TARGET_DEVICE is {device!r}; "
            "it must be 'cuda' (the default: kernels are built in) or 'cpu' (no kernels)"
        )
    return device


def _archs(env: Mapping[str, str], known: Sequence[str] = ARCHS) -> tuple[str, ...]:
    """The architectures asked for, in the order of the catalogue."""
    variable = next((name for name in ("BARROW_CUDA_ARCHS", "TORCH_CUDA_ARCH_LIST") if env.get(name, "").strip()), None)
    if variable is None:
        return tuple(known)
    wanted = set()
    for spelled in re.split(r"[\s;,]+", env[variable].strip(" ;,")):
        # PTX is accepted because lists shared by several projects often ask for it; barrow ships machine code only.
        digits_and_suffix = re.sub(r"\+ptx$", "", spelled.lower()).removeprefix("sm_").replace(".", "")
        # A list that names no variant (9.0) means the chip, and the chip runs the variant that has kernels (90a).
        served = [arch for arch in known if digits_and_suffix in (arch, arch.rstrip("af"))]
        if not served:
            raise BuildError(
                f"{variable} is {env[variable]!r}, but barrow has no kernels for {spelled!r}; it has them for: "
                f"{', '.join(known)}. Set BARROW_CUDA_ARCHS to a list of these (it goes before TORCH_CUDA_ARCH_LIST), "
                "or BARROW_TARGET_DEVICE=cpu to build without kernels"
            )
        wanted.update(served)
    return tuple(arch for arch in known if arch in wanted)


def _jobs(env: Mapping[str, str]) -> int:
    wanted = env.get("MAX_JOBS", "").strip()
    if not wanted:
        return max(1, min(len(os.sched_getaffinity(0)), available_memory() // JOB_BYTES))
    if not wanted.isdecimal() or int(wanted) < 1:
        raise BuildError(f"MAX_JOBS is {wanted!r}; it must be a whole number from 1")
    return int(wanted)


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that may still be taken: what the machine has left, or this control group if that is less."""
    lines = (line.split() for line in (root / "proc/meminfo").read_text().splitlines())
    machine = next(int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:")
    group = root / "sys/fs/cgroup"
    for limit, used in (
        (group / "memory.max", group / "memory.current"),
        (group / "memory/memory.limit_in_bytes", group / "memory/memory.usage_in_bytes"),
    ):
        if limit.is_file() and used.is_file() and (limit_text := limit.read_text().strip()) != "max":
            return max(0, min(machine, int(limit_text) - int(used.read_text())))
    return machine


def _precompiled(env: Mapping[str, str]) -> Path | None:
    wheel = env.get("BARROW_USE_PRECOMPILED", "").strip()
    if not wheel:
        return None
    path = Path(wheel).expanduser()
    if path.suffix != ".whl" or not path.is_file():
        raise BuildError(f"BARROW_USE_PRECOMPILED is {wheel!r}; it must be the path of a wheel of barrow that exists")
    return path.resolve()
