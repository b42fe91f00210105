"""Every public function refuses bad input before it computes; the rules one by one are in test_launcher_checks.py."""

from collections.abc import Callable
from typing import Any

import numpy as np
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


MATRIX, STACK = torch.zeros(4, 128).to(torch.float8_e4m3fn), torch.zeros(1, 4, 128).to(torch.float8_e4m3fn)
SCALE, SCALES, ENDS = torch.ones(4, 1), torch.ones(1, 1, 1), torch.full((1,), 4, dtype=torch.int32)
POSITIONS, WIDE = torch.zeros(4, 1, dtype=torch.int32), torch.zeros(4, 256, dtype=torch.bfloat16)
PRODUCT = {"a": MATRIX, "a_scale": SCALE, "b": MATRIX, "b_scale": SCALE}
GROUPED = {"a": MATRIX, "a_scale": SCALE, "b": STACK, "b_scale": SCALES}
CALLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (barrow.fp8_gemm_nt, {**PRODUCT, "out": torch.zeros(4, 4)}),
    (barrow.m_grouped_fp8_gemm_nt, {**GROUPED, "group_ends": ENDS, "out": WIDE[:, :4]}),
    (barrow.m_grouped_fp8_gemm_nt_indexed, {**GROUPED, "m_indices": POSITIONS[:, 0]}),
    (barrow.m_grouped_fp8_gemm_nt_masked, {**GROUPED, "a": STACK, "a_scale": torch.ones(1, 4, 1), "masked_m": ENDS}),
    (barrow.k_grouped_fp8_gemm_nt, {**PRODUCT, "ks": [128], "out": torch.zeros(1, 4, 4)}),
    (barrow.per_token_group_quant_fp8, {"x": WIDE}),
    (barrow.per_block_quant_fp8, {"x": WIDE}),
    (barrow.moe_sort, {"topk_ids": POSITIONS, "num_experts": 1}),
    (barrow.moe_permute_quant, {"x": WIDE, "positions": POSITIONS, "rows": 4}),
    (barrow.silu_mul_quant, {"x": WIDE, "groups": ENDS}),
    (barrow.moe_unpermute, {"y": WIDE, "positions": POSITIONS, "weights": SCALE}),
]


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("value", [None, [1.0], np.ones((4, 128))], ids=["None", "list", "array"])
@pytest.mark.parametrize(("op", "arguments"), CALLS, ids=[op.__name__ for op, _ in CALLS])
def test_what_is_no_tensor(op: Callable[..., Any], arguments: dict[str, Any], value: object, grad: bool) -> None:
    called = "m_grouped_fp8_gemm_nt" if op.__name__.startswith("m_grouped") else op.__name__
    tensors = [name for name, right in arguments.items() if isinstance(right, Tensor)]
    with torch.set_grad_enabled(grad):
        op(**arguments)
        for name in tensors:
            if value is None and op.__annotations__[name] == Tensor | None:
                continue
            told = (
                f"barrow.{called}: {name} is a {type(value).__name__} but needs to be a tensor; pass a torch.Tensor: "
            )
            with pytest.raises(TypeError, match=told):
                op(**{**arguments, name: value})
