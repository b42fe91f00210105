"""The catalogue as the tests see it, and a call that names its kernel."""

from dataclasses import dataclass
from typing import Literal

import torch
from exact import Operands

from barrow import launcher

DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


@dataclass(frozen=True)
class Kernel:
    """One GEMM kernel; `index` is what the operator `fp8_gemm_nt_with` takes."""

    index: int
    name: str
    out: str
    block_m: int
    block_n: int
    stages: int
    cluster_k: int
    row_scales_b: bool
    part_rows: int  # of a tile, that one load of A brings

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.out]

    def run(self, x: Operands, accumulate: bool = False, prefetch_b: bool = False) -> None:
        torch.ops.barrow.fp8_gemm_nt_with(
            x.a, x.a_scale, x.b, x.b_scale, self.index, prefetch_b, accumulate=accumulate, out=x.out
        )


def _of(kind: Literal["gemm", "grouped_gemm"]) -> list[Kernel]:
    # GEMM kernels come first in the table, so a position in it is the index.
    return [
        Kernel(
            index,
            row["name"],
            row["out"],
            row["block_m"],
            row["block_n"],
            row["stages"],
            row["cluster_k"],
            bool(row["row_scales_b"]),
            row["part_rows"],
        )
        for index, row in enumerate(launcher.kernels())
        if row["kind"] != "aux" and row["kind"] == kind
    ]


def all_kernels() -> list[Kernel]:
    """The dense GEMM kernels of the installed wheel."""
    return _of("gemm")


def grouped_kernels() -> list[Kernel]:
    """Those for groups of rows."""
    return _of("grouped_gemm")


def of_kind(dtype: torch.dtype, row_scales_b: bool = False) -> list[Kernel]:
    """Those that write `dtype` and take a scale for each row of b, or for each of its blocks of 128 rows."""
    return [k for k in all_kernels() if k.dtype is dtype and k.row_scales_b == row_scales_b]
