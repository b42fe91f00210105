"""CPU implementation of every operator in plain torch: slow, simple, and what the kernels are tested against."""

import torch
from torch import Tensor
from torch.nn import functional

from barrow.ops.layout import SCALE_BLOCK, scale_blocks, token_scale_strides

E4M3_MAX = 448.0
# The smallest normal float32: below it a scale would lose bits, and 1 / scale would overflow.
SMALLEST_SCALE = 2.0**-126
MANTISSA_MASK = 0x7FFFFF

_library = torch.library.Library("barrow", "IMPL")


def product(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor) -> Tensor:
    """The product in float32: one partial product per 128 of K, scaled and then added, as the kernels do."""
    rows = b.shape[0]
    total = a.new_zeros((a.shape[0], rows), dtype=torch.float32)
    if b_scale.shape[0] != rows:
        b_scale = b_scale.repeat_interleave(SCALE_BLOCK, dim=0)[:rows]
    # The kernels know nothing of autocast, and in float16 the unscaled sums would overflow.
    with torch.autocast("cpu", enabled=False):
        for block in range(scale_blocks(a.shape[1])):
            columns = slice(block * SCALE_BLOCK, (block + 1) * SCALE_BLOCK)
            partial = a[:, columns].float() @ b[:, columns].float().T
            partial *= a_scale[:, block, None]
            total.addcmul_(partial, b_scale[:, block])
    return total


def _fp8_gemm_nt(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, float32_out: bool, prefetch_b: bool = False
) -> Tensor:
    torch.ops.barrow.check_fp8_gemm_nt.default(a, a_scale, b, b_scale, None)
    return product(a, a_scale, b, b_scale).to(torch.float32 if float32_out else torch.bfloat16)


def _fp8_gemm_nt_out(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    prefetch_b: bool = False,
    accumulate: bool = False,
    *,
    out: Tensor,
) -> None:
    torch.ops.barrow.check_fp8_gemm_nt.default(a, a_scale, b, b_scale, out, accumulate)
    result = product(a, a_scale, b, b_scale)
    out.copy_(out + result if accumulate else result)


def _scale_of(amax: Tensor, use_ue8m0: bool) -> Tensor:
    scale = (amax / E4M3_MAX).clamp_min(SMALLEST_SCALE)
    if use_ue8m0:
        # Adding the mask carries into the exponent of all but powers of two: log2 and exp2 would have to be exact.
        scale = ((scale.view(torch.int32) + MANTISSA_MASK) & ~MANTISSA_MASK).view(torch.float32)
    return torch.where(amax == 0, 1.0, scale)


def quantize(x: Tensor, group_rows: int, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    """Quantize groups of `group_rows` x 128 elements; both results are contiguous."""
    rows, k = x.shape
    row_groups, column_groups = -(-rows // group_rows), scale_blocks(k)
    # Padding with zeros makes every group whole and changes no maximum.
    padding = (0, column_groups * SCALE_BLOCK - k, 0, row_groups * group_rows - rows)
    groups = functional.pad(x.float(), padding).reshape(row_groups, group_rows, column_groups, SCALE_BLOCK)
    infinite = ~groups.isfinite()
    amax = groups.abs().masked_fill_(infinite, 0.0).amax(dim=(1, 3), keepdim=True)
    scale = _scale_of(amax, use_ue8m0)
    # Clamped first: what a cast does beyond 448 differs among torch's releases.
    quotient = (groups / scale).clamp_(-E4M3_MAX, E4M3_MAX).masked_fill_(infinite, float("nan"))
    q = quotient.to(torch.float8_e4m3fn).reshape(row_groups * group_rows, column_groups * SCALE_BLOCK)
    # Not contiguous(), which keeps the strides of the padded tensor where there is one row or none.
    return q[:rows, :k].clone(memory_format=torch.contiguous_format), scale.reshape(row_groups, column_groups)


def _per_token_group_quant_fp8(x: Tensor, use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    torch.ops.barrow.check_per_token_group_quant_fp8.default(x)
    q, scale = quantize(x, 1, use_ue8m0)
    return q, scale.new_empty_strided(scale.shape, token_scale_strides(x.shape[0])).copy_(scale)


def _per_block_quant_fp8(x: Tensor, use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    torch.ops.barrow.check_per_block_quant_fp8.default(x)
    return quantize(x, SCALE_BLOCK, use_ue8m0)


def register() -> None:
    """Register the implementations for CPU tensors with torch; called once, at import."""
    _library.impl("fp8_gemm_nt", _fp8_gemm_nt, "CPU")
    _library.impl("fp8_gemm_nt.out", _fp8_gemm_nt_out, "CPU")
    _library.impl("per_token_group_quant_fp8", _per_token_group_quant_fp8, "CPU")
    _library.impl("per_block_quant_fp8", _per_block_quant_fp8, "CPU")
