"""GPUs: names people use, what their hardware runs, and which driver the code needs."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from barrow_wheel.errors import UsageError
from barrow_wheel.readers.device_code import DeviceCode

# Compute capability times ten. From the vendors' tables of products.
CUDA_GPUS = {
    "p100": 60, "p40": 61, "gtx1080": 61, "v100": 70, "titanv": 70, "t4": 75, "rtx2080": 75,
    "a100": 80, "a30": 80, "a10": 86, "a10g": 86, "a16": 86, "a40": 86, "a6000": 86, "rtx3080": 86, "rtx3090": 86,
    "orin": 87, "l4": 89, "l40": 89, "l40s": 89, "rtx4080": 89, "rtx4090": 89, "rtx6000ada": 89,
    "h20": 90, "h100": 90, "h200": 90, "gh200": 90, "b200": 100, "gb200": 100, "b300": 103, "gb300": 103,
    "thor": 110, "rtx5070": 120, "rtx5080": 120, "rtx5090": 120, "rtxpro6000": 120, "gb10": 121, "spark": 121,
}  # fmt: skip
ROCM_GPUS = {
    "mi100": "gfx908", "mi210": "gfx90a", "mi250": "gfx90a", "mi250x": "gfx90a", "mi300a": "gfx942", "mi300x": "gfx942",
    "mi325x": "gfx942", "mi350x": "gfx950", "mi355x": "gfx950", "w7900": "gfx1100", "rx7900xtx": "gfx1100",
    "rx9070xt": "gfx1201", "strixhalo": "gfx1151",
}  # fmt: skip
# One of each generation that people buy; shown when nobody asks for particular ones.
USUAL_GPUS = ("t4", "a100", "rtx4090", "h100", "b200", "rtx5090")

# Family-specific code (suffix f) runs on these and nowhere else. 101 is what CUDA 12 called 110.
_FAMILIES = {100: (100, 103), 103: (103,), 101: (101, 110), 110: (110,), 120: (120, 121), 121: (121,)}

# Jetson and Drive: their binaries run on no other architecture, and no other's on them.
_TEGRA = (53, 62, 72, 87)

# PTX version -> the CUDA release whose driver first takes it.
_PTX_CUDA = {
    (6, 0): "9.0", (6, 1): "9.1", (6, 2): "9.2", (6, 3): "10.0", (6, 4): "10.1", (6, 5): "10.2", (7, 0): "11.0",
    (7, 1): "11.1", (7, 2): "11.2", (7, 3): "11.3", (7, 4): "11.4", (7, 5): "11.5", (7, 6): "11.6", (7, 7): "11.7",
    (7, 8): "11.8", (8, 0): "12.0", (8, 1): "12.1", (8, 2): "12.2", (8, 3): "12.3", (8, 4): "12.4", (8, 5): "12.5",
    (8, 6): "12.7", (8, 7): "12.8", (8, 8): "12.9", (9, 0): "13.0", (9, 1): "13.1", (9, 2): "13.2",
}  # fmt: skip
# CUDA release -> driver branch (Linux) that comes with it.
_CUDA_DRIVER = {
    "11.0": 450, "11.1": 455, "11.2": 460, "11.3": 465, "11.4": 470, "11.5": 495, "11.6": 510, "11.7": 515, "11.8": 520,
    "12.0": 525, "12.1": 530, "12.2": 535, "12.3": 545, "12.4": 550, "12.5": 555, "12.6": 560, "12.7": 565, "12.8": 570,
    "12.9": 575, "13.0": 580, "13.1": 590, "13.2": 595,
}  # fmt: skip

CUDA13_DRIVER = _CUDA_DRIVER["13.0"]


class Support(enum.Enum):
    """How a GPU runs a file's device code."""

    NATIVE = "native"
    JIT = "jit"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Gpu:
    """`arch` is the compute capability times ten, 90 for a Hopper."""

    name: str
    arch: int


def gpu(name: str) -> Gpu:
    """A GPU by product name (`h100`), architecture (`sm_90`) or capability (`9.0`)."""
    key = re.sub(r"[\s_-]", "", name.lower())
    match = re.fullmatch(r"(?:sm|compute)?(\d{2,3})[af]?|(\d{1,2})\.(\d)[af]?", key)
    if match:
        return Gpu(name, int(match[1]) if match[1] else int(match[2]) * 10 + int(match[3]))
    key = re.sub(r"^(?:nvidia|geforce|tesla)+", "", key)
    if key not in CUDA_GPUS:
        raise UsageError(
            f"--gpu {name}: unknown GPU; give an architecture such as sm_90, or one of {', '.join(CUDA_GPUS)}"
        )
    return Gpu(name, CUDA_GPUS[key])


def runs_natively(code: DeviceCode, arch: int) -> bool:
    """Whether a cubin runs on `arch` as it is.

    Plain code: same major version, equal or higher minor, but for and of Tegra exactly that one. `a`: exactly that one.
    `f`: its family. From "Binary Compatibility" of the CUDA programming guide.
    """
    if code.kind != "cubin":
        return False
    if code.variant == "a":
        return code.arch == arch
    if code.variant == "f":
        return arch in _FAMILIES.get(code.arch, (code.arch,))
    if code.arch in _TEGRA or arch in _TEGRA:
        return code.arch == arch
    return code.arch // 10 == arch // 10 and code.arch <= arch


def runs_by_jit(code: DeviceCode, arch: int) -> bool:
    """Whether the driver can compile this PTX for `arch` when the program runs."""
    if code.kind != "ptx":
        return False
    if code.variant == "a":
        return code.arch == arch
    if code.variant == "f":
        return arch in _FAMILIES.get(code.arch, (code.arch,))
    return code.arch <= arch


def support(codes: Iterable[DeviceCode], arch: int) -> Support:
    codes = tuple(codes)
    if any(runs_natively(code, arch) for code in codes):
        return Support.NATIVE
    return Support.JIT if any(runs_by_jit(code, arch) for code in codes) else Support.NONE


def driver_floor(code: DeviceCode) -> int:
    """The oldest driver branch that takes this code; what cannot be told apart counts as the older.

    Cubins: CUDA 13 writes ELF ABI version 8 throughout, CUDA 12.8 and later from sm_100 on, everything
    older 7. An ABI 7 cubin may come from CUDA 11 or 12; 525, the floor of CUDA 12, is what is reported, because no
    current torch supports CUDA 11, whose floor is 450.
    """
    if code.kind == "ptx":
        return _CUDA_DRIVER.get(_PTX_CUDA.get(code.ptx_isa, ""), 0)
    if code.abi >= 8:
        return _CUDA_DRIVER["12.8"] if code.arch >= 100 else CUDA13_DRIVER
    return _CUDA_DRIVER["12.0"]
