"""The shapes that the benchmarks run."""

# N x K of the dense projections of DeepSeek-V3: fused_qkv_a, kv_a, q_b, kv_b, o, gate_up and down of a shared expert.
DEEPSEEK_NK = ((2112, 7168), (576, 7168), (24576, 1536), (32768, 512), (7168, 16384), (4096, 7168), (7168, 2048))

# Projections of other models, some split over GPUs: shapes that nothing was tuned for.
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
MS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)

# Ranges of M over which results are summarised: bound by memory latency, in between, bound by arithmetic.
M_RANGES = ((1, 128), (129, 1024), (1025, 1 << 30))


def parse_nk(text: str) -> tuple[int, int]:
    """`2112x7168` as (2112, 7168)."""
    n, _, k = text.partition("x")
    return int(n), int(k)
