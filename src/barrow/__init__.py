"""FP8 GEMM for NVIDIA Hopper: kernels compiled ahead of time, one wheel, every shape."""

from importlib.metadata import version

from barrow.experts import Fp8Experts
from barrow.linear import Fp8Linear, quantize_
from barrow.ops import (
    fp8_gemm_nt,
    k_grouped_fp8_gemm_nt,
    m_grouped_fp8_gemm_nt,
    m_grouped_fp8_gemm_nt_indexed,
    m_grouped_fp8_gemm_nt_masked,
    moe_permute_quant,
    moe_sort,
    moe_unpermute,
    per_block_quant_fp8,
    per_token_group_quant_fp8,
    silu_mul_quant,
)

__version__ = version("barrow")

__all__ = [
    "Fp8Experts",
    "Fp8Linear",
    "__version__",
    "fp8_gemm_nt",
    "k_grouped_fp8_gemm_nt",
    "m_grouped_fp8_gemm_nt",
    "m_grouped_fp8_gemm_nt_indexed",
    "m_grouped_fp8_gemm_nt_masked",
    "moe_permute_quant",
    "moe_sort",
    "moe_unpermute",
    "per_block_quant_fp8",
    "per_token_group_quant_fp8",
    "quantize_",
    "silu_mul_quant",
]
