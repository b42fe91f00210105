"""Every public function refuses bad input before it computes; the rules one by one are in test_launcher_checks.py."""

from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
from torch import Tensor

import barrow

QUANTIZERS = [barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8]


def test_the_gemm() -> None:
    p = reference.integer_problem(6, 200, 300)
    with pytest.raises(RuntimeError, match=r"barrow.fp8_gemm_nt: b has K = 128 but a has K = 300; pass b as \[N, K\]"):
        barrow.fp8_gemm_nt(p.a, p.a_scale, p.b[:, :128], p.b_scale)
    with pytest.raises(
        RuntimeError, match=r"barrow.fp8_gemm_nt: out_dtype is torch.float16 but needs to be torch.bfloat16"
    ):
        barrow.fp8_gemm_nt(*p.args, out_dtype=torch.float16)
    with pytest.raises(RuntimeError, match=r"out_dtype is 'bfloat16' but needs to be torch.bfloat16 or torch.float32"):
        barrow.fp8_gemm_nt(*p.args, out_dtype="bfloat16")  # type: ignore[arg-type]


def test_the_gemm_into_out_leaves_out_alone() -> None:
    p = reference.integer_problem(6, 200, 300)
    out = torch.full((6, 200), -7.0)
    with pytest.raises(RuntimeError, match=r"barrow.fp8_gemm_nt: a_scale has shape \[6, 2\] but needs \[6, 3\]"):
        barrow.fp8_gemm_nt(p.a, p.a_scale[:, :2], p.b, p.b_scale, out=out)
    assert (out == -7.0).all()
    with pytest.raises(RuntimeError, match=r"barrow.fp8_gemm_nt: out has shape \[5, 200\] but needs \[M, N\]"):
        barrow.fp8_gemm_nt(*p.args, out=out[:5])
    with pytest.raises(RuntimeError, match=r"barrow.fp8_gemm_nt: out overlaps a_scale in memory"):
        barrow.fp8_gemm_nt(p.a, out[:, :3], p.b, p.b_scale, out=out)


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 4, dtype=torch.float64), r"x has dtype float64 but needs bfloat16, float16 or float32"),
        (torch.zeros(2, 3, 4), r"x has 3 dimensions but needs 2"),
        (torch.zeros(4, 3).T, r"x has stride 3 along its last dimension but needs 1"),
    ],
    ids=["float64", "3-D", "transposed"],
)
def test_the_quantizers(quantizer: Callable[..., Any], x: Tensor, message: str) -> None:
    with pytest.raises(RuntimeError, match=f"barrow.*: {message}"):
        quantizer(x)


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_a_sparse_tensor(quantizer: Callable[..., Any]) -> None:
    with pytest.raises(NotImplementedError, match=r"_quant_fp8.*Sparse"):
        quantizer(torch.zeros(3, 4).to_sparse())
