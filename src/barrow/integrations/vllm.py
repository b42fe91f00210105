"""Entry point of vLLM's general plugins, which vLLM calls in each of its processes."""

import logging

from barrow.integrations.deep_gemm import install

# An installed DeepGEMM, which vLLM prefers, and the one in vLLM's wheel.
MODULES = ("deep_gemm", "vllm.third_party.deep_gemm")


def register() -> None:
    """Have vLLM's block-scaled FP8 layers and experts run on barrow. Idempotent; BARROW_DEEP_GEMM=0 turns it off."""
    # vLLM shows what is logged below its own name.
    install(MODULES, logging.getLogger("vllm.barrow"))
