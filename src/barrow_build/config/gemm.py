"""The spec of one dense FP8 GEMM kernel and the rules that make it legal on Hopper."""

from dataclasses import dataclass, field
from math import gcd
from typing import Literal

OutDtype = Literal["bf16", "f32"]

# Hopper: the most dynamic shared memory a block can have, in bytes (CUDA C++ Programming Guide, compute capability 9.0).
SMEM_LIMIT = 227 * 1024
SCALE_BLOCK = 128
WGMMA_M = 64
WARPGROUP = 128
OUT_BYTES = {"bf16": 2, "f32": 4}
# The float32 accumulators of one thread: the running sum and the partial sum of the current 128 of K.
ACCUMULATOR_LIMIT = 192


class SpecError(ValueError):
    """A spec that no Hopper kernel can have."""


@dataclass(frozen=True)
class CostModel:
    """Microseconds of one launch: `fixed_us + waves * (tile_us + k_blocks * k_block_us)`, fitted to measurements."""

    fixed_us: float
    tile_us: float
    k_block_us: float


@dataclass(frozen=True, order=True)
class GemmSpec:
    """D[M,N] = A[M,K] x B[N,K]^T with tiles of `block_m` x `block_n`, 128 of K a stage.

    `cluster_m` CTAs along M share one tile of B by multicast, `cluster_n` along N one tile of A.
    `warpgroups_m` math warpgroups split the rows of a tile; `warpgroups_k` split its K blocks among
    themselves and are summed in a fixed order, which shortens the serial chain where tiles are few.
    """

    block_m: int
    block_n: int
    stages: int
    cluster_m: int = 1
    cluster_n: int = 1
    warpgroups_m: int = 1
    warpgroups_k: int = 1
    out: OutDtype = "bf16"
    arch: str = "90a"
    cost: CostModel = field(default=CostModel(3.0, 1.0, 0.3), compare=False)

    @property
    def name(self) -> str:
        """The one name of this kernel: symbol, manifest row, benchmark row and error message."""
        return (
            f"fp8_gemm_nt_{self.out}_sm{self.arch}_{self.block_m}x{self.block_n}x{SCALE_BLOCK}"
            f"_s{self.stages}_c{self.cluster_m}x{self.cluster_n}_w{self.warpgroups_m}x{self.warpgroups_k}"
        )

    @property
    def source(self) -> str:
        return "fp8_gemm_nt.cu"

    @property
    def threads(self) -> int:
        """One warpgroup of producers and the math warpgroups."""
        return WARPGROUP * (1 + self.warpgroups_m * self.warpgroups_k)

    @property
    def b_scale_width(self) -> int:
        """Columns of a tile that surely share one scale of B, wherever the tile starts."""
        return gcd(self.block_n, SCALE_BLOCK)

    @property
    def store_width(self) -> int:
        """Columns of D that one bulk store covers: a swizzle span of 32, 64 or 128 bytes."""
        return gcd(self.block_n, 64)

    @property
    def stage_bytes(self) -> int:
        return (self.block_m + self.block_n) * SCALE_BLOCK

    @property
    def scale_bytes(self) -> int:
        """Scales of one stage: one per row of A, one per `b_scale_width` columns of B, padded to 16 bytes."""
        return -(-(self.block_m + self.block_n // self.b_scale_width) // 4) * 16

    @property
    def epilogue_bytes(self) -> int:
        """The tile of D on its way to the bulk store (float32 output is stored from registers)."""
        return self.block_m * self.block_n * 2 if self.out == "bf16" else 0

    @property
    def reduction_bytes(self) -> int:
        """Partial sums that all but the first K warpgroup hand over."""
        return (self.warpgroups_k - 1) * self.block_m * self.block_n * 4

    @property
    def smem_bytes(self) -> int:
        """Dynamic shared memory of a block, with 1024 bytes to align the first tile for the 128-byte swizzle."""
        barriers = 2 * 8 * self.stages
        return (
            1024
            + self.stages * (self.stage_bytes + self.scale_bytes)
            + self.epilogue_bytes
            + self.reduction_bytes
            + barriers
        )

    def defines(self) -> dict[str, str]:
        """Macros that turn the source into this kernel."""
        return {
            "KERNEL_NAME": self.name,
            "BLOCK_M": str(self.block_m),
            "BLOCK_N": str(self.block_n),
            "STAGES": str(self.stages),
            "CLUSTER_M": str(self.cluster_m),
            "CLUSTER_N": str(self.cluster_n),
            "WARPGROUPS_M": str(self.warpgroups_m),
            "WARPGROUPS_K": str(self.warpgroups_k),
            "OUT_BF16": str(int(self.out == "bf16")),
        }

    def violations(self) -> list[str]:
        """Every rule this spec breaks; an empty list means that it can be compiled and launched."""
        rows = self.block_m // max(self.warpgroups_m, 1)
        accumulators = self.block_n * (rows // WGMMA_M + 1) // 2
        rules = [
            (
                self.block_m % (WGMMA_M * self.warpgroups_m) == 0,
                "block_m must be a multiple of 64 per warpgroup along M",
            ),
            (self.block_n % 16 == 0 and 16 <= self.block_n <= 256, "block_n must be a multiple of 16 from 16 to 256"),
            (self.stages >= 2, "stages must be at least 2, or loads and math cannot overlap"),
            # Phases are told apart by parity: a stage read by two warpgroups in turn would let one of them, early by
            # a round, mistake the previous phase for its own.
            (self.stages % self.warpgroups_k == 0, "stages must be a multiple of warpgroups_k"),
            (self.warpgroups_m * self.warpgroups_k <= 4, "at most 4 math warpgroups"),
            (self.cluster_m * self.cluster_n <= 8, "a portable cluster has at most 8 CTAs"),
            (self.block_n % (8 * self.cluster_m) == 0, "each CTA of a cluster loads a multiple of 8 rows of B"),
            (self.block_m % (8 * self.cluster_n) == 0, "each CTA of a cluster loads a multiple of 8 rows of A"),
            (accumulators <= ACCUMULATOR_LIMIT, f"{accumulators} accumulators a thread do not fit the registers"),
            (self.smem_bytes <= SMEM_LIMIT, f"{self.smem_bytes} bytes of shared memory exceed {SMEM_LIMIT}"),
        ]
        return [text for ok, text in rules if not ok]

    def check(self) -> "GemmSpec":
        """Return the spec itself, or raise SpecError with every broken rule."""
        if broken := self.violations():
            raise SpecError(f"{self.name}: {'; '.join(broken)}")
        return self
