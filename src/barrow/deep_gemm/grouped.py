"""DeepGEMM's FP8 GEMMs over groups of rows, translated to `barrow.m_grouped_fp8_gemm_nt` and its kin.

Each group of rows of a, the tokens of an expert, meets a matrix of b of its own. Groups stand one after another in one
matrix (`contiguous`), or each at the beginning of a matrix of its own (`masked`). Only the GPU reads where they end.
"""

from collections.abc import Sequence
from typing import Any, SupportsIndex

from torch import Tensor

from barrow.deep_gemm.arguments import (
    BLOCKS_OF_B,
    Scaled,
    check_result,
    one_recipe,
    one_tensor,
    refuse,
    scaled_pair,
    transposed,
)
from barrow.deep_gemm.utils.layout import get_mk_alignment_for_contiguous_layout
from barrow.ops import m_grouped_fp8_gemm_nt as _by_ends
from barrow.ops import m_grouped_fp8_gemm_nt_indexed as _by_indices
from barrow.ops import m_grouped_fp8_gemm_nt_masked as _by_counts

RECIPES = (BLOCKS_OF_B,)


def _contiguous(
    op: str,
    a: Scaled,
    b: Scaled,
    d: Tensor,
    grouped_layout: Tensor,
    use_psum_layout: bool,
    expected_m_for_psum_layout: int | None,
) -> None:
    check_result(op, d)
    groups = one_tensor(op, "grouped_layout", grouped_layout, "int32: the group of each row, or where each group ends")
    a = scaled_pair(op, "a", a)
    if expected_m_for_psum_layout is not None and not use_psum_layout:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: expected_m_for_psum_layout is {expected_m_for_psum_layout} without "
            "use_psum_layout; pass both, or none of them"
        )
    run = _by_ends if use_psum_layout else _by_indices
    run(*a, *b, groups, alignment=get_mk_alignment_for_contiguous_layout(), out=d)


def m_grouped_fp8_gemm_nt_contiguous(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    grouped_layout: Tensor,
    recipe: Sequence[int] | None = None,
    recipe_a: Sequence[int] | None = None,
    recipe_b: Sequence[int] | None = None,
    compiled_dims: str = "nk",
    disable_ue8m0_cast: bool = False,
    use_psum_layout: bool = False,
    ensure_zero_padding: bool = True,
    expected_m_for_psum_layout: int | None = None,
    epilogue: Any = None,
) -> None:
    """Write A[rows of g] x B[g]^T to the same rows of d, for every group g.

    Each group begins at a multiple of `get_mk_alignment_for_contiguous_layout()` rows, as that is set at the call.

    Args:
        a: ([M, K] float8_e4m3fn, [M, ceil(K / 128)] float32 scales of any strides).
        b: ([G, N, K] float8_e4m3fn, [G, ceil(N / 128), ceil(K / 128)] float32 scales of any strides).
        d: [M, N] bfloat16; last stride 1.
        grouped_layout: int32. [M], the group of each row and -1 for padding: all rows from one multiple of the
            alignment to the next are multiplied as the first of them says, padding too. If that is no group, they
            stay as they are (DeepGEMM writes zeros).
        recipe: (1, 128, 128), the default.
        recipe_a: with `recipe_b`, the same in two pairs: (1, 128) and (128, 128).
        recipe_b: see `recipe_a`.
        compiled_dims: accepted and ignored; nothing is compiled.
        disable_ue8m0_cast: accepted and ignored; Hopper's scales are float32.
        use_psum_layout: `grouped_layout` is [G], where the rows of each group end: group g has the rows from the end
            of g - 1, rounded up to the alignment, to its own. Rows between stay as they are.
        ensure_zero_padding: accepted and ignored, as DeepGEMM does on Hopper.
        expected_m_for_psum_layout: accepted and ignored, with `use_psum_layout` only.
        epilogue: None.

    Raises:
        RuntimeError: naming the argument, what it got and what it needs; also if one requires grad, or carries a
            tangent, while grad mode is on.
        NotImplementedError: FP4, packed scales, another recipe, an epilogue.
    """
    op = "m_grouped_fp8_gemm_nt_contiguous"
    refuse(op, epilogue=epilogue)
    one_recipe(op, recipe, recipe_a, recipe_b, RECIPES)
    b = scaled_pair(op, "b", b)
    _contiguous(op, a, b, d, grouped_layout, use_psum_layout, expected_m_for_psum_layout)


def m_grouped_fp8_gemm_nn_contiguous(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    grouped_layout: Tensor,
    recipe: Sequence[int] | None = None,
    recipe_a: Sequence[int] | None = None,
    recipe_b: Sequence[int] | None = None,
    compiled_dims: str = "nk",
    disable_ue8m0_cast: bool = False,
    use_psum_layout: bool = False,
    ensure_zero_padding: bool = True,
    epilogue: Any = None,
) -> None:
    """`m_grouped_fp8_gemm_nt_contiguous` with b as [G, K, N], its scales transposed too. The memory must be K-major."""
    op = "m_grouped_fp8_gemm_nn_contiguous"
    refuse(op, epilogue=epilogue)
    one_recipe(op, recipe, recipe_a, recipe_b, RECIPES)
    b = transposed(op, "b", b, ndim=3)
    _contiguous(op, a, b, d, grouped_layout, use_psum_layout, None)


def m_grouped_fp8_gemm_nt_masked(
    a: Scaled,
    b: Scaled,
    d: Tensor,
    masked_m: Tensor,
    expected_m: int,
    recipe: Sequence[int] | None = None,
    recipe_a: Sequence[int] | None = None,
    recipe_b: Sequence[int] | None = None,
    compiled_dims: str = "nk",
    disable_ue8m0_cast: bool = False,
    epilogue: Any = None,
) -> None:
    """Write A[g, :m] x B[g]^T to d[g, :m], for every group g with its number m of rows.

    Args:
        a: ([G, max_m, K] float8_e4m3fn, [G, max_m, ceil(K / 128)] float32 scales of any strides).
        b: ([G, N, K] float8_e4m3fn, [G, ceil(N / 128), ceil(K / 128)] float32 scales of any strides).
        d: [G, max_m, N] bfloat16; last stride 1. Rows from m on stay as they are.
        masked_m: [G] int32, the rows of each group; below 0 counts as 0, above max_m as max_m.
        expected_m: about how many rows a group has, at least 1; steers the choice of the kernel, not the result.
        recipe: see `m_grouped_fp8_gemm_nt_contiguous`, as for all that follow.
        recipe_a: see there.
        recipe_b: see there.
        compiled_dims: see there.
        disable_ue8m0_cast: see there.
        epilogue: None.

    Raises:
        RuntimeError: naming the argument, what it got and what it needs; also if one requires grad, or carries a
            tangent, while grad mode is on.
        NotImplementedError: FP4, packed scales, another recipe, an epilogue.
    """
    op = "m_grouped_fp8_gemm_nt_masked"
    refuse(op, epilogue=epilogue)
    check_result(op, d)
    one_recipe(op, recipe, recipe_a, recipe_b, RECIPES)
    counts = one_tensor(op, "masked_m", masked_m, "int32: the rows of each group")
    if not isinstance(expected_m, SupportsIndex) or expected_m < 1:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: expected_m is {expected_m!r} but needs to be at least 1; "
            "pass the mean of the counts"
        )
    _by_counts(*scaled_pair(op, "a", a), *scaled_pair(op, "b", b), counts, expected_m=expected_m, out=d)


# DeepGEMM's names for FP8 and FP4 operands alike, and what it called the masked one before 2.8.
m_grouped_fp8_fp4_gemm_nt_contiguous = m_grouped_fp8_gemm_nt_contiguous
m_grouped_fp8_fp4_gemm_nn_contiguous = m_grouped_fp8_gemm_nn_contiguous
m_grouped_fp8_fp4_gemm_nt_masked = m_grouped_fp8_gemm_nt_masked
fp8_m_grouped_gemm_nt_masked = m_grouped_fp8_gemm_nt_masked
