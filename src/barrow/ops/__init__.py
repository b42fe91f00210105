"""FP8 operators: public functions, their meta implementations and their CPU implementation."""

from barrow.ops import cpu, cpu_grouped, meta
from barrow.ops.gemm import fp8_gemm_nt
from barrow.ops.grouped import m_grouped_fp8_gemm_nt, m_grouped_fp8_gemm_nt_indexed, m_grouped_fp8_gemm_nt_masked
from barrow.ops.quant import per_block_quant_fp8, per_token_group_quant_fp8

meta.register()
cpu.register()
cpu_grouped.register()

__all__ = [
    "fp8_gemm_nt",
    "m_grouped_fp8_gemm_nt",
    "m_grouped_fp8_gemm_nt_indexed",
    "m_grouped_fp8_gemm_nt_masked",
    "per_block_quant_fp8",
    "per_token_group_quant_fp8",
]
