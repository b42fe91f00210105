"""CPU implementation of the operators around a grouped GEMM for experts, in plain torch."""

import torch
from torch import Tensor

from barrow.ops.cpu import quantize
from barrow.ops.layout import scale_blocks, slab_scale_strides, token_scale_strides

_library = torch.library.Library("barrow", "IMPL")


def _moe_sort(topk_ids: Tensor, num_experts: int, max_m: int | None) -> tuple[Tensor, Tensor]:
    torch.ops.barrow.check_moe_sort.default(topk_ids, num_experts, max_m)
    ids = topk_ids.flatten().long()
    # Those of no expert are sorted behind all others.
    ids = torch.where((ids >= 0) & (ids < num_experts), ids, num_experts)
    order = ids.argsort(stable=True)
    counts = ids.bincount(minlength=num_experts + 1)
    ends = counts.cumsum(0)
    rows = torch.empty_like(ids)
    rows[order] = torch.arange(len(ids))
    if max_m is None:
        positions = torch.where(ids < num_experts, rows, -1)
    else:
        ranks = rows - (ends - counts)[ids]
        positions = torch.where((ids < num_experts) & (ranks < max_m), ids * max_m + ranks, -1)
    groups = ends if max_m is None else counts
    return groups[:num_experts].int(), positions.int().reshape(topk_ids.shape)


def _moe_permute_quant(x: Tensor, positions: Tensor, rows: int, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    torch.ops.barrow.check_moe_permute_quant.default(x, positions, rows)
    token_q, token_scale = quantize(x, 1, use_ue8m0)
    token, place = ((positions >= 0) & (positions < rows)).nonzero(as_tuple=True)
    target = positions[token, place].long()
    q = token_q.new_empty((rows, x.shape[1]))
    scale = token_scale.new_empty_strided((rows, token_scale.shape[1]), token_scale_strides(rows))
    # Bytes: torch does not index every float8 tensor.
    q.view(torch.uint8)[target] = token_q.view(torch.uint8)[token]
    scale[target] = token_scale[token]
    return q, scale


def _silu_mul_quant(x: Tensor, groups: Tensor | None, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    torch.ops.barrow.check_silu_mul_quant.default(x, groups)
    slabs = x if x.dim() == 3 else x[None]
    count, max_m, columns = slabs.shape
    k = columns // 2
    q = x.new_empty((count, max_m, k), dtype=torch.float8_e4m3fn)
    scale = x.new_empty_strided((count, max_m, scale_blocks(k)), slab_scale_strides(max_m, k), dtype=torch.float32)
    ends = [max_m] * count if groups is None else groups[-count:].tolist()
    for slab, end in enumerate(ends):
        rows = slice(0, min(max(end, 0), max_m))
        gate, value = slabs[slab, rows].float().tensor_split(2, dim=1)
        q[slab, rows], scale[slab, rows] = quantize(gate / (1 + (-gate).exp()) * value, 1, use_ue8m0)
    return (q, scale) if x.dim() == 3 else (q[0], scale[0])


def _moe_unpermute(y: Tensor, positions: Tensor, weights: Tensor) -> Tensor:
    torch.ops.barrow.check_moe_unpermute.default(y, positions, weights)
    total = y.new_zeros((positions.shape[0], y.shape[1]), dtype=torch.float32)
    for row, weight in zip(positions.T.long(), weights.T, strict=True):
        named = ((row >= 0) & (row < y.shape[0])).nonzero()[:, 0]
        total[named] += weight[named, None] * y[row[named]].float()
    return total.bfloat16()


def register() -> None:
    """Register the implementations for CPU tensors with torch; called once, at import."""
    _library.impl("moe_sort", _moe_sort, "CPU")
    _library.impl("moe_permute_quant", _moe_permute_quant, "CPU")
    _library.impl("silu_mul_quant", _silu_mul_quant, "CPU")
    _library.impl("moe_unpermute", _moe_unpermute, "CPU")
