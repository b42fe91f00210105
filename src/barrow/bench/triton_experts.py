"""What surrounds the grouped products of a mixture of experts, in Triton: a yardstick, one launch for each step.

As serving engines have it: where each row goes; tokens quantised and copied there; SiLU(gate) * up quantised; the
weighted sum of what its experts made of a token. Nothing waits for the host, and nothing is spent on rows that no token
has: all but the first step go by (token, expert) pairs and look up the row.

Rows come in slabs of a fixed number, one for each expert or one for all; scales lie [slabs, K / 128, rows of a slab].
"""

import torch
import triton
import triton.language as tl

from barrow.ops.layout import SCALE_BLOCK

# Kernels take no global but of this type.
WIDTH = tl.constexpr(SCALE_BLOCK)
# What a program quantises at once: 8 elements per thread, loaded by one instruction.
BLOCKS = 8
WARPS = 4


@triton.jit
def _route(
    ids_ptr,
    positions_ptr,
    groups_ptr,
    pairs,
    rows,
    EXPERTS: tl.constexpr,
    LAYOUT: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BINS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # A program for each expert, which finds its own pairs and how many those in front of it have.
    expert = tl.program_id(0)
    pair = tl.arange(0, BLOCK)
    ids = tl.load(ids_ptr + pair, mask=pair < pairs, other=EXPERTS)
    mine = (ids == expert).to(tl.int32)
    count = tl.sum(mine, 0)
    if LAYOUT == "masked":
        begin = expert * rows
        tl.store(groups_ptr + expert, count)
    else:
        bins = tl.arange(0, BINS)
        aligned = tl.cdiv(tl.histogram(ids, BINS), ALIGNMENT) * ALIGNMENT
        begin = tl.sum(tl.where(bins < expert, aligned, 0), 0)
        if LAYOUT == "ends":
            tl.store(groups_ptr + expert, begin + count)
        else:
            row = tl.arange(0, ALIGNMENT)
            for first in range(begin, begin + count, ALIGNMENT):
                tl.store(groups_ptr + first + row, tl.full((ALIGNMENT,), expert, tl.int32))
            used = tl.sum(tl.where(bins < EXPERTS, aligned, 0), 0)
            for first in range(used + expert * ALIGNMENT, rows, EXPERTS * ALIGNMENT):
                tl.store(groups_ptr + first + row, tl.full((ALIGNMENT,), -1, tl.int32))
    rank = tl.cumsum(mine, 0) - 1
    tl.store(positions_ptr + pair, begin + rank, mask=(pair < pairs) & (ids == expert))


@triton.jit
def _quantised(x):
    # Rows of WIDTH: elements over their scale, and the scale.
    scale = tl.maximum(tl.max(tl.abs(x), 1) / 448.0, 1e-10)
    return (x / scale[:, None]).to(tl.float8e4nv), scale


@triton.jit
def _store_row(q_ptr, scale_ptr, q, scale, position, blocks, rows, block, element):
    within = block[:, None] < blocks
    tl.store(q_ptr + position.to(tl.int64) * blocks * WIDTH + element, q, mask=within)
    slab = (position // rows).to(tl.int64)
    tl.store(scale_ptr + (slab * blocks + block) * rows + position % rows, scale, mask=block < blocks)


@triton.jit
def _scatter(x_ptr, positions_ptr, q_ptr, scale_ptr, blocks, rows, TOP_K: tl.constexpr, BLOCKS: tl.constexpr):
    token = tl.program_id(0)
    block = tl.program_id(1) * BLOCKS + tl.arange(0, BLOCKS)
    element = block[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    x = tl.load(x_ptr + token.to(tl.int64) * blocks * WIDTH + element, mask=block[:, None] < blocks, other=0.0)
    q, scale = _quantised(x.to(tl.float32))
    for slot in tl.static_range(TOP_K):
        position = tl.load(positions_ptr + token * TOP_K + slot)
        _store_row(q_ptr, scale_ptr, q, scale, position, blocks, rows, block, element)


@triton.jit
def _activate(x_ptr, positions_ptr, q_ptr, scale_ptr, blocks, rows, BLOCKS: tl.constexpr):
    position = tl.load(positions_ptr + tl.program_id(0))
    block = tl.program_id(1) * BLOCKS + tl.arange(0, BLOCKS)
    element = block[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    within = block[:, None] < blocks
    gates = x_ptr + position.to(tl.int64) * blocks * 2 * WIDTH + element
    gate = tl.load(gates, mask=within, other=0.0).to(tl.float32)
    up = tl.load(gates + blocks * WIDTH, mask=within, other=0.0).to(tl.float32)
    q, scale = _quantised(gate * tl.sigmoid(gate) * up)
    _store_row(q_ptr, scale_ptr, q, scale, position, blocks, rows, block, element)


@triton.jit
def _gather(y_ptr, positions_ptr, weights_ptr, out_ptr, columns, TOP_K: tl.constexpr, BLOCK: tl.constexpr):
    token = tl.program_id(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for slot in tl.static_range(TOP_K):
        position = tl.load(positions_ptr + token * TOP_K + slot).to(tl.int64)
        weight = tl.load(weights_ptr + token * TOP_K + slot)
        total += weight * tl.load(y_ptr + position * columns + column, mask=column < columns, other=0.0).to(tl.float32)
    out = total.to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + token.to(tl.int64) * columns + column, out, mask=column < columns)


def route(ids: torch.Tensor, experts: int, layout: str, rows: int, alignment: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the row of each pair is, [T, top_k] int32, and what tells DeepGEMM the groups.

    `layout`: "indices", the expert of each of `rows` rows and -1 behind them; "ends", where each expert's rows end;
    "masked", how many rows each expert has in its slab of `rows`. `ids` [T, top_k] int32.
    """
    positions = torch.empty_like(ids)
    groups = ids.new_empty(rows if layout == "indices" else experts)
    _route[(experts,)](
        ids,
        positions,
        groups,
        ids.numel(),
        rows,
        EXPERTS=experts,
        LAYOUT=layout,
        ALIGNMENT=alignment,
        BINS=triton.next_power_of_2(experts + 1),
        # Not less, so that few sizes are compiled.
        BLOCK=max(1024, triton.next_power_of_2(ids.numel())),
        num_warps=WARPS,
    )
    return positions, groups


def scatter(x: torch.Tensor, positions: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None:
    """Quantise tokens [T, K] by 1 x 128 and copy each to its rows of q [slabs, rows, K]."""
    blocks = x.shape[1] // SCALE_BLOCK
    _scatter[(x.shape[0], triton.cdiv(blocks, BLOCKS))](
        x, positions, q, scale, blocks, q.shape[1], TOP_K=positions.shape[1], BLOCKS=BLOCKS, num_warps=WARPS
    )


def activate(x: torch.Tensor, positions: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None:
    """Quantise SiLU(gate) * up of the rows of x [slabs, rows, 2 * I], gates first, to those of q [slabs, rows, I]."""
    blocks = q.shape[2] // SCALE_BLOCK
    _activate[(positions.numel(), triton.cdiv(blocks, BLOCKS))](
        x, positions, q, scale, blocks, q.shape[1], BLOCKS=BLOCKS, num_warps=WARPS
    )


def gather(y: torch.Tensor, positions: torch.Tensor, weights: torch.Tensor, out: torch.Tensor) -> None:
    """The weighted sum of each token's rows of y [slabs, rows, H], to out [T, H]."""
    tokens, top_k = positions.shape
    columns, block = out.shape[1], BLOCKS * SCALE_BLOCK
    _gather[(tokens, triton.cdiv(columns, block))](
        y, positions, weights, out, columns, TOP_K=top_k, BLOCK=block, num_warps=WARPS
    )
