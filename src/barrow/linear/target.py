"""Where a layer would run: the facts about a device and its software that decide, and GPUs known by name."""

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from barrow import launcher

Vendor = Literal["nvidia", "amd"]

# The CUDA whose cuBLASLt first multiplied with 1 x 128 and 128 x 128 scales, and that torch's builds have passed.
CUDA_OF_NAMED_GPUS = (12, 9)


@dataclass(frozen=True)
class Target:
    """A device, real or named.

    Attributes:
        name: for messages.
        device_type: torch's: "cuda" (ROCm's too), "cpu", "xpu", "meta" ...
        vendor: who made a "cuda" device; None for all others.
        capability: NVIDIA's compute capability; None for all others and where it cannot be asked.
        num_sms: multiprocessors; None where unknown.
        memory_gb_s: peak bandwidth of its memory, as NVIDIA's driver tells it; 0 where unknown.
        cuda: the CUDA that torch was built with; None without.
        problem: why nothing runs on the device, a missing driver for example; None where it works.
        triton: whether Triton can be imported.
    """

    name: str
    device_type: str
    vendor: Vendor | None = None
    capability: tuple[int, int] | None = None
    num_sms: int | None = None
    cuda: tuple[int, int] | None = None
    problem: str | None = None
    triton: bool = False
    memory_gb_s: int = 0


def _nvidia(name: str, capability: tuple[int, int], num_sms: int, memory_gb_s: int = 0) -> Target:
    return Target(name, "cuda", "nvidia", capability, num_sms, CUDA_OF_NAMED_GPUS, None, True, memory_gb_s)


# With torch's build for them, a driver and Triton: what a machine that serves models has.
NAMED = {
    "H100": _nvidia("H100", (9, 0), 132, 3352),
    "H100-PCIe": _nvidia("H100-PCIe", (9, 0), 114, 2039),
    "H200": _nvidia("H200", (9, 0), 132, 4814),
    "GH200": _nvidia("GH200", (9, 0), 132, 4023),
    "H20": _nvidia("H20", (9, 0), 78, 4023),
    "B200": _nvidia("B200", (10, 0), 148),
    "A100": _nvidia("A100", (8, 0), 108),
    "L40S": _nvidia("L40S", (8, 9), 142),
    "L4": _nvidia("L4", (8, 9), 58),
    "MI300X": Target("MI300X", "cuda", "amd", num_sms=304, triton=True),
    "xpu": Target("xpu", "xpu", triton=True),
    "cpu": Target("cpu", "cpu"),
}


def named(name: str) -> Target:
    """Return a target by its name, upper or lower case.

    Raises:
        ValueError: listing the names that are known.
    """
    for known, target in NAMED.items():
        if known.lower() == name.lower():
            return target
    raise ValueError(f"barrow: no GPU is known by the name {name!r}; pass one of {', '.join(NAMED)}")


def _triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def _version(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    major, minor, *_ = text.split(".")
    return int(major), int(minor)


def _cuda(device: torch.device) -> Target:
    name, cuda = str(device), _version(torch.version.cuda)
    if torch.version.hip is not None:
        return Target(name, "cuda", "amd", triton=_triton())
    driver = launcher.driver()
    problem, capability, num_sms, memory_gb_s = None, None, None, 0
    if not driver["available"]:
        problem = str(driver["error"]).removeprefix("barrow: ")
    elif not torch.cuda.is_available():
        problem = f"torch {torch.__version__} sees no CUDA device"
    else:
        capability = torch.cuda.get_device_capability(device)
        index = device.index or 0
        for each in driver["devices"]:
            if each["index"] == index:
                num_sms, memory_gb_s = each["num_sms"], each["memory_gb_s"]
    return Target(name, "cuda", "nvidia", capability, num_sms, cuda, problem, _triton(), memory_gb_s)


@cache
def here(device: torch.device) -> Target:
    """Describe a device of this machine, which need not exist. Creates no CUDA context where there is no GPU."""
    if device.type == "cuda":
        return _cuda(device)
    return Target(str(device), device.type, triton=_triton())


def target_of(where: torch.device | str | Target) -> Target:
    """Describe a device as callers say it: a target, a device of torch, or the name of a GPU.

    Raises:
        ValueError: listing the names that are known.
    """
    if isinstance(where, Target):
        return where
    try:
        device = torch.device(where)
    except RuntimeError:
        return named(str(where))
    return here(device)
