"""DeepGEMM's dense FP8 GEMMs, translated to `barrow.fp8_gemm_nt`.

The letters of a name say how a and b are stored: n for rows by columns as in D = A x B, t for transposed. On Hopper
DeepGEMM's kernels need both operands K-major whatever the name, and so do these: `nn`, `tn` and `tt` take transposed
views of K-major tensors.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from barrow.deep_gemm.utils.math import ceil_div
from barrow.ops import fp8_gemm_nt as _fp8_gemm_nt

Scaled = tuple[Tensor, Tensor]

# Rows of A and of B, and columns of K, that one scale covers.
BLOCKS_OF_B = (1, 128, 128)
ROWS_OF_B = (1, 1, 128)


def _recipe(
    op: str, recipe: Sequence[int] | None, recipe_a: Sequence[int] | None, recipe_b: Sequence[int] | None
) -> tuple[int, ...]:
    """One triple out of both ways to state a recipe."""
    if (recipe_a is None) != (recipe_b is None) or (recipe is not None and recipe_a is not None):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: got recipe={recipe}, recipe_a={recipe_a}, recipe_b={recipe_b}; "
            "pass recipe, or both recipe_a and recipe_b, or none of them"
        )
    if recipe_a is not None and recipe_b is not None:
        chosen = (recipe_a[0], recipe_b[0], recipe_a[1]) if recipe_a[1] == recipe_b[1] else (*recipe_a, *recipe_b)
    else:
        chosen = BLOCKS_OF_B if recipe is None else tuple(recipe)
    if chosen not in (BLOCKS_OF_B, ROWS_OF_B):
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: recipe is {chosen} but barrow has {BLOCKS_OF_B} and {ROWS_OF_B}; quantize with "
            "a scale per row of a and 128 of K, and per 128 x 128 block or per row of b"
        )
    return chosen


def _pair(op: str, name: str, pair: Scaled) -> Scaled:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: {name} is a {type(pair).__name__} but needs to be a pair of tensors, "
            "elements and their scales"
        )
    return pair[0], pair[1]


def _check_fp8(op: str, name: str, x: Tensor, scale: Tensor) -> None:
    if x.dtype != torch.float8_e4m3fn:
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: {name} has dtype {x.dtype} but barrow multiplies float8_e4m3fn only, "
            "as DeepGEMM does on Hopper; quantize it with per_token_cast_to_fp8 or per_block_cast_to_fp8"
        )
    if scale.dtype != torch.float32:
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: the scales of {name} have dtype {scale.dtype} but Hopper takes float32; "
            "turn packed UE8M0 scales into float32 with unpack_ue8m0_from_int"
        )


def _transposed(op: str, name: str, pair: Scaled) -> Scaled:
    """The K-major operand, [M, K] or [N, K], behind one that is passed as [K, M] or [K, N]."""
    x, scale = _pair(op, name, pair)
    if x.ndim != 2 or scale.ndim != 2:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: {name} has {x.ndim} dimensions and its scales {scale.ndim}, but both need 2; "
            "flatten the leading dimensions"
        )
    if x.shape[0] > 1 and x.shape[1] > 0 and x.stride(0) != 1:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: {name} has stride {x.stride(0)} along K but needs 1: on Hopper FP8 operands are "
            "K-major, whatever the layout of the call; pass the transposed view of a K-major tensor, or quantize "
            f"into one: {name}.T.contiguous().T"
        )
    return x.T, scale.T


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
    for name, value in unsupported.items():
        if value is not None:
            raise NotImplementedError(f"barrow.deep_gemm.{op}: {name} is not supported; apply it to the result")
    if not isinstance(d, Tensor):
        raise NotImplementedError(f"barrow.deep_gemm.{op}: d is no tensor; quantize the result afterwards")
    a, b = _pair(op, "a", a), _pair(op, "b", b)
    _check_fp8(op, "a", *a)
    _check_fp8(op, "b", *b)
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
        RuntimeError: naming the argument, what it got and what it needs.
        NotImplementedError: FP4, packed scales, another recipe, `alpha`, an epilogue.
    """
    _gemm("fp8_gemm_nt", a, b, d, c, _recipe("fp8_gemm_nt", recipe, recipe_a, recipe_b), alpha=alpha, epilogue=epilogue)


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
    triple = _recipe(op, recipe, recipe_a, recipe_b)
    _gemm(op, a, _transposed(op, "b", b), d, c, triple, alpha=alpha, epilogue=epilogue)


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
    triple = _recipe(op, recipe, recipe_a, recipe_b)
    _gemm(op, _transposed(op, "a", a), _transposed(op, "b", b), d, c, triple, alpha=alpha, epilogue=epilogue)


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
    triple = _recipe(op, recipe, recipe_a, recipe_b)
    _gemm(op, _transposed(op, "a", a), b, d, c, triple, alpha=alpha, epilogue=epilogue)


# DeepGEMM's names for FP8 and FP4 operands alike.
fp8_fp4_gemm_nt = fp8_gemm_nt
fp8_fp4_gemm_nn = fp8_gemm_nn
fp8_fp4_gemm_tn = fp8_gemm_tn
fp8_fp4_gemm_tt = fp8_gemm_tt
