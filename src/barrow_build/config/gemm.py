"""The spec of one dense FP8 GEMM kernel and the rules that make it legal on Hopper."""

from dataclasses import dataclass, field
from math import gcd
from typing import Literal

OutDtype = Literal["bf16", "f32"]

# Hopper: the most dynamic shared memory of a block, in bytes (CUDA C++ Programming Guide, compute capability 9.0).
SMEM_LIMIT = 227 * 1024
SCALE_BLOCK = 128
WGMMA_M = 64
WARPGROUP = 128
OUT_BYTES = {"bf16": 2, "f32": 4}
REGISTERS_PER_SM = 65536
REGISTERS_PER_THREAD = 255
# A thread that copies scales holds the addresses of its rows.
PRODUCER_REGISTERS = 40
# Addresses, scales and loop state of a math thread beside its accumulators.
BOOKKEEPING_REGISTERS = 32


class SpecError(ValueError):
    """A spec that no Hopper kernel can have."""


@dataclass(frozen=True)
class CostModel:
    """Coefficients of the microseconds of one launch, fitted to measurements; launcher/choice.cpp adds them up."""

    fixed_us: float = 0.0
    tile_us: float = 0.0
    k_block_us: float = 0.0
    load_us: float = 0.0
    overflow_us: float = 0.0


@dataclass(frozen=True, order=True)
class GemmSpec:
    """D[M,N] = A[M,K] x B[N,K]^T with tiles of `block_m` x `block_n`, 128 of K a stage.

    `cluster_k` CTAs split the K of one tile and add their sums up in a fixed order, which fills the GPU where tiles are
    few. `warpgroups` math warpgroups split the rows of a tile.
    """

    block_m: int
    block_n: int
    stages: int
    cluster_k: int = 1
    warpgroups: int = 1
    out: OutDtype = "bf16"
    arch: str = "90a"
    cost: CostModel = field(default=CostModel(), compare=False)

    @property
    def name(self) -> str:
        """The one name of this kernel: symbol, manifest row, benchmark row and error message."""
        return (
            f"fp8_gemm_nt_{self.out}_sm{self.arch}_{self.block_m}x{self.block_n}x{SCALE_BLOCK}"
            f"_s{self.stages}_k{self.cluster_k}_w{self.warpgroups}"
        )

    @property
    def source(self) -> str:
        return "fp8_gemm_nt.cu"

    @property
    def threads(self) -> int:
        """One warpgroup of producers and the math warpgroups."""
        return WARPGROUP * (1 + self.warpgroups)

    @property
    def math_registers(self) -> int:
        """Registers of a math thread after the producers have handed theirs over (a multiple of 8)."""
        at_entry = min(REGISTERS_PER_SM // self.threads // 8 * 8, REGISTERS_PER_THREAD)
        if not self.exchanges_registers:
            return at_entry
        math_threads = self.threads - WARPGROUP
        return (at_entry * self.threads - PRODUCER_REGISTERS * WARPGROUP) // math_threads // 8 * 8

    @property
    def exchanges_registers(self) -> bool:
        """A lone math warpgroup has all a thread can use from the start."""
        return self.threads > 2 * WARPGROUP

    @property
    def waves(self) -> int:
        """Times 64 rows that a math warpgroup multiplies of each tile."""
        return self.block_m // (WGMMA_M * self.warpgroups)

    @property
    def in_flight(self) -> int:
        """Partial sums a math thread can hold beside the running sum: with two, promotion overlaps multiplication."""
        return 2 if self.waves == 1 and self._registers_for(2) <= self.math_registers else 1

    def _registers_for(self, partial_sums: int) -> int:
        return (self.waves + partial_sums) * self.accumulators + BOOKKEEPING_REGISTERS

    @property
    def accumulators(self) -> int:
        """Registers of a thread for one 64 x `block_n` sum."""
        return self.block_n * WGMMA_M // WARPGROUP

    @property
    def store_width(self) -> int:
        """Columns of D that one bulk store covers: a swizzle span of 32, 64 or 128 bytes."""
        return gcd(self.block_n // self.cluster_k, 64)

    @property
    def smem_bytes(self) -> int:
        """Dynamic shared memory of a block, laid out as the kernel's struct Shared."""
        tiles = self.stages * (self.block_m + self.block_n) * SCALE_BLOCK
        staged = self.block_m * self.block_n // self.cluster_k * 2 if self.out == "bf16" else 0
        partial = self.block_m * self.block_n * 4 if self.cluster_k > 1 else 0
        scales = self.stages * self.block_m * 4
        barriers = (2 * self.stages + 2) * 8
        return tiles + staged + partial + scales + barriers

    def defines(self) -> dict[str, str]:
        """Macros that turn the source into this kernel."""
        return {
            "KERNEL_NAME": self.name,
            "BLOCK_M": str(self.block_m),
            "BLOCK_N": str(self.block_n),
            "STAGES": str(self.stages),
            "CLUSTER_K": str(self.cluster_k),
            "WARPGROUPS": str(self.warpgroups),
            "IN_FLIGHT": str(self.in_flight),
            "PRODUCER_REGISTERS": str(PRODUCER_REGISTERS),
            "MATH_REGISTERS": str(self.math_registers if self.exchanges_registers else 0),
            "OUT_BF16": str(int(self.out == "bf16")),
        }

    def violations(self) -> list[str]:
        """Every rule this spec breaks; an empty list means that it can be compiled and launched."""
        slice_n = self.block_n // self.cluster_k
        rows = WGMMA_M * self.warpgroups
        registers = self._registers_for(1)
        rules = [
            (self.block_m in (rows, 2 * rows), "each warpgroup takes 64 or 128 rows of block_m"),
            (self.block_n % 16 == 0 and 16 <= self.block_n <= 256, "block_n must be a multiple of 16 from 16 to 256"),
            (self.stages >= 2, "stages must be at least 2, or loads and math cannot overlap"),
            (self.warpgroups <= 3, "at most 3 math warpgroups: more leave too few registers"),
            (self.cluster_k <= 8, "a portable cluster has at most 8 CTAs"),
            (self.cluster_k == 1 or self.waves == 1, "split K takes 64 rows a warpgroup"),
            (slice_n % 16 == 0, "each CTA of a cluster that splits K stores a multiple of 16 columns"),
            (registers <= self.math_registers, f"{registers} registers a math thread exceed {self.math_registers}"),
            (self.smem_bytes <= SMEM_LIMIT, f"{self.smem_bytes} bytes of shared memory exceed {SMEM_LIMIT}"),
        ]
        return [text for ok, text in rules if not ok]

    def check(self) -> "GemmSpec":
        """Return the spec itself, or raise SpecError with every broken rule."""
        if broken := self.violations():
            raise SpecError(f"{self.name}: {'; '.join(broken)}")
        return self
