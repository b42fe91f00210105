"""The linear layers of models that are measured, from the sizes in their config.json."""

from collections.abc import Mapping
from typing import Any

from barrow.checkpoint.architecture import decoder_layers
from barrow.checkpoint.errors import CheckpointError
from barrow.checkpoint.shapes import LayerShape, divide

Config = Mapping[str, Any]


def linears(config: Config, tp: int = 1) -> list[LayerShape]:
    """The linear layers of a decoder on one GPU of `tp`, without the routed experts.

    `config` has the names of Hugging Face transformers; what a multimodal model keeps in `text_config` is taken from
    there.

    Raises:
        CheckpointError: naming the key that is missing or wrong, or the layer that `tp` does not divide.
    """
    if (text := config.get("text_config")) is None:
        text = config
    if not isinstance(text, Mapping):
        raise CheckpointError(f"barrow.checkpoint: config: text_config is {text!r}, not an object")
    layers = decoder_layers(text, "config", tp)
    return [divide(layer, tp, 1) for layer in layers if not layer.experts]


def _dense(layers: int, hidden: int, intermediate: int, heads: int, keys: int, **more: int) -> dict[str, int]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "head_dim": 128,
        **more,
    }


def _latent(heads: int, **more: int) -> dict[str, int]:
    return {
        "num_hidden_layers": 61,
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
    "Qwen3-8B": _dense(36, 4096, 12288, 32, 8),
    "Qwen3-14B": _dense(40, 5120, 17408, 40, 8),
    "Qwen3-32B": _dense(64, 5120, 25600, 64, 8),
    "Qwen3-30B-A3B": _dense(48, 2048, 6144, 32, 4, num_experts=128),
    "Qwen3-235B-A22B": _dense(94, 4096, 12288, 64, 4, num_experts=128),
    "Llama-3.1-8B": _dense(32, 4096, 14336, 32, 8),
    "Llama-3.1-70B": _dense(80, 8192, 28672, 64, 8),
    "Llama-3.1-405B": _dense(126, 16384, 53248, 128, 8),
    "GLM-4.5": _dense(
        92,
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
        46,
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
    "Mixtral-8x7B": _dense(32, 4096, 14336, 32, 8, num_local_experts=8),
    "Mixtral-8x22B": _dense(56, 6144, 16384, 48, 8, num_local_experts=8),
}
