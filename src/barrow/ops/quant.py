"""Quantizers to float8_e4m3fn with float32 scales."""

import torch
from torch import Tensor

import barrow.launcher  # noqa: F401  (its library defines the operators)
from barrow.ops.grad import in_dual_level, refuse_derivatives
from barrow.ops.tensors import check_tensors

_token_quant = torch.ops.barrow.per_token_group_quant_fp8.default
_block_quant = torch.ops.barrow.per_block_quant_fp8.default


def per_token_group_quant_fp8(x: Tensor, *, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    """Quantize activations with one scale per row and 128 of K: x ~ q * scale.

    For every group, with IEEE float32 arithmetic, so that a CPU and a GPU give the same bits:

        amax  = max |x| over the finite elements
        scale = max(amax / 448, 2^-126), or 1.0 where amax is 0 or nothing is finite
        q     = clamp(x / scale, -448, 448), rounded to the nearest e4m3, ties to even

    NaN and infinities become NaN in q, so that they show in the product. 448 is the largest e4m3 value (OCP 8-bit
    floating point specification, revision 1.0, table 1).

    Args:
        x: [M, K] bfloat16, float16 or float32; last stride 1, any row stride. Any M and K, 0 included.
        use_ue8m0: round every scale up to a power of two (the values of the UE8M0 format, still kept as float32).

    Returns:
        q: [M, K] float8_e4m3fn, contiguous.
        scale: [M, ceil(K / 128)] float32 with strides (1, M rounded up to 4): the layout that `fp8_gemm_nt` reads
            fastest.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if x requires grad, or carries a tangent,
            while grad mode is on.
    """
    try:
        if torch.is_grad_enabled() and (x.requires_grad or in_dual_level()):
            refuse_derivatives("per_token_group_quant_fp8", x=x)
        result: tuple[Tensor, Tensor] = _token_quant(x, use_ue8m0)
        return result
    except (AttributeError, RuntimeError):
        check_tensors("per_token_group_quant_fp8", x=x)
        raise


def per_block_quant_fp8(x: Tensor, *, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    """Quantize weights with one scale per 128 x 128 block: x ~ q * scale.

    The arithmetic is that of `per_token_group_quant_fp8`, with blocks for groups; blocks at the edges are partial.

    Args:
        x: [N, K] bfloat16, float16 or float32; last stride 1, any row stride. Any N and K, 0 included.
        use_ue8m0: round every scale up to a power of two (the values of the UE8M0 format, still kept as float32).

    Returns:
        q: [N, K] float8_e4m3fn, contiguous.
        scale: [ceil(N / 128), ceil(K / 128)] float32, contiguous.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if x requires grad, or carries a tangent,
            while grad mode is on.
    """
    try:
        if torch.is_grad_enabled() and (x.requires_grad or in_dual_level()):
            refuse_derivatives("per_block_quant_fp8", x=x)
        result: tuple[Tensor, Tensor] = _block_quant(x, use_ue8m0)
        return result
    except (AttributeError, RuntimeError):
        check_tensors("per_block_quant_fp8", x=x)
        raise
