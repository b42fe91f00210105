"""What DeepGEMM has and barrow has not, and what to use instead."""

from collections.abc import Callable
from typing import NoReturn

_BF16 = "use torch.matmul, which calls cuBLAS"
_FP4 = "Hopper has no FP4; use per_token_cast_to_fp8 or per_block_cast_to_fp8"
_OTHER = "use DeepGEMM itself, which can be installed beside barrow"

ADVICE = {
    _BF16: (
        "batched_symm",
        "batched_syrk",
        "bf16_gemm_nn",
        "bf16_gemm_nt",
        "bf16_gemm_tn",
        "bf16_gemm_tt",
        "bf16_m_grouped_gemm_nt_masked",
        "cublaslt_gemm_nn",
        "cublaslt_gemm_nt",
        "cublaslt_gemm_tn",
        "cublaslt_gemm_tt",
        "einsum",
        "k_grouped_bf16_gemm_tn_contiguous",
        "legacy",
        "m_grouped_bf16_gemm_nn_contiguous",
        "m_grouped_bf16_gemm_nt_contiguous",
        "m_grouped_bf16_gemm_nt_masked",
    ),
    _FP4: (
        "cast_back_from_fp4",
        "cublaslt_nvfp4_gemm_nt",
        "fp4_gemm_nt",
        "k_grouped_fp4_gemm_nt_contiguous",
        "m_grouped_fp4_gemm_nt_contiguous",
        "m_grouped_fp4_gemm_nt_masked",
        "per_token_cast_to_fp4",
        "per_token_cast_to_nvfp4",
        "transpose_packed_fp4",
    ),
    _OTHER: (
        "NVFP4SymmBuffer",
        "SymmBuffer",
        "bf16_mega_gate",
        "bf16_mega_moe",
        "destroy_localizer",
        "epilogue",
        "fp4_fp4_mega_moe",
        "fp8_einsum",
        "fp8_fp4_mega_moe",
        "fp8_fp4_mqa_logits",
        "fp8_fp4_paged_mqa_logits",
        "fp8_fp4_paged_sparse_mqa_logits",
        "fp8_fp4_sparse_mqa_logits",
        "fp8_gemm_nt_skip_head_mid",
        "fp8_mqa_logits",
        "fp8_paged_mqa_logits",
        "get_block_m_for_mega_moe",
        "get_block_m_for_nvfp4_mega_moe",
        "get_mqa_logits_metadata",
        "get_num_locality_domains",
        "get_paged_mqa_logits_metadata",
        "get_paged_sparse_mqa_logits_metadata",
        "get_sparse_mqa_logits_metadata",
        "get_symm_buffer_for_mega_moe",
        "init_dist",
        "is_localization_available",
        "is_localized",
        "localize",
        "locality_domain",
        "mega_mhc",
        "nvfp4_mega_moe",
        "tf32_hc_prenorm_gemm",
        "transform_weights_for_mega_moe",
        "uneven_all_gather",
    ),
}

_ADVICE_OF = {name: advice for advice, names in ADVICE.items() for name in names}


def missing(module: str, name: str) -> Callable[..., NoReturn]:
    """A function that stands in for DeepGEMM's `name` and raises when called, so that importing it does no harm.

    Raises:
        AttributeError: if DeepGEMM has no `name` either.
    """
    advice = _ADVICE_OF.get(name)
    if advice is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    def stand_in(*args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(f"{module}.{name}: barrow has FP8 GEMM only; {advice}")

    stand_in.__name__ = stand_in.__qualname__ = name
    return stand_in
