"""What a result was measured on."""

import os
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

# What a large device-to-device copy moves per second, reads and writes counted: the ceiling of a floor.
# The names are substrings of what the driver calls the GPU.
BANDWIDTH_TB_S = {"H100": 3.0, "H200": 4.3}
# Operations per second that dense FP8 matrix products reach on both, with scales applied.
FP8_TFLOPS = 1500.0


@dataclass(frozen=True)
class Machine:
    """GPU, software and the ceilings that floors are computed from."""

    gpu: str
    num_sms: int
    driver: str
    torch: str
    barrow: str
    commit: str
    bandwidth_tb_s: float

    def floor_us(self, m: int, n: int, k: int) -> float:
        """Microseconds below which no FP8 kernel with bf16 output can be: every byte moved once, or every operation."""
        moved = m * k + n * k + 2 * m * n
        return max(moved / (self.bandwidth_tb_s * 1e6), 2 * m * n * k / (FP8_TFLOPS * 1e6))

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @property
    def slug(self) -> str:
        """The GPU's short name in file names."""
        return next((name.lower() for name in BANDWIDTH_TB_S if name in self.gpu), "gpu")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _commit() -> str:
    """The commit of the source tree; BARROW_COMMIT names it where the tree came without git."""
    here = Path(__file__).resolve().parent
    return (
        os.environ.get("BARROW_COMMIT") or _output("git", "-C", str(here), "rev-parse", "--short", "HEAD") or "unknown"
    )


def _barrow_version() -> str:
    try:
        return version("barrow")
    except PackageNotFoundError:
        return "unknown"


def this_machine() -> Machine:
    """The current CUDA device. Raises RuntimeError where there is none."""
    if not torch.cuda.is_available():
        raise RuntimeError(f"needs an NVIDIA GPU, but torch {torch.__version__} sees none")
    gpu = torch.cuda.get_device_name()
    bandwidth = next((tb_s for name, tb_s in BANDWIDTH_TB_S.items() if name in gpu), None)
    if bandwidth is None:
        raise RuntimeError(f"no bandwidth is known for {gpu}; add it to BANDWIDTH_TB_S in benchmarks/machine.py")
    return Machine(
        gpu=gpu,
        num_sms=torch.cuda.get_device_properties(torch.cuda.current_device()).multi_processor_count,
        driver=_output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split("\n")[0] or "unknown",
        torch=torch.__version__,
        barrow=_barrow_version(),
        commit=_commit(),
        bandwidth_tb_s=bandwidth,
    )
