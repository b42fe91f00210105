"""The spec of one dense FP8 GEMM kernel and the rules that make it legal on Hopper."""

from dataclasses import dataclass, field
from math import gcd
from typing import Literal

OutDtype = Literal["bf16", "f32"]

# Hopper: the most dynamic shared memory of a block, in bytes (CUDA C++ Programming Guide, compute capability 9.0).
SMEM_LIMIT = 227 * 1024
SMEM_PER_SM = 228 * 1024
SCALE_BLOCK = 128
WGMMA_M = 64
# Elements of the largest tile whose sums math threads have registers for.
LARGEST_TILE = 256 * 128
# Where the copy engine writes in shared memory, in bytes.
TMA_ALIGNMENT = 128
WARP = 32
WARPGROUP = 128
OUT_BYTES = {"bf16": 2, "f32": 4}
REGISTERS_PER_SM = 65536
REGISTERS_PER_THREAD = 255
# A thread that copies scales holds the addresses of its rows.
PRODUCER_REGISTERS = 32
# Addresses, scales and loop state of a math thread beside its accumulators.
BOOKKEEPING_REGISTERS = 32
# Of a math thread, for its part of 64 rows of B and 128 of K.
HELD_REGISTERS = SCALE_BLOCK * WGMMA_M // WARPGROUP // 4
# Three CTAs that split K = 7168 then have room for all. With more N = 2112 took as long, N = 4096 longer.
MOST_HELD = 8
# Of B on its way ahead, for each of two CTAs that share an SM: 64 KB keep the memory busy.
BYTES_AT_ONCE = 32 * 1024


class SpecError(ValueError):
    """A spec that no Hopper kernel can have."""


@dataclass(frozen=True)
class CostModel:
    """Coefficients of the microseconds of one launch, fitted to measurements; launcher/choice.cpp has the formula.

    `memory`, `idle` and `again` are multiples of a time at the memory's peak, `throttle` is the share by which a long
    launch takes longer at the GPU's power limit. Without an argument the costs of a kernel that nothing was fitted for:
    it is chosen only where no other can run.
    """

    fixed_us: float = 1e9
    tile_us: float = 0.0
    k_block_us: float = 0.0
    load_us: float = 0.0
    memory: float = 0.0
    idle: float = 0.0
    again: float = 0.0
    throttle: float = 0.0


@dataclass(frozen=True, order=True)
class GemmSpec:
    """D[M,N] = A[M,K] x B[N,K]^T with tiles of `block_m` x `block_n`, 128 of K a stage.

    `cluster_k` CTAs split the K of one tile and add their sums up in a fixed order, which fills the GPU where tiles are
    few. `cluster_n` CTAs have tiles beside each other along N and load their rows of A together. `warpgroups` math
    warpgroups split the rows of a tile, or, `swapped`, its columns: then B lies on the 64 rows of wgmma and A, of few
    rows, on its narrow side. With `row_scales_b` each row of B has a scale of its own, where otherwise 128 share one. A
    `grouped` kernel multiplies groups of rows of A, which only the GPU knows, each by a matrix of its own in B[G,N,K].
    One of `k_groups` has operands and a result for each group, with a K of its own.
    """

    block_m: int
    block_n: int
    stages: int
    cluster_k: int = 1
    cluster_n: int = 1
    warpgroups: int = 1
    swapped: bool = False
    row_scales_b: bool = False
    grouped: bool = False
    out: OutDtype = "bf16"
    arch: str = "90a"
    cost: CostModel = field(default=CostModel(), compare=False)

    @property
    def name(self) -> str:
        """The one name of this kernel: symbol, manifest row, benchmark row and error message."""
        return (
            f"fp8_gemm_nt_{self.out}_sm{self.arch}_{self.block_m}x{self.block_n}x{SCALE_BLOCK}"
            f"_s{self.stages}_k{self.cluster_k}{f'_n{self.cluster_n}' if self.cluster_n > 1 else ''}"
            f"_w{self.warpgroups}{'_swapped' if self.swapped else ''}"
            f"{'_rows' if self.row_scales_b else ''}{'_grouped' if self.grouped else ''}"
        )

    @property
    def source(self) -> str:
        return "fp8_gemm_nt.cu"

    @property
    def ctas_per_sm(self) -> int:
        """CTAs that an SM has room for: two of those for few rows, so that the next kernel's can come in early."""
        return 2 if self.swapped else 1

    @property
    def threads(self) -> int:
        """The math warpgroups and the producers: a warpgroup where it hands registers over, else as many warps."""
        producers = 2 if self.ahead_warp else 1
        return WARPGROUP * self.warpgroups + (WARPGROUP if self.exchanges_registers else WARP * producers)

    @property
    def ahead_warp(self) -> bool:
        """Whether a warp of its own loads B ahead, a few blocks of K at a time, so that A need not wait for all: in
        kernels for few rows. Which matrices of groups are needed no launch knows ahead."""
        return not self.grouped and (self.block_m <= WGMMA_M or self.cluster_k > 1)

    @property
    def math_registers(self) -> int:
        """Registers of a math thread after the producer has handed its own over (a multiple of 8)."""
        # Warps are dealt to an SM's four partitions, each with a quarter of its registers.
        warps = -(-self.threads * self.ctas_per_sm // WARP // 4)
        at_entry = min(REGISTERS_PER_SM // 4 // warps // WARP // 8 * 8, REGISTERS_PER_THREAD)
        if not self.exchanges_registers:
            return at_entry
        math_threads = self.threads - WARPGROUP
        return (at_entry * self.threads - PRODUCER_REGISTERS * WARPGROUP) // math_threads // 8 * 8

    @property
    def exchanges_registers(self) -> bool:
        """A lone math warpgroup has all a thread can use from the start; narrow tiles need few, unless they hold B."""
        return self.holds or (self.warpgroups > 1 and not self.swapped)

    @property
    def rows(self) -> int:
        """Of a tile, those that lie on the 64 of wgmma."""
        return self.block_n if self.swapped else self.block_m

    @property
    def columns(self) -> int:
        """Of a tile, those on wgmma's other side."""
        return self.block_m if self.swapped else self.block_n

    @property
    def waves(self) -> int:
        """Times 64 rows that a math warpgroup multiplies of each tile."""
        return self.rows // (WGMMA_M * self.warpgroups)

    @property
    def in_flight(self) -> int:
        """Partial sums a math thread can hold beside the running sums: with two, promotion overlaps multiplication."""
        return 2 if self._registers_for(2) <= self.math_registers else 1

    def _registers_for(self, partial_sums: int) -> int:
        # Swapped, a scale for each of a thread's columns; scales of B's rows are read as they are needed.
        factors = self.accumulators // 2 if self.swapped else 0
        return (self.waves + partial_sums) * self.accumulators + factors + BOOKKEEPING_REGISTERS

    @property
    def holds(self) -> bool:
        """Whether math threads take B of a first tile's last blocks out of the stages while A is not there yet: where B
        lies on wgmma's rows. Of groups it gained nothing, and of the K that eight CTAs share the stages have room for
        all but the longest."""
        return self.swapped and self.warpgroups == 1 and self.cluster_k < 8 and not self.grouped

    @property
    def held(self) -> int:
        """Blocks of K of which a math thread holds its part of B."""
        room = (self.math_registers - self._registers_for(2)) // HELD_REGISTERS
        return min(room, MOST_HELD) if self.holds else 0

    @property
    def at_once(self) -> int:
        """Loads of B ahead that are on their way at once; A waits for all of them (kernels/gemm/ahead.cuh)."""
        return -(-BYTES_AT_ONCE // (self.block_n * SCALE_BLOCK)) if self.ctas_per_sm > 1 else (self.stages + 1) // 2

    @property
    def blocks_ahead(self) -> int:
        """Blocks of K of B that a CTA loads while it waits for the kernels in front."""
        return self.stages + self.held if self.ahead_warp else self.at_once

    @property
    def alternates(self) -> bool:
        """Whether every other tile goes through K from its end: what was loaded last is still in L2 then. Only the
        largest tile gains by it, which runs where both operands are larger than L2."""
        return not self.grouped and self.block_m * self.block_n == LARGEST_TILE

    @property
    def part_rows(self) -> int:
        """Rows of a tile of A that one load brings; loads without a group's rows are left out. Each CTA that shares the
        tile has one, or of a tall one each warpgroup. (In tiles of 128 rows two took longer than they saved.)"""
        if self.cluster_n > 1:
            return self.block_m // self.cluster_n
        return self.block_m // self.warpgroups if self.grouped and self.block_m > 2 * WGMMA_M else self.block_m

    @property
    def accumulators(self) -> int:
        """Registers of a thread for one sum of 64 rows."""
        return self.columns * WGMMA_M // WARPGROUP

    @property
    def slices(self) -> int:
        """CTAs of a cluster that add up the others' sums, of some columns of wgmma each; the rest send only."""
        pieces = self.columns // self.column_step
        return max((n for n in range(1, self.cluster_k + 1) if pieces % n == 0), default=1)

    @property
    def slice_columns(self) -> int:
        return self.columns // self.slices

    @property
    def column_step(self) -> int:
        """What the columns of a tile, and of a slice, are a multiple of: two 8 x 8 matrices of D at a time, or one."""
        return 8 if self.swapped else 16

    @property
    def staged(self) -> bool:
        """Whether D goes out through shared memory: bfloat16, and float32 where it is gradients that are added to."""
        return self.out == "bf16" or self.row_scales_b

    @property
    def k_groups(self) -> bool:
        """Whether a launch takes several products that differ in K: gradients of the weights of experts."""
        return self.row_scales_b and self.out == "f32"

    @property
    def store_rows(self) -> int:
        """Rows of D of one bulk store."""
        return self.slice_columns if self.swapped else WGMMA_M

    @property
    def store_columns(self) -> int:
        """Columns of D that one bulk store covers, of bfloat16 a swizzle span of 32, 64 or 128 bytes; 0: none."""
        if not self.staged:
            return 0
        return WGMMA_M if self.swapped else gcd(self.slice_columns, 64)

    @property
    def staged_columns(self) -> int:
        """Columns of D on their way out in shared memory: all of bfloat16, of float32 those of one bulk store."""
        return self.slice_columns if self.out == "bf16" else self.store_columns

    @property
    def smem_bytes(self) -> int:
        """Dynamic shared memory of a block, laid out as the kernel's struct Shared."""
        tiles = self.stages * (self.block_m + self.block_n) * SCALE_BLOCK
        staged = self.rows * self.staged_columns * OUT_BYTES[self.out]
        received = (self.cluster_k - 1) * self.rows * self.slice_columns * 4
        scale_rows = [self.block_m, *([self.block_n] if self.row_scales_b else [])]
        scales = self.stages * sum(-(-rows * 4 // TMA_ALIGNMENT) * TMA_ALIGNMENT for rows in scale_rows)
        barriers = ((3 if self.ahead_warp else 2) * self.stages + 1) * 8
        return tiles + staged + received + scales + barriers

    @property
    def smem_limit(self) -> int:
        """Shared memory that a block may have, so that `ctas_per_sm` fit: each takes 1 KB more than it asks for."""
        return min(SMEM_LIMIT, SMEM_PER_SM // self.ctas_per_sm - 1024)

    def defines(self) -> dict[str, str]:
        """Macros that turn the source into this kernel."""
        return {
            "KERNEL_NAME": self.name,
            "BLOCK_M": str(self.block_m),
            "BLOCK_N": str(self.block_n),
            "STAGES": str(self.stages),
            "CLUSTER_K": str(self.cluster_k),
            "CLUSTER_N": str(self.cluster_n),
            "ALTERNATES": str(int(self.alternates)),
            "PART_ROWS": str(self.part_rows),
            "WARPGROUPS": str(self.warpgroups),
            "SLICES": str(self.slices),
            "SWAPPED": str(int(self.swapped)),
            "ROW_SCALES_B": str(int(self.row_scales_b)),
            "GROUPED": str(int(self.grouped)),
            "K_GROUPS": str(int(self.k_groups)),
            "THREADS": str(self.threads),
            "CTAS_PER_SM": str(self.ctas_per_sm),
            "IN_FLIGHT": str(self.in_flight),
            "AHEAD_WARP": str(int(self.ahead_warp)),
            "AT_ONCE": str(self.at_once),
            "HELD": str(self.held),
            "PRODUCER_REGISTERS": str(PRODUCER_REGISTERS),
            "MATH_REGISTERS": str(self.math_registers if self.exchanges_registers else 0),
            "OUT_BF16": str(int(self.out == "bf16")),
            "STORE_COLUMNS": str(self.store_columns),
        }

    def violations(self) -> list[str]:
        """Every rule this spec breaks; an empty list means that it can be compiled and launched."""
        rows = WGMMA_M * self.warpgroups
        registers = self._registers_for(1)
        side, other = ("block_n", "block_m") if self.swapped else ("block_m", "block_n")
        rules = [
            (
                self.rows == rows or (self.rows == 2 * rows and not self.swapped),
                f"{side} is 64 rows a warpgroup or, not swapped, 128",
            ),
            (
                self.columns % self.column_step == 0 and self.column_step <= self.columns <= 256,
                f"{other} must be a multiple of {self.column_step} from {self.column_step} to 256",
            ),
            (self.stages >= 2, "stages must be at least 2, or loads and math cannot overlap"),
            (self.warpgroups <= 3, "at most 3 math warpgroups: more leave too few registers"),
            (self.cluster_k <= 8, "a portable cluster has at most 8 CTAs"),
            (
                self.cluster_n == 1 or (self.cluster_n == 2 and self.grouped and not self.swapped),
                "cluster_n is 1, or 2 in a kernel for groups that is not swapped",
            ),
            (self.cluster_k == 1 or self.waves == 1, "split K takes 64 rows a warpgroup"),
            (
                not (self.swapped and self.row_scales_b),
                "swapped, a thread has one scale of B: row_scales_b asks for one a row",
            ),
            (
                not self.grouped or (self.cluster_k == 1 and not self.row_scales_b and self.out == "bf16"),
                "grouped, a tile is one CTA's, with one scale for 128 rows of B, and the output bf16",
            ),
            (
                self.cluster_k == 1 or not self.k_groups,
                "with row_scales_b and float32, a launch takes groups of K, and a CTA has no cluster",
            ),
            (
                self.out == "bf16" or self.store_columns % 32 == 0,
                "float32 is staged 32 columns at a time: slices must be a multiple of them",
            ),
            (self.in_flight == 2 or not self.swapped, "a swapped tile has two partial sums"),
            (registers <= self.math_registers, f"{registers} registers a math thread exceed {self.math_registers}"),
            (self.smem_bytes <= self.smem_limit, f"{self.smem_bytes} bytes of shared memory exceed {self.smem_limit}"),
        ]
        return [text for ok, text in rules if not ok]

    def check(self) -> "GemmSpec":
        """Return the spec itself, or raise SpecError with every broken rule."""
        if broken := self.violations():
            raise SpecError(f"{self.name}: {'; '.join(broken)}")
        return self
