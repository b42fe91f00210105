"""Layouts of scales, as DeepGEMM's kernels on Hopper want them, and the alignment of grouped layouts.

`barrow.fp8_gemm_nt` takes scales of any strides; those that these functions return it reads fastest.
"""

from collections.abc import Callable, Sequence
from typing import NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from barrow.deep_gemm.missing import missing
from barrow.deep_gemm.utils.math import align, ceil_div, contiguous_copy

# What the copy engine can address: 16 bytes.
TMA_BYTES = 16
# Rows of an expert in a grouped layout are padded to this on Hopper.
GROUP_ALIGNMENT = 128

_group_alignment = GROUP_ALIGNMENT


def get_tma_aligned_size(x: int, element_size: int) -> int:
    """`x` elements of `element_size` bytes (1, 2, 4, 8 or 16), rounded up to whole 16 bytes, in elements."""
    if element_size < 1 or TMA_BYTES % element_size:
        raise RuntimeError(
            f"barrow.deep_gemm.get_tma_aligned_size: element_size is {element_size} but needs to divide {TMA_BYTES}"
        )
    return align(x, TMA_BYTES // element_size)


def _check_float_scales(op: str, sf: Tensor) -> None:
    if sf.dtype != torch.float32 or sf.ndim not in (2, 3):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: sf is {sf.dtype} of {sf.ndim} dimensions but needs float32 [mn, k blocks] or "
            "[groups, mn, k blocks]"
        )


def get_mn_major_tma_aligned_tensor(sf: Tensor) -> Tensor:
    """The same scales with rows adjacent and columns 16 bytes apart: `sf` itself where they lie so, else a copy.

    Args:
        sf: [mn, k blocks] or [groups, mn, k blocks] float32, any strides.
    """
    _check_float_scales("get_mn_major_tma_aligned_tensor", sf)
    mn, blocks = sf.shape[-2:]
    pitch = get_tma_aligned_size(mn, sf.element_size())
    strides = (1, pitch) if sf.ndim == 2 else (pitch * blocks, 1, pitch)
    if sf.stride() == strides:
        return sf
    return sf.new_empty_strided(sf.shape, strides).copy_(sf)


def get_mn_major_tma_aligned_packed_ue8m0_tensor(sf: Tensor, psum_layout: Tensor | None = None) -> Tensor:
    """Exponents of four scales along K in one int32, the first in the low byte, rows adjacent.

    This is Blackwell's layout, of use to programs that prepare weights; barrow's kernels take float32 scales.

    Args:
        sf: [mn, k blocks] or [groups, mn, k blocks] float32 powers of two.
        psum_layout: None.

    Returns:
        [..., mn, ceil(k blocks / 4)] int32 with strides (1, mn rounded up to 4).
    """
    op = "get_mn_major_tma_aligned_packed_ue8m0_tensor"
    if psum_layout is not None:
        raise NotImplementedError(f"barrow.deep_gemm.{op}: psum_layout is of grouped GEMM on Blackwell; use DeepGEMM")
    _check_float_scales(op, sf)
    mn, blocks = sf.shape[-2:]
    exponents = functional.pad((sf.view(torch.int32) >> 23).to(torch.uint8), (0, -blocks % 4))
    packed = contiguous_copy(exponents).view(torch.int32)
    pitch, columns = get_tma_aligned_size(mn, 4), ceil_div(blocks, 4)
    strides = (1, pitch) if sf.ndim == 2 else (pitch * columns, 1, pitch)
    return packed.new_empty_strided(packed.shape, strides).copy_(packed)


def get_k_grouped_mn_major_tma_aligned_packed_ue8m0_tensor(
    sf: Tensor,
    grouped_layout: Tensor,
    ks_cpu: Sequence[int] | None,
    gran_k: int,
    k_alignment: int,
    use_psum_layout: bool = False,
) -> Tensor:
    """Exponents of four scales along K in one int32, as above, for groups of K that share none.

    Args:
        sf: [sum of ceil(K of g / gran_k) over all groups g, mn] float32 powers of two.
        grouped_layout: accepted and ignored, as `ks_cpu` has its numbers.
        ks_cpu: K of each group.
        gran_k: columns that a scale covers.
        k_alignment: accepted and ignored; it is of prefix sums.
        use_psum_layout: False.

    Returns:
        [sum of ceil(K of g / (4 gran_k)), mn] int32, contiguous.
    """
    op = "get_k_grouped_mn_major_tma_aligned_packed_ue8m0_tensor"
    if use_psum_layout or not ks_cpu:
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: prefix sums of K are of grouped GEMM on Blackwell; pass the K of each group in "
            "ks_cpu, or use DeepGEMM"
        )
    blocks = [ceil_div(k, gran_k) for k in ks_cpu]
    if sf.dtype != torch.float32 or sf.ndim != 2 or sf.shape[0] != sum(blocks):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: sf is {sf.dtype} of shape {list(sf.shape)} but needs float32 [{sum(blocks)}, mn] "
            f"for {gran_k} columns a scale and K of {list(ks_cpu)}"
        )
    exponents = (sf.view(torch.int32) >> 23).to(torch.uint8)
    groups = [functional.pad(group, (0, 0, 0, -group.shape[0] % 4)) for group in exponents.split(blocks)]
    fours = torch.cat(groups).view(-1, 4, sf.shape[1]).transpose(1, 2)
    return contiguous_copy(fours).view(torch.int32).squeeze(2)


def transform_sf_into_required_layout(
    sf: Tensor,
    mn: int,
    k: int,
    recipe: Sequence[int],
    num_groups: int | None = None,
    is_sfa: bool | None = None,
    disable_ue8m0_cast: bool = False,
    psum_layout: Tensor | None = None,
) -> Tensor:
    """Scales in the layout that Hopper's kernels read fastest; blocks of 128 x 128 are returned as they are.

    Args:
        sf: [ceil(mn / rows), ceil(k / 128)] float32, with a first dimension of `num_groups` where that is given.
        mn: rows of the matrix that is scaled: M or N.
        k: its columns.
        recipe: (rows of A, rows of B, 128 columns) that a scale covers with `is_sfa` saying which of the two is meant,
            or (rows, 128) without. Rows are 1 or 128.
        num_groups: None for a matrix, the number of matrices for a stack of them.
        is_sfa: see `recipe`.
        disable_ue8m0_cast: accepted and ignored; Hopper's scales are float32.
        psum_layout: accepted and ignored; on Hopper it changes no scales.
    """
    op = "transform_sf_into_required_layout"
    if len(recipe) not in (2, 3) or (len(recipe) == 3) != (is_sfa is not None):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: recipe is {tuple(recipe)} with is_sfa={is_sfa}; "
            "pass three numbers and is_sfa, or two numbers and none"
        )
    rows, columns = (recipe[0] if len(recipe) == 2 or is_sfa else recipe[1]), recipe[-1]
    if rows not in (1, 128) or columns != 128 or sf.dtype != torch.float32:
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: no kernel on Hopper takes {sf.dtype} scales of {rows} x {columns} elements; "
            "use float32 scales of 1 x 128 or 128 x 128"
        )
    expected = (*(() if num_groups is None else (num_groups,)), ceil_div(mn, rows), ceil_div(k, columns))
    if sf.shape != expected:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: sf has shape {list(sf.shape)} but needs {list(expected)} for {mn} rows, {k} "
            f"columns and {num_groups} groups; pass one scale per {rows} x {columns} elements"
        )
    return get_mn_major_tma_aligned_tensor(sf) if rows == 1 else sf


def get_theoretical_mk_alignment_for_contiguous_layout(expected_m: int | None = None) -> int:
    """Rows to which a group's rows are best padded: 128 on Hopper, whatever `expected_m` is."""
    return GROUP_ALIGNMENT


def get_mk_alignment_for_contiguous_layout() -> int:
    """Rows to which a group's rows are padded: what was set last, 128 at first."""
    return _group_alignment


def set_mk_alignment_for_contiguous_layout(value: int) -> None:
    """Set what `get_mk_alignment_for_contiguous_layout` returns."""
    global _group_alignment
    _group_alignment = value


get_m_alignment_for_contiguous_layout = get_mk_alignment_for_contiguous_layout
get_k_alignment_for_contiguous_layout = get_mk_alignment_for_contiguous_layout


def __getattr__(name: str) -> Callable[..., NoReturn]:
    return missing(__name__, name)
