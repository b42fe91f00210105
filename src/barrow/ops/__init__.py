"""FP8 operators: public functions, their meta implementations and their CPU implementation."""

from barrow.ops import cpu, meta
from barrow.ops.gemm import fp8_gemm_nt
from barrow.ops.quant import per_block_quant_fp8, per_token_group_quant_fp8

meta.register()
cpu.register()

__all__ = ["fp8_gemm_nt", "per_block_quant_fp8", "per_token_group_quant_fp8"]
