"""DeepGEMM's FP8 GEMMs over groups of K, translated to `barrow.k_grouped_fp8_gemm_nt`: weight gradients of experts.

Each group of columns of A and B, the tokens of an expert, makes a product of its own, which is added to c.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from barrow.deep_gemm.arguments import (
    ROWS_OF_B,
    Scaled,
    check_no_grad,
    check_result,
    one_recipe,
    one_tensor,
    refuse,
    scaled_pair,
    whole_numbers,
)
from barrow.ops import k_grouped_fp8_gemm_nt as _k_grouped

RECIPES = (ROWS_OF_B,)


def _check_groups(op: str, ks_cpu: Sequence[int] | None, grouped_layout: Tensor, use_psum_layout: bool) -> list[int]:
    if use_psum_layout:
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: use_psum_layout is for Blackwell; pass the K of each group in ks_cpu"
        )
    if not whole_numbers(ks_cpu) or not ks_cpu or min(ks_cpu) < 0:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: ks_cpu is {ks_cpu!r} but needs the K of each group, 0 or more; pass a list of them"
        )
    ks = list(ks_cpu)
    told = one_tensor(op, "grouped_layout", grouped_layout, "the numbers of ks_cpu as int32")
    if told.dtype != torch.int32 or told.shape != (len(ks),):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: grouped_layout is {told.dtype} of shape {list(told.shape)} but needs int32 of "
            f"shape [{len(ks)}]; pass the numbers of ks_cpu"
        )
    return ks


def _start(op: str, d: Tensor, c: Tensor | None) -> Tensor:
    """What the products are added to: c, which DeepGEMM needs here."""
    check_result(op, d)
    c = one_tensor(op, "c", c, "what to add, which may be d")
    if d.dtype != torch.float32:
        raise RuntimeError(f"barrow.deep_gemm.{op}: d is {d.dtype} but needs float32; convert the result afterwards")
    if c.dtype != d.dtype or c.shape != d.shape:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: c is {c.dtype} of shape {list(c.shape)} but needs to be float32 of d's shape "
            f"{list(d.shape)}; pass what to add, which may be d"
        )
    return c


def _k_major(op: str, name: str, pair: Scaled, ks: list[int]) -> Scaled:
    """x [sum of ks, M] with each group transposed to [M, k], one group after another; and its scales."""
    x, scale = pair
    if x.ndim != 2 or x.shape[0] != sum(ks) or not x.is_contiguous():
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: {name} has shape {list(x.shape)} and strides {list(x.stride())} but needs to be a "
            f"contiguous matrix of {sum(ks)} rows, the sum of ks_cpu"
        )
    rows = x.shape[1]
    flat = torch.empty_like(x).view(-1)
    for part, group in zip(flat.split([rows * k for k in ks]), x.split(ks), strict=True):
        part.view(rows, group.shape[0]).copy_(group.T)
    return flat, scale.mT


def _add(a: Scaled, b: Scaled, d: Tensor, ks: list[int], c: Tensor) -> None:
    if c is not d:
        # What is wrong is found out before d is written.
        torch.ops.barrow.check_k_grouped_fp8_gemm_nt.default(*a, *b, ks, d)
        d.copy_(c)
    _k_grouped(*a, *b, ks, out=d)


def k_grouped_fp8_gemm_nt_contiguous(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    ks_cpu: Sequence[int] | None,
    grouped_layout: Tensor,
    c: Tensor | None = None,
    recipe: Sequence[int] = ROWS_OF_B,
    compiled_dims: str = "mn",
    use_psum_layout: bool = False,
    epilogue: Any = None,
) -> None:
    """Write c[g] + A[g] x B[g]^T to d[g], for every group g with a K of its own.

    Args:
        a: (float8_e4m3fn elements, float32 scales). Groups [M, K of g], one after another in contiguous memory: a
            tensor of any shape with M x (sum of all K) elements. Scales are [M, sum of all ceil(K / 128)] of any
            strides.
        b: the same with N for M.
        d: [G, M, N] float32; last stride 1.
        ks_cpu: K of each group, not only multiples of 128 as for DeepGEMM. Where it is 0, d is c.
        grouped_layout: [G] int32, the same numbers on the device. barrow reads `ks_cpu`.
        c: [G, M, N] float32; may be d.
        recipe: (1, 1, 128).
        compiled_dims: accepted and ignored; nothing is compiled.
        use_psum_layout: False.
        epilogue: None.

    Raises:
        RuntimeError: naming the argument, what it got and what it needs; also if one requires grad, or carries a
            tangent, while grad mode is on. d is then as it was.
        NotImplementedError: FP4, packed scales, another recipe, prefix sums, an epilogue.
    """
    op = "k_grouped_fp8_gemm_nt_contiguous"
    refuse(op, epilogue=epilogue)
    one_recipe(op, recipe, None, None, RECIPES)
    ks = _check_groups(op, ks_cpu, grouped_layout, use_psum_layout)
    a, b, c = scaled_pair(op, "a", a), scaled_pair(op, "b", b), _start(op, d, c)
    check_no_grad(op, a, b, c, d)
    _add(a, b, d, ks, c)


def k_grouped_fp8_gemm_tn_contiguous(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    ks_cpu: Sequence[int] | None,
    grouped_layout: Tensor,
    c: Tensor | None = None,
    recipe: Sequence[int] = ROWS_OF_B,
    compiled_dims: str = "mn",
    use_psum_layout: bool = False,
    epilogue: Any = None,
) -> None:
    """The same with a as [sum of all K, M], b as [sum of all K, N], and scales [sum of all ceil(K / 128), M or N].

    DeepGEMM has it for Blackwell only. Hopper's tensor cores take K-major operands, so a and b are copied first.
    """
    op = "k_grouped_fp8_gemm_tn_contiguous"
    refuse(op, epilogue=epilogue)
    one_recipe(op, recipe, None, None, RECIPES)
    ks = _check_groups(op, ks_cpu, grouped_layout, use_psum_layout)
    a, b, c = scaled_pair(op, "a", a), scaled_pair(op, "b", b), _start(op, d, c)
    check_no_grad(op, a, b, c, d)
    _add(_k_major(op, "a", a, ks), _k_major(op, "b", b, ks), d, ks, c)
