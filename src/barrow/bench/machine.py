"""What a result was measured on, and the floor that it is compared with."""

import hashlib
import os
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import barrow
from barrow import launcher
from barrow.linear import rules, target

# What a large device-to-device copy moves per second, reads and writes counted: the ceiling of a floor. Measured on an
# H100 and an H200 SXM, by the peak bandwidth that the driver tells in GB/s; other GPUs get the mean of their fractions.
MEASURED_TB_S = {3352: 3.0, 4814: 4.3}
FRACTION_OF_PEAK = 0.885
# Operations per second that dense FP8 matrix products reach on both, with scales applied.
FP8_TFLOPS = 1500.0


@dataclass(frozen=True)
class Machine:
    """GPU, software and the ceilings that floors are computed from.

    `memory_gb_s` is the peak bandwidth, `bandwidth_tb_s` what a copy reaches; `kernels` begins the SHA-256 of the pack.
    """

    gpu: str
    slug: str
    num_sms: int
    memory_gb_s: int
    driver: str
    torch: str
    barrow: str
    commit: str
    kernels: str
    bandwidth_tb_s: float

    def floor_us(self, m: int, n: int, k: int, *, activation_bytes: int = 1, cold: bool = True) -> float:
        """Microseconds below which no FP8 kernel with bf16 output can be.

        The larger of two times: every operand and the result moved once (none of it where operands are warm in L2), and
        all operations. `activation_bytes` is 2 where activations arrive as bfloat16 and are quantised on the way.
        """
        moved = activation_bytes * m * k + n * k + 2 * m * n if cold else 0
        return self.least_us(moved, 2 * m * n * k)

    def least_us(self, moved: float, operations: float) -> float:
        """Microseconds that moving so many bytes or doing so many operations takes, whichever is longer."""
        return max(moved / (self.bandwidth_tb_s * 1e6), operations / (FP8_TFLOPS * 1e6))

    def title(self) -> str:
        """What a run prints above its table."""
        return f"{self.gpu}, driver {self.driver}, torch {self.torch}, barrow {self.barrow} ({self.commit})"

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def copy_bandwidth_tb_s(memory_gb_s: int) -> float:
    """What a large copy reaches of a peak bandwidth."""
    for peak, measured in MEASURED_TB_S.items():
        if abs(memory_gb_s - peak) < peak / 100:
            return measured
    return memory_gb_s / 1e3 * FRACTION_OF_PEAK


def slug_of(gpu: str) -> str:
    """The GPU's short name in file names: "NVIDIA H100 80GB HBM3" is h100, "NVIDIA H100 PCIe" h100-pcie."""
    found = re.search(r"\b(G?H\d+)(?: (NVL|PCIe))?", gpu)
    return "-".join(part.lower() for part in found.groups() if part) if found else "gpu"


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _commit() -> str:
    """The commit of the sources, if barrow runs from them; BARROW_COMMIT names it where it runs from a wheel."""
    if named := os.environ.get("BARROW_COMMIT"):
        return named
    root = Path(__file__).resolve().parents[3]
    # A wheel may be installed below some other project's repository.
    in_sources = (root / "src/barrow").is_dir()
    return (_output("git", "-C", str(root), "rev-parse", "--short", "HEAD") if in_sources else "") or "unknown"


def this_machine() -> Machine:
    """The current CUDA device. Raises RuntimeError saying what is missing where barrow's kernels cannot run."""
    if missing := rules.no_kernels(target.here(torch.device("cuda"))):
        raise RuntimeError(f"it needs a Hopper GPU (H100, H200), but {missing}")
    device = launcher.driver()["devices"][torch.cuda.current_device()]
    gpu = device["name"]
    return Machine(
        gpu=gpu,
        slug=slug_of(gpu),
        num_sms=device["num_sms"],
        memory_gb_s=device["memory_gb_s"],
        driver=_output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split("\n")[0] or "unknown",
        torch=torch.__version__,
        barrow=barrow.__version__,
        commit=_commit(),
        kernels=hashlib.sha256(Path(launcher.pack_path()).read_bytes()).hexdigest()[:12],
        bandwidth_tb_s=copy_bandwidth_tb_s(device["memory_gb_s"]),
    )
