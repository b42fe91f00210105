"""Meta implementations of the operators around a grouped GEMM for experts; as in meta.py they check devices alone."""

import torch
from torch import Tensor

from barrow.ops.layout import scale_blocks, slab_scale_strides, token_scale_strides
from barrow.ops.meta import check_devices


def _moe_sort(topk_ids: Tensor, num_experts: int, max_m: int | None) -> tuple[Tensor, Tensor]:
    groups = topk_ids.new_empty((num_experts,), dtype=torch.int32)
    return groups, topk_ids.new_empty(topk_ids.shape, dtype=torch.int32)


def _moe_permute_quant(x: Tensor, positions: Tensor, rows: int, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    check_devices("moe_permute_quant", x=x, positions=positions)
    k = x.shape[1]
    scale = x.new_empty_strided((rows, scale_blocks(k)), token_scale_strides(rows), dtype=torch.float32)
    return x.new_empty((rows, k), dtype=torch.float8_e4m3fn), scale


def _silu_mul_quant(x: Tensor, groups: Tensor | None, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    if groups is not None:
        check_devices("silu_mul_quant", x=x, groups=groups)
    *slabs, rows, columns = x.shape
    k = columns // 2
    q = x.new_empty((*slabs, rows, k), dtype=torch.float8_e4m3fn)
    strides = slab_scale_strides(rows, k)[-x.dim() :]
    return q, x.new_empty_strided((*slabs, rows, scale_blocks(k)), strides, dtype=torch.float32)


def _moe_unpermute(y: Tensor, positions: Tensor, weights: Tensor) -> Tensor:
    check_devices("moe_unpermute", y=y, positions=positions, weights=weights)
    return y.new_empty((positions.shape[0], y.shape[1]))


def register() -> None:
    """Register the meta implementations with torch; called once, at import."""
    torch.library.register_fake("barrow::moe_sort", _moe_sort)
    torch.library.register_fake("barrow::moe_permute_quant", _moe_permute_quant)
    torch.library.register_fake("barrow::silu_mul_quant", _silu_mul_quant)
    torch.library.register_fake("barrow::moe_unpermute", _moe_unpermute)
