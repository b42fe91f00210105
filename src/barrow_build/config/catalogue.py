"""Every kernel of the wheel."""

from dataclasses import dataclass, replace

from barrow_build.config.costs import BF16_COSTS
from barrow_build.config.gemm import GemmSpec, CostModel

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


_DEV = tuple(
    GemmSpec(m, 64 * w, st, cluster_k=k, warpgroups=w, swapped=True)
    for m, w, k, st in (
        (8, 1, 1, 12),
        (8, 1, 2, 11),
        (8, 1, 3, 11),
        (8, 1, 4, 11),
        (8, 2, 1, 6),
        (8, 2, 2, 6),
        (16, 1, 1, 10),
        (16, 1, 2, 10),
        (16, 1, 4, 10),
        (16, 2, 1, 6),
        (16, 2, 2, 5),
        (32, 1, 1, 8),
        (32, 1, 2, 8),
        (32, 1, 4, 8),
        (32, 2, 1, 5),
        (32, 2, 2, 4),
        (32, 2, 4, 4),
        (64, 1, 1, 6),
        (64, 1, 2, 5),
        (64, 1, 4, 5),
    )
)

# Each is the one chosen for some shape that was tuned on an H100.
_BF16 = (
    *_DEV,
    # Few rows: as many columns as it takes to have a tile for every SM.
    GemmSpec(64, 16, 16),
    GemmSpec(64, 32, 16),
    GemmSpec(64, 48, 14),
    GemmSpec(64, 64, 12),
    GemmSpec(64, 96, 9),
    GemmSpec(64, 128, 8),
    # Few rows and columns: several SMs share the K of a tile.
    GemmSpec(64, 64, 10, cluster_k=4),
    # Many rows: the width that wastes the least of the last wave.
    GemmSpec(128, 64, 8, warpgroups=2),
    GemmSpec(128, 96, 6, warpgroups=2),
    GemmSpec(128, 112, 6, warpgroups=2),
    GemmSpec(128, 128, 5, warpgroups=2),
    GemmSpec(128, 144, 5, warpgroups=2),
    GemmSpec(128, 160, 4, warpgroups=2),
    GemmSpec(128, 192, 4, warpgroups=2),
    GemmSpec(256, 128, 3, warpgroups=2),
)

# float32 output is rarer: one kernel for each kind of shape.
_F32 = (
    GemmSpec(64, 32, 16, out="f32"),
    GemmSpec(64, 64, 12, out="f32"),
    GemmSpec(64, 64, 10, cluster_k=4, out="f32"),
    GemmSpec(64, 128, 8, out="f32"),
    GemmSpec(128, 64, 8, warpgroups=2, out="f32"),
    GemmSpec(128, 128, 5, warpgroups=2, out="f32"),
    GemmSpec(128, 192, 4, warpgroups=2, out="f32"),
    GemmSpec(256, 128, 3, warpgroups=2, out="f32"),
)


def _with_cost(spec: GemmSpec) -> GemmSpec:
    """Costs are fitted to bfloat16 output; writing float32 instead changes them alike for all kernels of a shape."""
    return replace(spec, cost=BF16_COSTS.get(replace(spec, out="bf16").name, CostModel(50, 0, 0, 0, 0)))


_GEMMS = tuple(_with_cost(spec.check()) for spec in (*_BF16, *_F32))

_AUX = (
    *(
        AuxSpec(f"{kernel}_{dtype}", f"{kernel}.cu", (("IN_TYPE", dtype),))
        for kernel in ("per_token_group_quant", "per_block_quant")
        for dtype in ("bf16", "f16", "f32")
    ),
    AuxSpec("pad_rows", "pad_rows.cu"),
)


def catalogue(arch: str) -> tuple[GemmSpec | AuxSpec, ...]:
    """Every kernel for one architecture of `ARCHS`."""
    every: tuple[GemmSpec | AuxSpec, ...] = (*_GEMMS, *_AUX)
    return tuple(spec for spec in every if spec.arch == arch)
