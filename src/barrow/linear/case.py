"""What a backend is asked: one linear layer or a mixture of experts, for a range of M, on a target."""

from dataclasses import dataclass

import torch

from barrow.linear.target import Target
from barrow.ops.layout import SCALE_BLOCK

# What the GEMM writes for an input dtype; the layer casts it to the input's. Through bfloat16, float16 would lose bits.
GEMM_DTYPE = {torch.bfloat16: torch.bfloat16, torch.float16: torch.float32, torch.float32: torch.float32}


@dataclass(frozen=True)
class Case:
    """y = x W^T + bias for x [M, k] and W [n, k], or every row of x by the W of its expert.

    Attributes:
        n, k: out_features and in_features; 0 is allowed.
        target: where.
        m: smallest and largest M, None for no bound. A layer asks for all M at once, so that warm-up, capture of
            graphs and every later call agree; with one M, ask for (m, m).
        dtype: of x and y.
        bias: whether one is added.
        weight_dtype: of W as it is kept.
        block: rows and columns of W under one scale.
        use_ue8m0: scales are powers of two.
        experts: how many matrices W there are, [experts, n, k]; 0 for a linear layer.
    """

    n: int
    k: int
    target: Target
    m: tuple[int, int | None] = (0, None)
    dtype: torch.dtype = torch.bfloat16
    bias: bool = False
    weight_dtype: torch.dtype = torch.float8_e4m3fn
    block: tuple[int, int] = (SCALE_BLOCK, SCALE_BLOCK)
    use_ue8m0: bool = False
    experts: int = 0

    @property
    def gemm_dtype(self) -> torch.dtype:
        """What the product is written in before it is cast to `dtype`."""
        return GEMM_DTYPE[self.dtype]
