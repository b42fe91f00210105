"""FP8 GEMM over groups of rows, each with a matrix of its own: the experts of a mixture."""

from collections.abc import Sequence

import torch
from torch import Tensor

import barrow.launcher  # noqa: F401  (its library defines the operators)
from barrow.ops.check_groups import check_groups_asked
from barrow.ops.grad import in_dual_level, refuse_derivatives
from barrow.ops.layout import GroupLayout
from barrow.ops.tensors import check_tensors

_gemm = torch.ops.barrow.m_grouped_fp8_gemm_nt.default
_gemm_out = torch.ops.barrow.m_grouped_fp8_gemm_nt.out
_k_gemm = torch.ops.barrow.k_grouped_fp8_gemm_nt.default
_CHECK_GROUPS = check_groups_asked()
_GROUPS = {GroupLayout.ENDS: "group_ends", GroupLayout.INDICES: "m_indices", GroupLayout.COUNTS: "masked_m"}


def m_grouped_fp8_gemm_nt(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    group_ends: Tensor,
    *,
    alignment: int = 1,
    out: Tensor | None = None,
    prefetch_b: bool = False,
) -> Tensor:
    """Multiply groups of consecutive rows, each by its matrix: D[rows of g] = A[rows of g] x B[g]^T.

    Group g has the rows from where group g - 1 ends, rounded up to a multiple of `alignment` (0 for the first), to
    `group_ends[g]`. Only the GPU reads `group_ends`, so a CUDA graph may be replayed with others. Groups may be empty
    and, with an alignment of 1, have any number of rows with no padding between them. Arithmetic and scales are those
    of `fp8_gemm_nt`, and a row's result has the same bits wherever it lies.

    Args:
        a: [M, K] float8_e4m3fn; last stride 1, any row stride.
        a_scale: [M, ceil(K / 128)] float32, any strides. As `per_token_group_quant_fp8` returns it is fastest.
        b: [G, N, K] float8_e4m3fn; last stride 1.
        b_scale: [G, ceil(N / 128), ceil(K / 128)] float32, any strides.
        group_ends: [G] int32, ascending. An end beyond M counts as M, and a group that would end before it begins is
            empty.
        alignment: rows, at least 1. DeepGEMM's layout of prefix sums has
            `get_mk_alignment_for_contiguous_layout()`.
        out: [M, N] bfloat16 to write to; last stride 1, no overlap with an input. Rows of no group stay as they are,
            but with K = 0 all of it becomes zeros.
        prefetch_b: start to load `b`, `b_scale` and the groups before the work in front of this call on the stream is
            done (programmatic dependent launch), which hides most of a small product's start. Only where all three were
            written in front of the last operator of barrow that quantizes, or of the last kernel of another library:
            either lets this call start when all in front of it is done, and no sooner. `a` and `a_scale` are waited for
            as ever. Without effect with BARROW_CHECK_GROUPS=1, and on shapes whose kernel is faster when it starts in
            its turn.

    Returns:
        `out`, or a new contiguous [M, N] tensor whose rows of no group are undefined.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if an argument requires grad, or carries a
            tangent, while grad mode is on, or if the GPU or its driver cannot run the kernels. With
            BARROW_CHECK_GROUPS=1 also if `group_ends` do not ascend, exceed M or lie before the aligned start of their
            group: see `barrow.ops.check_groups`.
    """
    return _run(GroupLayout.ENDS, a, a_scale, b, b_scale, group_ends, alignment, 0, out, prefetch_b)


def m_grouped_fp8_gemm_nt_indexed(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    m_indices: Tensor,
    *,
    alignment: int = 128,
    out: Tensor | None = None,
    prefetch_b: bool = False,
) -> Tensor:
    """The same with the group of each row: D[m] = A[m] x B[m_indices[m]]^T, DeepGEMM's contiguous layout.

    Args:
        a: see `m_grouped_fp8_gemm_nt`, as for all others.
        a_scale: see there.
        b: see there.
        b_scale: see there.
        m_indices: [M] int32. All of `alignment` rows, from each multiple of it on, are taken to be of the group of the
            first of them, so that rows of padding behind a group (DeepGEMM marks them by -1) are multiplied too. Where
            the first is not within [0, G), the rows are left out.
        alignment: rows at whose multiples groups begin.
        out: [M, N] bfloat16 to write to. Rows that are left out stay as they are.
        prefetch_b: see there.

    Raises:
        RuntimeError: see `m_grouped_fp8_gemm_nt`. With BARROW_CHECK_GROUPS=1 also if an index is not from -1 to G - 1,
            or neither -1 nor that of the first of its `alignment` rows.
    """
    return _run(GroupLayout.INDICES, a, a_scale, b, b_scale, m_indices, alignment, 0, out, prefetch_b)


def m_grouped_fp8_gemm_nt_masked(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    masked_m: Tensor,
    *,
    expected_m: int | None = None,
    out: Tensor | None = None,
    prefetch_b: bool = False,
) -> Tensor:
    """The same with a slab of rows for each group, of which the first few count: D[g, :m] = A[g, :m] x B[g]^T.

    Args:
        a: [G, max_m, K] float8_e4m3fn; last stride 1.
        a_scale: [G, max_m, ceil(K / 128)] float32, any strides; fastest with rows adjacent (stride 1).
        b: see `m_grouped_fp8_gemm_nt`.
        b_scale: see there.
        masked_m: [G] int32, the rows m of each group. Below 0 counts as 0, above max_m as max_m.
        expected_m: about how many rows a group has, for the choice of the kernel; max_m if not given. Any value is
            right for any counts.
        out: [G, max_m, N] bfloat16 to write to; last stride 1. Rows from a group's count on stay as they are.
        prefetch_b: see there.

    Raises:
        RuntimeError: see `m_grouped_fp8_gemm_nt`. With BARROW_CHECK_GROUPS=1 also if a count is not from 0 to max_m.
    """
    rows = 0 if expected_m is None else expected_m
    return _run(GroupLayout.COUNTS, a, a_scale, b, b_scale, masked_m, 1, rows, out, prefetch_b)


def k_grouped_fp8_gemm_nt(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, ks: Sequence[int], *, out: Tensor
) -> Tensor:
    """Add one product per group to `out`, each over a K of its own: out[g] += A_g x B_g^T, gradients of weights.

    The host knows all K, so nothing waits for the GPU, and a launch takes up to 13 groups.

    Args:
        a: float8_e4m3fn, contiguous, M * sum(ks) elements: the matrices [M, ks[g]] one after the other.
        a_scale: [M, S] float32 with S the sum of all ceil(ks[g] / 128): the scales of the groups side by side.
            Fastest with rows adjacent (stride 1).
        b: the same with N: [N, ks[g]] one after the other.
        b_scale: [N, S] float32, a scale per row of B and 128 of K.
        ks: K of every group; 0 leaves its part of `out` as it is.
        out: [G, M, N] float32; last stride 1, no overlap of its rows or with an input.

    Returns:
        `out`.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if an argument requires grad, or carries a
            tangent, while grad mode is on, or if the GPU or its driver cannot run the kernels.
    """
    try:
        if torch.is_grad_enabled() and (
            a.requires_grad
            or a_scale.requires_grad
            or b.requires_grad
            or b_scale.requires_grad
            or out.requires_grad
            or in_dual_level()
        ):
            refuse_derivatives("k_grouped_fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, out=out)
        _k_gemm(a, a_scale, b, b_scale, list(ks), out=out)
        return out
    except (AttributeError, RuntimeError):
        check_tensors("k_grouped_fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, out=out)
        raise


def _run(
    kind: GroupLayout,
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    groups: Tensor,
    alignment: int,
    expected_m: int,
    out: Tensor | None,
    prefetch_b: bool,
) -> Tensor:
    try:
        if torch.is_grad_enabled() and (
            a.requires_grad
            or a_scale.requires_grad
            or b.requires_grad
            or b_scale.requires_grad
            or (out is not None and out.requires_grad)
            or in_dual_level()
        ):
            refuse_derivatives("m_grouped_fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, out=out)
        if _CHECK_GROUPS:
            # What it returns has just been written.
            prefetch_b = False
            groups = torch.ops.barrow.checked_groups(
                a, a_scale, b, b_scale, groups, int(kind), alignment, expected_m, out
            )
        if out is None:
            result: Tensor = _gemm(a, a_scale, b, b_scale, groups, int(kind), alignment, expected_m, prefetch_b)
            return result
        _gemm_out(a, a_scale, b, b_scale, groups, int(kind), alignment, expected_m, prefetch_b, out=out)
        return out
    except (AttributeError, RuntimeError):
        tensors = {"a": a, "a_scale": a_scale, "b": b, "b_scale": b_scale, _GROUPS[kind]: groups, "out": out}
        check_tensors("m_grouped_fp8_gemm_nt", may_be_none="out", **tensors)
        raise
