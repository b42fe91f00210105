"""The compiled extension: importing it registers `torch.ops.barrow.*`; its functions describe the host."""

from os import PathLike
from typing import Literal, TypedDict

import torch

MIN_TORCH = (2, 10)

if tuple(int(part) for part in torch.__version__.split(".")[:2]) < MIN_TORCH:
    # The dynamic linker would say "undefined symbol", which helps nobody.
    raise ImportError(f"barrow needs torch {'.'.join(map(str, MIN_TORCH))} or newer but found {torch.__version__}")

# After torch: the extension's symbols come from the libraries that torch has loaded.
from barrow.launcher import _C  # noqa: E402

__all__ = [
    "AuxKernel",
    "Candidate",
    "Cost",
    "Device",
    "DriverInfo",
    "GemmKernel",
    "Tuned",
    "TunedGpu",
    "choose",
    "driver",
    "kernels",
    "pack_path",
    "tuned",
    "verify_pack",
]


class Candidate(TypedDict):
    """A kernel that can run a shape, and how long the cost model says it takes.

    `measured`: the table of measured choices names it as the fastest for this shape and GPU.
    """

    kernel: str
    predicted_us: float
    measured: bool


class Cost(TypedDict):
    """Coefficients of the microseconds of one launch, fitted to measurements; launcher/choice.cpp has the formula.

    `memory`, `idle` and `again` are multiples of a time at the memory's peak, `throttle` is the share by which a long
    launch takes longer at the GPU's power limit.
    """

    fixed_us: float
    tile_us: float
    k_block_us: float
    load_us: float
    memory: float
    idle: float
    again: float
    throttle: float


class GemmKernel(TypedDict):
    """A GEMM kernel of this build. `row_scales_b` is 1 where each row of B has a scale of its own, `k_groups` where a
    launch takes products that differ in K, `alternates` where every other tile is summed from the end of K;
    `blocks_ahead` blocks of K of B are loaded while it waits for the kernels in front, `smem_bytes` is dynamic shared
    memory, `size` the bytes of its cubin. A `grouped_gemm` is for groups of rows."""

    name: str
    kind: Literal["gemm", "grouped_gemm"]
    arch: int
    out: Literal["bf16", "f32"]
    block_m: int
    block_n: int
    stages: int
    row_scales_b: int
    k_groups: int
    cluster_k: int
    cluster_n: int
    blocks_ahead: int
    alternates: int
    part_rows: int
    warpgroups: int
    threads: int
    smem_bytes: int
    ctas_per_sm: int
    store_rows: int
    store_columns: int
    cost: Cost
    size: int


class AuxKernel(TypedDict):
    """A kernel around the GEMMs: a quantizer, a step of a mixture of experts, or the copy of rows that TMA cannot
    address."""

    name: str
    kind: Literal["aux"]
    symbol: str
    size: int


class Device(TypedDict):
    """A GPU as the driver describes it; `capability` is [major, minor], `memory_gb_s` the peak bandwidth."""

    index: int
    name: str
    capability: list[int]
    num_sms: int
    memory_gb_s: int


class DriverInfo(TypedDict):
    """What the NVIDIA driver says. `version` is the newest CUDA it supports, as 1000 * major + 10 * minor."""

    available: bool
    version: int | None
    error: str | None
    devices: list[Device]


class TunedGpu(TypedDict):
    """A GPU with measured choices, and how many; they serve every GPU with its SM count and nearly its bandwidth."""

    name: str
    num_sms: int
    memory_gb_s: int
    choices: int


class Tuned(TypedDict):
    """The shipped table of measured choices: upper ends of its buckets of M, and the GPUs that it covers."""

    m_edges: list[int]
    gpus: list[TunedGpu]


def choose(
    m: int,
    n: int,
    k: int,
    out_dtype: Literal["bf16", "f32"],
    num_sms: int,
    memory_gb_s: int = 0,
    row_scales_b: bool = False,
    groups: int = 0,
) -> list[Candidate]:
    """Return every kernel that can run `D[m,n] = A[m,k] x B[n,k]^T` on a GPU, the chosen one first.

    The first is the measured one where the shape and the GPU are in the table (`tuned`); all else is in the order of
    the cost model's times. Pure: needs no GPU, and the operator takes the first one for the same arguments.

    Args:
        m, n, k: the shape, each from 1 to 2^31 - 1.
        out_dtype: "bf16" or "f32".
        num_sms: of the GPU.
        memory_gb_s: its peak bandwidth, as `driver` tells it. 0 stands for the first GPU of `tuned` with `num_sms`, and
            for an H100's where times are predicted.
        row_scales_b: whether b has a scale for each row, not for 128 of them. Nothing was measured there.
        groups: how many groups share the m rows, each with a matrix [n, k] of its own; 0 for a plain product. Times
            are predicted for groups that differ a lot in rows.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    return _C.choose(m, n, k, out_dtype, num_sms, memory_gb_s, row_scales_b, groups)


def tuned() -> Tuned:
    """Return what the shipped table of measured choices covers."""
    return _C.tuned()


def kernels() -> list[GemmKernel | AuxKernel]:
    """Return the kernels of this build in the order of its table, GEMM kernels first; empty when built without any."""
    return _C.kernels()


def pack_path() -> str:
    """Return where the file of compiled kernels lies, whether or not it is there."""
    return _C.pack_path()


def verify_pack(path: str | PathLike[str]) -> None:
    """Check the size, header and every kernel's CRC-32 of a pack; raise RuntimeError saying what is wrong with it."""
    _C.verify_pack(path)


def driver() -> DriverInfo:
    """Describe the NVIDIA driver and its GPUs. Never raises and never creates a CUDA context."""
    return _C.driver()
