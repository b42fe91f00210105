"""Every kernel of the wheel."""

from dataclasses import dataclass, replace

from barrow_build.config.gemm import GemmSpec

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


_BF16 = (
    GemmSpec(64, 16, 12),
    GemmSpec(64, 32, 12),
    GemmSpec(64, 64, 10),
    GemmSpec(64, 128, 7),
    GemmSpec(128, 64, 7, warpgroups=2),
    GemmSpec(128, 128, 5, warpgroups=2),
    GemmSpec(128, 128, 5, cluster_m=2, warpgroups=2),
)

_GEMMS = tuple(spec.check() for spec in (*_BF16, *(replace(s, out="f32") for s in _BF16)))

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
