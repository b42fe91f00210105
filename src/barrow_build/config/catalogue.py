"""Every kernel of the wheel."""

from dataclasses import dataclass, replace

from barrow_build.config.costs import BF16_COSTS
from barrow_build.config.gemm import CostModel, GemmSpec

ARCHS = ("90a",)
"""Architectures that have kernels, as CUDA spells them."""


@dataclass(frozen=True, order=True)
class AuxSpec:
    """A kernel around the GEMM: one source, one symbol, a few macros."""

    symbol: str
    source: str
    macros: tuple[tuple[str, str], ...] = ()
    arch: str = "90a"

    @property
    def name(self) -> str:
        return f"{self.symbol}_sm{self.arch}"

    def defines(self) -> dict[str, str]:
        return {"KERNEL_NAME": self.name, **dict(self.macros)}


# Each is the one chosen for some shape that was tuned on an H100.
_BF16 = (
    # A handful of rows, on wgmma's narrow side; several SMs share the K of a tile where columns are few.
    GemmSpec(8, 64, 12, swapped=True),
    GemmSpec(8, 64, 12, cluster_k=2, swapped=True),
    GemmSpec(8, 64, 11, cluster_k=3, swapped=True),
    GemmSpec(8, 64, 10, cluster_k=8, swapped=True),
    GemmSpec(8, 128, 6, warpgroups=2, swapped=True),
    GemmSpec(16, 64, 10, swapped=True),
    GemmSpec(16, 64, 10, cluster_k=2, swapped=True),
    GemmSpec(16, 64, 10, cluster_k=3, swapped=True),
    GemmSpec(16, 64, 10, cluster_k=4, swapped=True),
    GemmSpec(16, 64, 9, cluster_k=8, swapped=True),
    GemmSpec(16, 128, 6, warpgroups=2, swapped=True),
    GemmSpec(24, 64, 9, swapped=True),
    GemmSpec(24, 64, 9, cluster_k=3, swapped=True),
    GemmSpec(32, 64, 8, cluster_k=2, swapped=True),
    GemmSpec(32, 64, 8, cluster_k=3, swapped=True),
    GemmSpec(32, 64, 8, cluster_k=8, swapped=True),
    GemmSpec(32, 128, 5, warpgroups=2, swapped=True),
    GemmSpec(48, 64, 7, swapped=True),
    GemmSpec(48, 64, 7, cluster_k=2, swapped=True),
    # Few rows: columns for as many tiles as there are SMs.
    GemmSpec(64, 48, 14),
    GemmSpec(64, 64, 12),
    GemmSpec(64, 96, 9),
    GemmSpec(64, 128, 8),
    # Few rows and columns: several SMs share the K of a tile.
    GemmSpec(64, 64, 13, cluster_k=2),
    GemmSpec(64, 64, 12, cluster_k=3),
    GemmSpec(64, 64, 13, cluster_k=4),
    GemmSpec(64, 128, 8, cluster_k=2),
    GemmSpec(128, 64, 7, cluster_k=3, warpgroups=2),
    GemmSpec(128, 64, 8, cluster_k=4, warpgroups=2),
    # Many rows: the width that wastes the least of the last wave.
    GemmSpec(128, 64, 8, warpgroups=2),
    GemmSpec(128, 96, 6, warpgroups=2),
    GemmSpec(128, 128, 5, warpgroups=2),
    GemmSpec(128, 144, 5, warpgroups=2),
    GemmSpec(128, 160, 4, warpgroups=2),
    GemmSpec(128, 192, 4, warpgroups=2),
    GemmSpec(192, 96, 5, warpgroups=3),
    GemmSpec(192, 128, 4, warpgroups=3),
    GemmSpec(256, 64, 4, warpgroups=2),
    GemmSpec(256, 128, 3, warpgroups=2),
)

# float32 output is rarer: one kernel for each kind of shape.
_F32 = (
    GemmSpec(8, 64, 12, swapped=True, out="f32"),
    GemmSpec(8, 64, 11, cluster_k=3, swapped=True, out="f32"),
    GemmSpec(8, 64, 10, cluster_k=8, swapped=True, out="f32"),
    GemmSpec(16, 64, 10, cluster_k=2, swapped=True, out="f32"),
    GemmSpec(16, 64, 10, cluster_k=4, swapped=True, out="f32"),
    GemmSpec(32, 64, 8, cluster_k=2, swapped=True, out="f32"),
    GemmSpec(64, 48, 14, out="f32"),
    GemmSpec(64, 64, 12, out="f32"),
    GemmSpec(64, 64, 13, cluster_k=4, out="f32"),
    GemmSpec(64, 128, 8, out="f32"),
    GemmSpec(128, 64, 8, warpgroups=2, out="f32"),
    GemmSpec(128, 128, 5, warpgroups=2, out="f32"),
    GemmSpec(128, 192, 4, warpgroups=2, out="f32"),
    GemmSpec(256, 128, 3, warpgroups=2, out="f32"),
)


# A scale for each row of B is for weight gradients, which are large.
_ROW_SCALES = (
    GemmSpec(64, 64, 12, row_scales_b=True),
    GemmSpec(128, 96, 6, warpgroups=2, row_scales_b=True),
    GemmSpec(128, 128, 5, warpgroups=2, row_scales_b=True),
    GemmSpec(64, 64, 12, row_scales_b=True, out="f32"),
    GemmSpec(128, 128, 5, warpgroups=2, row_scales_b=True, out="f32"),
    GemmSpec(192, 128, 4, warpgroups=3, row_scales_b=True, out="f32"),
)

# Groups of rows: what their sizes ask for on average decides, and an odd one has to be no disaster.
_GROUPED = (
    GemmSpec(8, 64, 12, swapped=True, grouped=True),
    GemmSpec(16, 64, 10, swapped=True, grouped=True),
    GemmSpec(32, 64, 8, swapped=True, grouped=True),
    GemmSpec(64, 96, 9, grouped=True),
    GemmSpec(128, 128, 5, warpgroups=2, grouped=True),
    GemmSpec(128, 192, 4, warpgroups=2, grouped=True),
    GemmSpec(192, 128, 4, warpgroups=3, grouped=True),
    GemmSpec(256, 128, 3, warpgroups=2, grouped=True),
    GemmSpec(192, 128, 4, cluster_n=2, warpgroups=3, grouped=True),
)


def _with_cost(spec: GemmSpec) -> GemmSpec:
    """Costs are those of the kernel with bfloat16 output and block scales; other forms change them alike for all."""
    timed = replace(spec, out="bf16", row_scales_b=False)
    return replace(spec, cost=BF16_COSTS.get(timed.name, CostModel()))


_GEMMS = tuple(_with_cost(spec.check()) for spec in (*_BF16, *_F32, *_ROW_SCALES, *_GROUPED))

_AUX = (
    *(
        AuxSpec(f"{kernel}_{dtype}", f"{kernel}.cu", (("IN_TYPE", dtype),))
        for kernel in ("per_token_group_quant", "per_block_quant", "moe_permute_quant")
        for dtype in ("bf16", "f16", "f32")
    ),
    *(AuxSpec(f"moe_sort_{name}", "moe_sort.cu", (("ID_TYPE", f"int{name[1:]}_t"),)) for name in ("i32", "i64")),
    *(AuxSpec(kernel, f"{kernel}.cu") for kernel in ("silu_mul_quant", "moe_unpermute", "pad_rows")),
)


def catalogue(arch: str) -> tuple[GemmSpec | AuxSpec, ...]:
    """Every kernel for one architecture of `ARCHS`."""
    every: tuple[GemmSpec | AuxSpec, ...] = (*_GEMMS, *_AUX)
    return tuple(spec for spec in every if spec.arch == arch)
