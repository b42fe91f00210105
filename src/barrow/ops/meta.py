"""Meta implementations: shapes, dtypes and strides of the results, also for symbolic sizes.

They leave the arguments to the launcher's checks, which every real implementation calls, but for devices: one meta
tensor among real ones brings a call here, and an empty result would pass for a product.
"""

import torch
from torch import Tensor

from barrow.ops.layout import scale_blocks, token_scale_strides


def check_devices(op: str, **tensors: Tensor) -> None:
    """Raise RuntimeError unless all tensors are where the first one is."""
    (first_name, first), *others = tensors.items()
    for name, tensor in others:
        if tensor.device != first.device:
            raise RuntimeError(
                f"barrow.{op}: {name} is on {tensor.device} but {first_name} is on {first.device}; "
                "pass all tensors on one device"
            )


def _fp8_gemm_nt(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, float32_out: bool, prefetch_b: bool = False
) -> Tensor:
    check_devices("fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale)
    return a.new_empty((a.shape[0], b.shape[0]), dtype=torch.float32 if float32_out else torch.bfloat16)


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
    check_devices("fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, out=out)


def _m_grouped_fp8_gemm_nt(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    groups: Tensor,
    kind: int,
    alignment: int,
    expected_m: int,
    prefetch_b: bool = False,
) -> Tensor:
    check_devices("m_grouped_fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, groups=groups)
    return a.new_empty((*a.shape[:-1], b.shape[1]), dtype=torch.bfloat16)


def _m_grouped_fp8_gemm_nt_out(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    groups: Tensor,
    kind: int,
    alignment: int,
    expected_m: int,
    prefetch_b: bool = False,
    *,
    out: Tensor,
) -> None:
    check_devices("m_grouped_fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, groups=groups, out=out)


def _k_grouped_fp8_gemm_nt(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, ks: list[int], out: Tensor) -> None:
    check_devices("k_grouped_fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, out=out)


def _rows_and_k(op: str, x: Tensor) -> tuple[int, int]:
    # The launcher's check reads sizes, which may be symbolic here.
    if x.ndim != 2:
        raise RuntimeError(
            f"barrow.{op}: x has {x.ndim} dimensions but needs 2, rows and K; "
            "flatten the leading dimensions with reshape(-1, K)"
        )
    rows, k = x.shape
    return rows, k


def _per_token_group_quant_fp8(x: Tensor, use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    rows, k = _rows_and_k("per_token_group_quant_fp8", x)
    scale = x.new_empty_strided((rows, scale_blocks(k)), token_scale_strides(rows), dtype=torch.float32)
    return x.new_empty((rows, k), dtype=torch.float8_e4m3fn), scale


def _per_block_quant_fp8(x: Tensor, use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    rows, k = _rows_and_k("per_block_quant_fp8", x)
    scale = x.new_empty((scale_blocks(rows), scale_blocks(k)), dtype=torch.float32)
    return x.new_empty((rows, k), dtype=torch.float8_e4m3fn), scale


def register() -> None:
    """Register the meta implementations with torch; called once, at import."""
    torch.library.register_fake("barrow::fp8_gemm_nt", _fp8_gemm_nt)
    torch.library.register_fake("barrow::fp8_gemm_nt.out", _fp8_gemm_nt_out)
    torch.library.register_fake("barrow::m_grouped_fp8_gemm_nt", _m_grouped_fp8_gemm_nt)
    torch.library.register_fake("barrow::m_grouped_fp8_gemm_nt.out", _m_grouped_fp8_gemm_nt_out)
    torch.library.register_fake("barrow::k_grouped_fp8_gemm_nt", _k_grouped_fp8_gemm_nt)
    # The launcher's check reads sizes, which may be symbolic here. It is made when the compiled call runs.
    torch.library.register_fake("barrow::check_k_grouped_fp8_gemm_nt", _k_grouped_fp8_gemm_nt)
    torch.library.register_fake("barrow::per_token_group_quant_fp8", _per_token_group_quant_fp8)
    torch.library.register_fake("barrow::per_block_quant_fp8", _per_block_quant_fp8)
