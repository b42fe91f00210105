"""Layouts, shapes and strides that the operators' implementations share. Sizes may be symbolic."""

from enum import IntEnum

# Edge of a scale block of B, and the length of K that one scale of A covers.
SCALE_BLOCK = 128
# The kernel reads the scales of four rows of A at once, so that columns of scales start 16 bytes apart.
SCALE_ROWS = 4
# Experts that `moe_sort` tells apart (kernels/params_experts.h).
MOST_EXPERTS = 1024


class GroupLayout(IntEnum):
    """How groups of rows are told; the numbers are those of kernels/params.h."""

    ENDS = 0
    INDICES = 1
    COUNTS = 2


def scale_blocks(size: int) -> int:
    """Scale blocks along a dimension of `size` elements, the last one possibly partial."""
    return (size + SCALE_BLOCK - 1) // SCALE_BLOCK


def token_scale_strides(rows: int) -> tuple[int, int]:
    """Strides of the scale tensor that `per_token_group_quant_fp8` returns: K blocks outermost, rows padded to 4."""
    return (1, (rows + SCALE_ROWS - 1) // SCALE_ROWS * SCALE_ROWS)


def slab_scale_strides(rows: int, k: int) -> tuple[int, int, int]:
    """Strides of the scales of a slab of `rows` x `k` per expert: within a slab those of `token_scale_strides`."""
    row, block = token_scale_strides(rows)
    return (scale_blocks(k) * block, row, block)
