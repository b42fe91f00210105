"""DeepGEMM's casts to FP8 in plain torch, with its arithmetic; `barrow.per_token_group_quant_fp8` is the fast one.

A group's scale is max(amax, 1e-4) / 448, optionally rounded up to a power of two; elements are multiplied by its
reciprocal. 448 is the largest e4m3 value (OCP 8-bit floating point specification, revision 1.0, table 1).
"""

from collections.abc import Callable, Sequence
from typing import NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from barrow.deep_gemm.missing import missing

E4M3_MAX = 448.0
SMALLEST_AMAX = 1e-4


def ceil_div(x: int, y: int) -> int:
    """x / y, rounded up."""
    return (x + y - 1) // y


def align(x: int, y: int) -> int:
    """x, rounded up to a multiple of y."""
    return ceil_div(x, y) * y


def ceil_to_ue8m0(x: Tensor) -> Tensor:
    """|x| as float32, rounded up to a power of two that an exponent of eight bits holds."""
    bits = x.abs().float().view(torch.int32)
    exponent = (bits >> 23) + ((bits & 0x7FFFFF) != 0)
    return (exponent.clamp(1, 254) << 23).view(torch.float32)


def contiguous_copy(x: Tensor) -> Tensor:
    """A copy that can be viewed in another element size; contiguous() keeps odd strides of dimensions of size 1."""
    return x.clone(memory_format=torch.contiguous_format)


def pack_ue8m0_to_int(x: Tensor) -> Tensor:
    """Exponents of float32 powers of two, four of the last dimension in one int32.

    Raises:
        RuntimeError: if the last dimension is no multiple of 4, or an element is no power of two.
    """
    if x.dtype != torch.float32 or x.shape[-1] % 4:
        raise RuntimeError(
            f"barrow.deep_gemm.utils.pack_ue8m0_to_int: x is {x.dtype} of shape {list(x.shape)} but needs float32 and "
            "a last dimension that is a multiple of 4; pad it with 1.0"
        )
    bits = x.view(torch.int32)
    if ((bits < 0) | (bits & 0x7FFFFF != 0)).any():
        raise RuntimeError(
            "barrow.deep_gemm.utils.pack_ue8m0_to_int: x has elements that are no powers of two; "
            "round them with ceil_to_ue8m0"
        )
    return contiguous_copy((bits >> 23).to(torch.uint8)).view(torch.int32)


def unpack_ue8m0_from_int(packed_sf: Tensor) -> Tensor:
    """The float32 scales that `pack_ue8m0_to_int` packed."""
    return (contiguous_copy(packed_sf).view(torch.uint8).to(torch.int32) << 23).view(torch.float32)


def _cast(x: Tensor, dims: Sequence[int], use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    """Elements in FP8, and scales with `dims` kept as 1: a group is all elements along `dims`."""
    scale = x.abs().float().amax(dim=tuple(dims), keepdim=True).clamp(SMALLEST_AMAX) / E4M3_MAX
    if use_ue8m0:
        scale = ceil_to_ue8m0(scale)
    return (x * (1.0 / scale)).to(torch.float8_e4m3fn), scale


def _check_matrix(op: str, x: Tensor) -> None:
    if x.ndim != 2:
        raise RuntimeError(f"barrow.deep_gemm.utils.{op}: x has {x.ndim} dimensions but needs 2; flatten the leading")


def per_token_cast_to_fp8(
    x: Tensor, use_ue8m0: bool, gran_k: int = 128, use_packed_ue8m0: bool = False
) -> tuple[Tensor, Tensor]:
    """Quantize x [M, K] with one scale per row and `gran_k` columns.

    Returns:
        [M, K] float8_e4m3fn and [M, ceil(K / gran_k)] float32, both contiguous; with `use_packed_ue8m0` scales are
        packed by `pack_ue8m0_to_int`, padded with 1.0 to a multiple of 4.
    """
    _check_matrix("per_token_cast_to_fp8", x)
    if use_packed_ue8m0 and not use_ue8m0:
        raise RuntimeError("barrow.deep_gemm.utils.per_token_cast_to_fp8: use_packed_ue8m0 needs use_ue8m0")
    m, k = x.shape
    blocks = ceil_div(k, gran_k)
    q, scale = _cast(functional.pad(x, (0, blocks * gran_k - k)).view(m, blocks, gran_k), (2,), use_ue8m0)
    q, scale = q.view(m, blocks * gran_k)[:, :k].contiguous(), scale.view(m, blocks)
    if not use_packed_ue8m0:
        return q, scale
    return q, pack_ue8m0_to_int(functional.pad(scale, (0, -blocks % 4), value=1.0))


def per_channel_cast_to_fp8(x: Tensor, use_ue8m0: bool, gran_k: int = 128) -> tuple[Tensor, Tensor]:
    """Quantize x [K, N] with one scale per `gran_k` rows and column; K needs to be a multiple of `gran_k`."""
    _check_matrix("per_channel_cast_to_fp8", x)
    k, n = x.shape
    if k % gran_k:
        raise RuntimeError(
            f"barrow.deep_gemm.utils.per_channel_cast_to_fp8: x has {k} rows but needs a multiple of {gran_k}; pad it"
        )
    q, scale = _cast(x.reshape(k // gran_k, gran_k, n), (1,), use_ue8m0)
    return q.view(k, n), scale.view(k // gran_k, n)


def per_block_cast_to_fp8(x: Tensor, use_ue8m0: bool, gran_k: int = 128) -> tuple[Tensor, Tensor]:
    """Quantize x [N, K] with one scale per block of `gran_k` x `gran_k`; blocks at the edges are partial."""
    _check_matrix("per_block_cast_to_fp8", x)
    n, k = x.shape
    rows, columns = ceil_div(n, gran_k), ceil_div(k, gran_k)
    padded = functional.pad(x, (0, columns * gran_k - k, 0, rows * gran_k - n))
    q, scale = _cast(padded.view(rows, gran_k, columns, gran_k), (1, 3), use_ue8m0)
    return q.view(padded.shape)[:n, :k].contiguous(), scale.view(rows, columns)


def per_custom_dims_cast_to_fp8(x: Tensor, dims: Sequence[int], use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    """Quantize x with one scale per index along `dims`; scales have those dimensions only."""
    q, scale = _cast(x, [dim for dim in range(x.ndim) if dim not in set(dims)], use_ue8m0)
    return q, scale.squeeze()


def __getattr__(name: str) -> Callable[..., NoReturn]:
    return missing(__name__, name)
