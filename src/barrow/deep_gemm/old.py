"""Names that DeepGEMM 1 had: the same products, with operands called lhs and rhs, and always accumulated from zero."""

from torch import Tensor

from barrow.deep_gemm.arguments import Scaled
from barrow.deep_gemm.gemm import fp8_gemm_nt
from barrow.deep_gemm.grouped import m_grouped_fp8_gemm_nt_contiguous, m_grouped_fp8_gemm_nt_masked
from barrow.deep_gemm.utils.layout import get_mn_major_tma_aligned_tensor


def gemm_fp8_fp8_bf16_nt(lhs: Scaled, rhs: Scaled, out: Tensor) -> None:
    """`fp8_gemm_nt(lhs, rhs, out)`."""
    fp8_gemm_nt(lhs, rhs, out)


def m_grouped_gemm_fp8_fp8_bf16_nt_contiguous(lhs: Scaled, rhs: Scaled, out: Tensor, m_indices: Tensor) -> None:
    """`m_grouped_fp8_gemm_nt_contiguous(lhs, rhs, out, m_indices)`."""
    m_grouped_fp8_gemm_nt_contiguous(lhs, rhs, out, m_indices)


def m_grouped_gemm_fp8_fp8_bf16_nt_masked(
    lhs: Scaled, rhs: Scaled, out: Tensor, masked_m: Tensor, expected_m: int
) -> None:
    """`m_grouped_fp8_gemm_nt_masked(lhs, rhs, out, masked_m, expected_m)`."""
    m_grouped_fp8_gemm_nt_masked(lhs, rhs, out, masked_m, expected_m)


get_col_major_tma_aligned_tensor = get_mn_major_tma_aligned_tensor
