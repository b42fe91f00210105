"""How each built-in backend multiplies: x [M, K] by a block-scaled weight [N, K], for cases that its rule allows."""

import torch
from torch import Tensor
from torch.nn import functional

from barrow import ops
from barrow.linear.case import GEMM_DTYPE
from barrow.ops.layout import SCALE_BLOCK, SCALE_ROWS


def operators(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    """barrow's operators, on a Hopper GPU or the CPU."""
    q, scale = ops.per_token_group_quant_fp8(x, use_ue8m0=use_ue8m0)
    # Weights may be loaded ahead: what writes them, a checkpoint or an in-place operation, ends before the quantizer
    # of the input starts.
    return ops.fp8_gemm_nt(q, scale, weight, weight_scale, out_dtype=GEMM_DTYPE[x.dtype], prefetch_b=True)


def scaled_mm(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    """cuBLASLt, between barrow's quantizer and nothing."""
    rows = x.shape[0]
    # cuBLASLt reads the scales of four rows at once; with M a multiple of 4 they lie as the quantizer leaves them.
    padded = functional.pad(x, (0, 0, 0, -rows % SCALE_ROWS))
    q, scale = ops.per_token_group_quant_fp8(padded, use_ue8m0=use_ue8m0)
    y: Tensor = torch._scaled_mm(q, weight.t(), scale, weight_scale.t(), out_dtype=torch.bfloat16)
    return y[:rows]


def triton(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    """The Triton kernel; it is imported where it runs, since Triton is an extra."""
    from barrow.linear import triton_kernel

    return triton_kernel.linear(x, weight, weight_scale, use_ue8m0)


def dequantize(weight: Tensor, weight_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `weight` [N, K] times its [ceil(N / 128), ceil(K / 128)] scales, in `dtype`."""
    rows, columns = weight.shape
    scale = weight_scale.repeat_interleave(SCALE_BLOCK, 0)[:rows].repeat_interleave(SCALE_BLOCK, 1)[:, :columns]
    return (weight.to(torch.float32) * scale).to(dtype)


def dequantized(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    """torch's matmul in x's dtype; x is not quantized."""
    return x @ dequantize(weight, weight_scale, x.dtype).T
