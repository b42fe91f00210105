"""y = x W^T with block-scaled FP8 weights in Triton: for GPUs that barrow's own kernels are not for.

Imported only where it runs: Triton is the extra `barrow[triton]`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from barrow.linear.rules import FP8_CAPABILITY
from barrow.ops.layout import SCALE_BLOCK

# Rows and columns of a tile; columns divide 128, so that a tile of W has one scale for 128 of K.
BLOCK_M = (16, 32, 64)
BLOCK_N = 64


# M changes from call to call, and would be compiled for anew as 1, as a multiple of 16 and as neither.
@triton.jit(do_not_specialize=["m"])  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]
    x,
    w,
    w_scale,
    y,
    m,
    n,
    k,
    x_stride,
    w_stride,
    scale_stride_n,
    scale_stride_k,
    QUANTIZE: tl.constexpr,
    UE8M0: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    rows = tl.program_id(1).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    scales = w_scale + (tl.program_id(0) * BLOCK_N // BLOCK_K) * scale_stride_n
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for block in range(tl.cdiv(k, BLOCK_K)):
        inner = block * BLOCK_K + tl.arange(0, BLOCK_K)
        a = tl.load(
            x + rows[:, None] * x_stride + inner[None, :], mask=(rows < m)[:, None] & (inner < k)[None, :], other=0.0
        )
        bits = tl.load(
            w + columns[None, :] * w_stride + inner[:, None],
            mask=(columns < n)[None, :] & (inner < k)[:, None],
            other=0,
        )
        scale = tl.load(scales + block * scale_stride_k)
        if QUANTIZE:
            # The arithmetic of `per_token_group_quant_fp8`, on the rows and the 128 of K that are here.
            a = a.to(tl.float32)
            finite = tl.abs(a) < float("inf")
            amax = tl.max(tl.where(finite, tl.abs(a), 0.0), axis=1)
            a_scale = tl.maximum(tl.div_rn(amax, 448.0), 1.1754943508222875e-38)
            if UE8M0:
                a_scale = ((a_scale.to(tl.int32, bitcast=True) + 0x7FFFFF) & 0x7F800000).to(tl.float32, bitcast=True)
            a_scale = tl.where(amax == 0.0, 1.0, a_scale)
            q = tl.div_rn(a, tl.broadcast_to(a_scale[:, None], (BLOCK_M, BLOCK_K)))
            q = tl.where(finite, tl.minimum(tl.maximum(q, -448.0), 448.0), float("nan"))
            part = tl.dot(q.to(tl.float8e4nv), bits.to(tl.float8e4nv, bitcast=True))
            total += part * (a_scale * scale)[:, None]
        else:
            # e4m3's seven lower bits are those of a float16 that is 2^8 smaller, subnormals included; 0x7F is NaN.
            magnitude = (bits & 0x7F).to(tl.int16) << 7
            sign = (bits & 0x80).to(tl.int16) << 8
            b = (magnitude | sign).to(tl.float16, bitcast=True).to(tl.float32) * 256.0
            b = tl.where((bits & 0x7F) == 0x7F, float("nan"), b)
            total += tl.dot(a, b.to(a.dtype), input_precision="ieee") * scale
    at = y + rows[:, None] * n + columns[None, :]
    tl.store(at, total.to(y.dtype.element_ty), mask=(rows < m)[:, None] & (columns < n)[None, :])


def quantizes(device: torch.device) -> bool:
    """Whether the input is quantized there: on GPUs that multiply e4m3. Elsewhere weights are widened to x's dtype."""
    return (
        device.type == "cuda"
        and torch.version.hip is None
        and torch.cuda.get_device_capability(device) >= FP8_CAPABILITY
    )


@torch.library.custom_op("barrow::triton_linear", mutates_args=())
def _op(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool, quantize: bool | None) -> Tensor:
    (m, k), n = x.shape, weight.shape[0]
    y = x.new_empty((m, n))
    if y.numel() == 0:
        return y
    block_m = next((size for size in BLOCK_M if size >= m), BLOCK_M[-1])
    _kernel[(triton.cdiv(n, BLOCK_N), triton.cdiv(m, block_m))](
        x,
        weight.view(torch.uint8),
        weight_scale,
        y,
        m,
        n,
        k,
        x.stride(0),
        weight.stride(0),
        weight_scale.stride(0),
        weight_scale.stride(1),
        QUANTIZE=quantizes(x.device) if quantize is None else quantize,
        UE8M0=use_ue8m0,
        BLOCK_M=block_m,
        BLOCK_N=BLOCK_N,
        BLOCK_K=SCALE_BLOCK,
    )
    return y


@_op.register_fake
def _fake(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool, quantize: bool | None) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0]))


def linear(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    """Return x [M, K] times weight [N, K] transposed, in x's dtype, for any M, N and K.

    Args:
        x: bfloat16, float16 or float32; last stride 1.
        weight: [N, K] float8_e4m3fn; last stride 1.
        weight_scale: [ceil(N / 128), ceil(K / 128)] float32, any strides.
        use_ue8m0: round the scales of the input up to powers of two, where it is quantized.
    """
    y: Tensor = torch.ops.barrow.triton_linear(x, weight, weight_scale, use_ue8m0, None)
    return y
