"""FP8 operators: public functions, their meta implementations and their CPU implementation."""

from barrow.ops import check_groups, cpu, cpu_experts, cpu_grouped, meta, meta_experts
from barrow.ops.experts import moe_permute_quant, moe_sort, moe_unpermute, silu_mul_quant
from barrow.ops.gemm import fp8_gemm_nt
from barrow.ops.grouped import (
    k_grouped_fp8_gemm_nt,
    m_grouped_fp8_gemm_nt,
    m_grouped_fp8_gemm_nt_indexed,
    m_grouped_fp8_gemm_nt_masked,
)
from barrow.ops.quant import per_block_quant_fp8, per_token_group_quant_fp8

meta.register()
meta_experts.register()
cpu.register()
cpu_experts.register()
cpu_grouped.register()
check_groups.register()

__all__ = [
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
    "silu_mul_quant",
]
