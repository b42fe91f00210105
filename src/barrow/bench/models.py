"""The linear layers of a transformer, from the sizes in its config.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Linear:
    """A layer y[M, N] = x[M, K] W[N, K]^T on one GPU, fused as serving engines fuse it."""

    name: str
    n: int
    k: int


def linears(config: Config, tp: int = 1) -> list[Linear]:
    """The linear layers of one decoder block with tensor parallelism over `tp` GPUs, without the routed experts.

    Understood are Llama-like blocks (grouped-query attention, gated MLP) and DeepSeek-V3-like ones (multi-head latent
    attention), with dense MLPs, shared experts or both. `config` has the names of Hugging Face transformers; what a
    multimodal model keeps in `text_config` is taken from there. As in vLLM, query, key and value are one product, so
    are gate and up, and layers in front of a low-rank bottleneck are on every GPU.

    Raises:
        ValueError: naming the key that is missing, or the size that `tp` does not divide.
    """
    sizes = _Sizes(config.get("text_config", config), tp)
    attention = _latent_attention if sizes.get("kv_lora_rank", 0) else _grouped_query_attention
    return [*attention(sizes), *_mlp(sizes)]


@dataclass(frozen=True)
class _Sizes:
    config: Config
    tp: int

    def __getitem__(self, key: str) -> int:
        value = self.config.get(key)
        # bool is an int to Python.
        if type(value) is not int or value < 1:
            raise ValueError(f"config has {key} = {value!r} but needs a whole number above 0")
        return value

    def get(self, key: str, default: int) -> int:
        """As `self[key]`, but with a default for a key that is absent, null or 0."""
        return self[key] if self.config.get(key) else default

    def share(self, what: str, size: int) -> int:
        """The part of `size` that one GPU has."""
        if size % self.tp:
            raise ValueError(f"{what} = {size} cannot be split over {self.tp} GPUs; choose a --tp that divides it")
        return size // self.tp


def _grouped_query_attention(s: _Sizes) -> list[Linear]:
    hidden, heads = s["hidden_size"], s["num_attention_heads"]
    head = s.get("head_dim", hidden // heads)
    queries = s.share("num_attention_heads", heads)
    keys = s.get("num_key_value_heads", heads)
    # With fewer key heads than GPUs, each head is on several.
    keys = s.share("num_key_value_heads", keys) if keys >= s.tp else 1
    return [Linear("qkv", (queries + 2 * keys) * head, hidden), Linear("o", hidden, queries * head)]


def _latent_attention(s: _Sizes) -> list[Linear]:
    hidden, kv_rank, rope = s["hidden_size"], s["kv_lora_rank"], s["qk_rope_head_dim"]
    heads = s.share("num_attention_heads", s["num_attention_heads"])
    nope, value = s["qk_nope_head_dim"], s["v_head_dim"]
    if q_rank := s.get("q_lora_rank", 0):
        queries = [Linear("fused_qkv_a", q_rank + kv_rank + rope, hidden), Linear("q_b", heads * (nope + rope), q_rank)]
    else:
        queries = [Linear("q", heads * (nope + rope), hidden), Linear("kv_a", kv_rank + rope, hidden)]
    return [*queries, Linear("kv_b", heads * (nope + value), kv_rank), Linear("o", hidden, heads * value)]


def _mlp(s: _Sizes) -> list[Linear]:
    hidden = s["hidden_size"]
    found: list[Linear] = []

    def gated(name: str, key: str, width: int) -> None:
        part = s.share(key, width)
        found.extend([Linear(f"{name} gate_up", 2 * part, hidden), Linear(f"{name} down", hidden, part)])

    # Names that transformers' mixtures of experts use for their number.
    experts = any(s.get(key, 0) for key in ("n_routed_experts", "num_experts", "num_local_experts"))
    if not experts or s.get("first_k_dense_replace", 0):
        gated("mlp", "intermediate_size", s["intermediate_size"])
    if experts and (shared := s.get("n_shared_experts", 0)):
        gated("shared", "moe_intermediate_size", shared * s["moe_intermediate_size"])
    if experts and (width := s.get("shared_expert_intermediate_size", 0)):
        gated("shared", "shared_expert_intermediate_size", width)
    return found


def _dense(hidden: int, intermediate: int, heads: int, keys: int, head: int = 128, **more: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "head_dim": head,
        **more,
    }


def _latent(heads: int, **more: int) -> dict[str, int]:
    return {
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "n_shared_experts": 1,
        "num_attention_heads": heads,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        **more,
    }


DEEPSEEK_V3 = _latent(heads=128, n_routed_experts=256, first_k_dense_replace=3)

# The sizes in the published config.json of models that no kernel was tuned for.
MODELS: dict[str, Config] = {
    "Qwen3-8B": _dense(4096, 12288, 32, 8),
    "Qwen3-14B": _dense(5120, 17408, 40, 8),
    "Qwen3-32B": _dense(5120, 25600, 64, 8),
    "Qwen3-30B-A3B": _dense(2048, 6144, 32, 4, num_experts=128),
    "Qwen3-235B-A22B": _dense(4096, 12288, 64, 4, num_experts=128),
    "Llama-3.1-8B": _dense(4096, 14336, 32, 8),
    "Llama-3.1-70B": _dense(8192, 28672, 64, 8),
    "Llama-3.1-405B": _dense(16384, 53248, 128, 8),
    "GLM-4.5": _dense(
        5120,
        12288,
        96,
        8,
        n_routed_experts=160,
        first_k_dense_replace=3,
        n_shared_experts=1,
        moe_intermediate_size=1536,
    ),
    "GLM-4.5-Air": _dense(
        4096,
        10944,
        96,
        8,
        n_routed_experts=128,
        first_k_dense_replace=1,
        n_shared_experts=1,
        moe_intermediate_size=1408,
    ),
    "Kimi-K2": _latent(heads=64, n_routed_experts=384, first_k_dense_replace=1),
    "Mixtral-8x7B": _dense(4096, 14336, 32, 8, num_local_experts=8),
    "Mixtral-8x22B": _dense(6144, 16384, 48, 8, num_local_experts=8),
}
