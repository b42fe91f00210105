"""DeepGEMM's dense FP8 GEMMs, translated to `barrow.fp8_gemm_nt`.

The letters of a name say how a and b are stored: n for rows by columns as in D = A x B, t for transposed. On Hopper
DeepGEMM's kernels need both operands K-major whatever the name, and so do these: `nn`, `tn` and `tt` take transposed
views of K-major tensors.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from barrow.deep_gemm.arguments import (
    BLOCKS_OF_B,
    ROWS_OF_B,
    Scaled,
    check_no_grad,
    check_result,
    one_recipe,
    one_tensor,
    refuse,
    scaled_pair,
    transposed,
)
from barrow.deep_gemm.utils.math import ceil_div
from barrow.ops import fp8_gemm_nt as _fp8_gemm_nt

# What one scale of b covers.
RECIPES = (BLOCKS_OF_B, ROWS_OF_B)


def _check_accumulation(op: str, c: Tensor, d: Tensor, product: Tensor) -> None:
    """What the operator cannot check, since it does not see d here."""
    if d.shape != product.shape or d.dtype not in (torch.bfloat16, torch.float32):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: d is {d.dtype} of shape {list(d.shape)} but needs bfloat16 or float32 and "
            f"[M, N] = {list(product.shape)}; take M from a's rows and N from b's rows"
        )
    if c.dtype != d.dtype:
        raise RuntimeError(f"barrow.deep_gemm.{op}: c has dtype {c.dtype} but d has {d.dtype}; they need the same")
    if c.ndim != 2 or any(size not in (1, of_d) for size, of_d in zip(c.shape, d.shape, strict=True)):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: c has shape {list(c.shape)} but d has {list(d.shape)}; "
            "pass a c of d's shape, or with 1 for a dimension to repeat"
        )


def _gemm(
    op: str, a: Scaled, b: Scaled, d: Tensor, c: Tensor | None, recipe: tuple[int, ...], **unsupported: object
) -> None:
    refuse(op, **unsupported)
    check_result(op, d)
    a, b = scaled_pair(op, "a", a), scaled_pair(op, "b", b)
    # A b of another rank is the operator's to refuse.
    rows = ceil_div(b[0].shape[0], recipe[1]) if b[0].ndim == b[1].ndim == 2 else None
    if rows is not None and b[1].shape[0] != rows:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: the scales of b have {b[1].shape[0]} rows but recipe {recipe} needs {rows}; "
            f"pass recipe={ROWS_OF_B} for a scale per row of b, {BLOCKS_OF_B} for one per 128 x 128 block"
        )
    if c is None:
        _fp8_gemm_nt(*a, *b, out=d)
        return
    c = one_tensor(op, "c", c, "what to add, or None")
    check_no_grad(op, a, b, c, d)
    if c is d and d.dtype == torch.float32:
        _fp8_gemm_nt(*a, *b, out=d, accumulate=True)
        return
    # The product stays in float32 until c is added, so that the sum is rounded once. It takes M x N floats.
    product = _fp8_gemm_nt(*a, *b, out_dtype=torch.float32)
    _check_accumulation(op, c, d, product)
    if c is d:
        d.add_(product)
    else:
        # All of c is read before d is written: they may share memory in any way.
        d.copy_(product.add_(c))


def fp8_gemm_nt(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    c: Tensor | None = None,
    recipe: Sequence[int] | None = None,
    recipe_a: Sequence[int] | None = None,
    recipe_b: Sequence[int] | None = None,
    compiled_dims: str = "nk",
    disable_ue8m0_cast: bool = False,
    alpha: float | None = None,
    epilogue: Any = None,
) -> None:
    """Write A[M, K] x B[N, K]^T to d, or c + A x B^T.

    Args:
        a: ([M, K] float8_e4m3fn, [M, ceil(K / 128)] float32 scales of any strides).
        b: ([N, K] float8_e4m3fn, float32 scales of the shape that the recipe needs).
        d: [M, N] bfloat16 or float32; last stride 1. DeepGEMM on Hopper writes float32 with a `c` only, barrow always.
        c: what to add, of d's dtype; [M, N], or 1 for a dimension to repeat. It may share memory
            with d, or be d.
        recipe: (1, 128, 128), the default: b_scale is [ceil(N / 128), ceil(K / 128)]. (1, 1, 128), the recipe of
            weight gradients: [N, ceil(K / 128)].
        recipe_a: with `recipe_b`, the same in two pairs: (1, 128) and (128, 128) or (1, 128).
        recipe_b: see `recipe_a`.
        compiled_dims: accepted and ignored; nothing is compiled.
        disable_ue8m0_cast: accepted and ignored; Hopper's scales are float32.
        alpha: None.
        epilogue: None.

    Raises:
        RuntimeError: naming the argument, what it got and what it needs; also if one requires grad, or carries a
            tangent, while grad mode is on.
        NotImplementedError: FP4, packed scales, another recipe, `alpha`, an epilogue.
    """
    _gemm(
        "fp8_gemm_nt",
        a,
        b,
        d,
        c,
        one_recipe("fp8_gemm_nt", recipe, recipe_a, recipe_b, RECIPES),
        alpha=alpha,
        epilogue=epilogue,
    )


def fp8_gemm_nn(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    c: Tensor | None = None,
    recipe: Sequence[int] | None = None,
    recipe_a: Sequence[int] | None = None,
    recipe_b: Sequence[int] | None = None,
    compiled_dims: str = "nk",
    disable_ue8m0_cast: bool = False,
    alpha: float | None = None,
    epilogue: Any = None,
) -> None:
    """`fp8_gemm_nt` with b as [K, N], and its scales transposed too. The memory must be K-major."""
    op = "fp8_gemm_nn"
    triple = one_recipe(op, recipe, recipe_a, recipe_b, RECIPES)
    _gemm(op, a, transposed(op, "b", b), d, c, triple, alpha=alpha, epilogue=epilogue)


def fp8_gemm_tn(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    c: Tensor | None = None,
    recipe: Sequence[int] | None = None,
    recipe_a: Sequence[int] | None = None,
    recipe_b: Sequence[int] | None = None,
    compiled_dims: str = "mn",
    disable_ue8m0_cast: bool = False,
    alpha: float | None = None,
    epilogue: Any = None,
) -> None:
    """`fp8_gemm_nt` with a as [K, M] and b as [K, N], and their scales transposed too. The memory must be K-major."""
    op = "fp8_gemm_tn"
    triple = one_recipe(op, recipe, recipe_a, recipe_b, RECIPES)
    _gemm(op, transposed(op, "a", a), transposed(op, "b", b), d, c, triple, alpha=alpha, epilogue=epilogue)


def fp8_gemm_tt(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    c: Tensor | None = None,
    recipe: Sequence[int] | None = None,
    recipe_a: Sequence[int] | None = None,
    recipe_b: Sequence[int] | None = None,
    compiled_dims: str = "mn",
    disable_ue8m0_cast: bool = False,
    alpha: float | None = None,
    epilogue: Any = None,
) -> None:
    """`fp8_gemm_nt` with a as [K, M], and its scales transposed too. The memory must be K-major."""
    op = "fp8_gemm_tt"
    triple = one_recipe(op, recipe, recipe_a, recipe_b, RECIPES)
    _gemm(op, transposed(op, "a", a), b, d, c, triple, alpha=alpha, epilogue=epilogue)


# DeepGEMM's names for FP8 and FP4 operands alike.
fp8_fp4_gemm_nt = fp8_gemm_nt
fp8_fp4_gemm_nn = fp8_gemm_nn
fp8_fp4_gemm_tn = fp8_gemm_tn
fp8_fp4_gemm_tt = fp8_gemm_tt
