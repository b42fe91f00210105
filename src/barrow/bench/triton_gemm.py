"""A block-scaled FP8 product in Triton, as a yardstick: what a person writes who has no kernel of their own.

D[m, n] = sum over blocks of K of (a x b^T) * a_scale[m, block] * b_scale[n // 128, block], summed in float32.
"""

import torch
import triton
import triton.language as tl
from triton.testing import do_bench

from barrow.ops.layout import SCALE_BLOCK

# Tiles of weights that share a program's rows run together, so that A stays in L2.
GROUP_M = 8

# block_m, block_n, stages, warps. block_n divides 128: a tile has one scale of B per block of K.
_TILES = (
    (16, 32, 6, 4),
    (16, 64, 5, 4),
    (16, 128, 4, 4),
    (32, 64, 5, 4),
    (64, 32, 5, 4),
    (64, 64, 4, 4),
    (64, 128, 4, 4),
    (128, 64, 4, 4),
    (128, 128, 3, 8),
    (128, 128, 4, 8),
)
_CONFIGS = [
    triton.Config({"BLOCK_M": m, "BLOCK_N": n}, num_stages=stages, num_warps=warps) for m, n, stages, warps in _TILES
]


@triton.autotune(
    configs=_CONFIGS,
    key=["m", "n", "k"],
    # The default of 100 ms for each tile would take a second for every shape.
    do_bench=lambda call, quantiles: do_bench(call, warmup=5, rep=20, quantiles=quantiles),
)
@triton.jit
def _gemm(
    a_ptr,
    a_scale_ptr,
    b_ptr,
    b_scale_ptr,
    d_ptr,
    m,
    n,
    k,
    a_stride_m,
    a_scale_stride_m,
    a_scale_stride_k,
    b_stride_n,
    b_scale_stride_n,
    b_scale_stride_k,
    d_stride_m,
    WHOLE_K: tl.constexpr,
    GROUP_M: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    program = tl.program_id(0)
    rows, columns = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    group = program // (GROUP_M * columns)
    group_rows = min(rows - group * GROUP_M, GROUP_M)
    within = program % (GROUP_M * columns)
    row, column = group * GROUP_M + within % group_rows, within // group_rows

    ms = row * BLOCK_M + tl.arange(0, BLOCK_M)
    ns = column * BLOCK_N + tl.arange(0, BLOCK_N)
    ks = tl.arange(0, BLOCK_K)
    # Rows beyond the end read row 0 again and are not stored: cheaper than a mask on every load.
    safe_ms, safe_ns = tl.where(ms < m, ms, 0).to(tl.int64), tl.where(ns < n, ns, 0).to(tl.int64)
    a = a_ptr + safe_ms[:, None] * a_stride_m + ks[None, :]
    b = b_ptr + safe_ns[None, :] * b_stride_n + ks[:, None]
    a_scale = a_scale_ptr + safe_ms * a_scale_stride_m
    b_scale = b_scale_ptr + (column * BLOCK_N // BLOCK_K) * b_scale_stride_n

    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for block in range(tl.cdiv(k, BLOCK_K)):
        if WHOLE_K:
            a_tile, b_tile = tl.load(a), tl.load(b)
        else:
            left = k - block * BLOCK_K
            a_tile = tl.load(a, mask=ks[None, :] < left, other=0.0)
            b_tile = tl.load(b, mask=ks[:, None] < left, other=0.0)
        scale = tl.load(a_scale) * tl.load(b_scale)
        total += tl.dot(a_tile, b_tile) * scale[:, None]
        a += BLOCK_K
        b += BLOCK_K
        a_scale += a_scale_stride_k
        b_scale += b_scale_stride_k
    d = d_ptr + ms.to(tl.int64)[:, None] * d_stride_m + ns[None, :]
    tl.store(d, total.to(d_ptr.dtype.element_ty), mask=(ms < m)[:, None] & (ns < n)[None, :])


def fp8_gemm_nt(
    a: torch.Tensor, a_scale: torch.Tensor, b: torch.Tensor, b_scale: torch.Tensor, out: torch.Tensor
) -> None:
    """Write A x B^T to `out`, all as `barrow.fp8_gemm_nt` takes them."""
    (m, k), n = a.shape, b.shape[0]
    _gemm[lambda meta: (triton.cdiv(m, meta["BLOCK_M"]) * triton.cdiv(n, meta["BLOCK_N"]),)](
        a,
        a_scale,
        b,
        b_scale,
        out,
        m,
        n,
        k,
        a.stride(0),
        *a_scale.stride(),
        b.stride(0),
        *b_scale.stride(),
        out.stride(0),
        WHOLE_K=k % SCALE_BLOCK == 0,
        GROUP_M=GROUP_M,
        BLOCK_K=SCALE_BLOCK,
    )
