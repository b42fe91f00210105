"""The shapes that are measured."""

import math
import random
import re
from collections.abc import Sequence

from barrow.bench.models import MODELS, linears
from barrow.ops.layout import SCALE_BLOCK

# M, N, K of D[M, N] = A[M, K] x B[N, K]^T.
Problem = tuple[int, int, int]

# N x K of the dense projections of DeepSeek-V3: fused_qkv_a, kv_a, q_b, kv_b, o, gate_up and down of a shared expert.
DEEPSEEK_NK = ((2112, 7168), (576, 7168), (24576, 1536), (32768, 512), (7168, 16384), (4096, 7168), (7168, 2048))

# Projections of other models, some split over GPUs.
OTHER_NK = (
    (5120, 2048),  # Qwen3-30B-A3B, fused qkv
    (10240, 5120),  # Qwen3-32B, fused qkv
    (5120, 8192),  # Qwen3-32B, attention output
    (51200, 5120),  # Qwen3-32B, gate and up
    (1280, 8192),  # Llama-3.1-70B, fused qkv over 8 GPUs
    (8192, 3584),  # Llama-3.1-70B, down over 8 GPUs
    (7168, 8192),  # Llama-3.1-70B, gate and up over 8 GPUs
    (6144, 4096),  # Llama-3.1-8B, fused qkv
)

# Decode batches to prefill chunks.
MS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)

# Ranges of M over which results are summarised: bound by memory latency, in between, bound by arithmetic.
M_RANGES = ((1, 128), (129, 1024), (1025, 1 << 30))

UNSEEN = 40
UNSEEN_MAX_M = 8192
TENSOR_PARALLEL = (1, 2, 4, 8)


def parse_nk(text: str) -> tuple[int, int]:
    """`2112x7168` as (2112, 7168); raises ValueError for anything else."""
    found = re.fullmatch(r"([1-9]\d{0,9})x([1-9]\d{0,9})", text)
    if found is None:
        raise ValueError(f"{text!r} is no N x K such as 2112x7168")
    return int(found[1]), int(found[2])


def grid(nks: Sequence[tuple[int, int]], ms: Sequence[int]) -> list[Problem]:
    """Every M with every N x K, those of one N x K together."""
    return [(m, n, k) for n, k in nks for m in ms]


def model_nk() -> list[tuple[int, int]]:
    """N x K of the layers of `MODELS` over 1 to 8 GPUs, less those that kernels are tuned with, in a fixed order."""
    found: set[tuple[int, int]] = set()
    for config in MODELS.values():
        for tp in TENSOR_PARALLEL:
            try:
                layers = linears(config, tp)
            except ValueError:
                continue
            # A block of weights under one scale cannot be split.
            found |= {(x.n, x.k) for x in layers if tp == 1 or x.n % SCALE_BLOCK == x.k % SCALE_BLOCK == 0}
    return sorted(found - {*DEEPSEEK_NK, *OTHER_NK})


def unseen(seed: int) -> list[Problem]:
    """`UNSEEN` random problems: N x K of real models' layers without repetition, M log-uniform from 1 to 8192.

    The same for a seed on every machine.
    """
    generator = random.Random(seed)
    nks = generator.sample(model_nk(), UNSEEN)
    return [(round(math.exp(generator.random() * math.log(UNSEEN_MAX_M))), n, k) for n, k in nks]
