"""Entry point of SGLang's general plugins, which SGLang calls in each of its processes."""

import logging

from barrow.integrations.deep_gemm import install


def register() -> None:
    """Have SGLang's block-scaled FP8 layers and experts run on barrow. Idempotent; BARROW_DEEP_GEMM=0 turns it off."""
    install(("deep_gemm",), logging.getLogger("sglang.barrow"))
