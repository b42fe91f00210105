"""What this machine can spend on a build: processors and memory, container limits included."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
# Peak resident memory of one compiler process: a file with torch/extension.h takes g++ 12 1.5 GiB, one with pybind11
# alone 0.3 GiB (examples/torch_extension with torch 2.13 and -O2); rounded up for what the caller's own code adds.
TORCH_JOB_BYTES = 2 * GIB
PLAIN_JOB_BYTES = 1 * GIB
_CGROUP_MEMORY = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CGROUP_USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")
_CGROUP_CPU = "/sys/fs/cgroup/cpu.max"


@dataclass(frozen=True, slots=True)
class Capacity:
    """Processors that may be used, and bytes of memory that are free for a build."""

    cpus: int
    memory: int


def capacity() -> Capacity:
    return Capacity(_cpus(), _memory())


def jobs_within(available: Capacity, bytes_per_job: int) -> int:
    """How many compilers may run at once: bounded by processors, and by memory; at least one."""
    return max(1, min(available.cpus, available.memory // bytes_per_job))


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota, _, period = _read(_CGROUP_CPU).partition(" ")
    if quota.isdigit() and period.strip().isdigit() and int(period):
        cpus = min(cpus, max(1, int(quota) // int(period)))
    return int(cpus)


def _memory() -> int:
    available = 4 * GIB
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    for limit_file, used_file in zip(_CGROUP_MEMORY, _CGROUP_USED, strict=True):
        limit, used = _read(limit_file).strip(), _read(used_file).strip()
        if limit.isdigit() and used.isdigit():
            available = min(available, max(int(limit) - int(used), 0))
    return available


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
