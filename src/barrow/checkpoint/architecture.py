"""The linear layers of a model by shape, from its config.json alone: projections fused as serving engines fuse them."""

from collections.abc import Iterator, Mapping
from typing import Any

from barrow.checkpoint.errors import CheckpointError
from barrow.checkpoint.shapes import LayerShape, split_of

# Decoders of one shape: attention with grouped queries or with latents, gated MLPs, mixtures of gated MLPs.
MODEL_TYPES = (
    "deepseek_v2",
    "deepseek_v3",
    "deepseek_v32",
    "glm4_moe",
    "glm_moe_dsa",
    "kimi_k2",
    "llama",
    "mistral",
    "mixtral",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_moe",
)


class _Config:
    """A config.json whose missing keys are errors that name them."""

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.config, self.where = config, where

    def optional(self, *names: str) -> int:
        """The first of several spellings that is there and not null, 0 without."""
        for name in names:
            if (value := self.config.get(name)) is not None:
                # bool is an int to Python.
                if type(value) is not int or value < 0:
                    raise CheckpointError(f"barrow.checkpoint: {self.where}: {name} is {value!r}, not a size")
                return value
        return 0

    def size(self, *names: str) -> int:
        if value := self.optional(*names):
            return value
        raise CheckpointError(f"barrow.checkpoint: {self.where} has no {' or '.join(names)}")


def _layer(name: str, count: int, n: int, k: int, experts: int = 0) -> LayerShape:
    return LayerShape(name, count, n, k, split_of(name), experts)


def _attention(config: _Config, layers: int, tp: int) -> Iterator[LayerShape]:
    at = "model.layers.*.self_attn."
    hidden, heads = config.size("hidden_size"), config.size("num_attention_heads")
    if latent := config.optional("kv_lora_rank"):
        nope, rope, v = (config.size(name) for name in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
        if rank := config.optional("q_lora_rank"):
            yield _layer(f"{at}fused_qkv_a_proj", layers, rank + latent + rope, hidden)
            yield _layer(f"{at}q_b_proj", layers, heads * (nope + rope), rank)
        else:
            yield _layer(f"{at}q_proj", layers, heads * (nope + rope), hidden)
            yield _layer(f"{at}kv_a_proj_with_mqa", layers, latent + rope, hidden)
        yield _layer(f"{at}kv_b_proj", layers, heads * (nope + v), latent)
        yield _layer(f"{at}o_proj", layers, hidden, heads * v)
        return
    size = config.optional("head_dim") or hidden // heads
    # With fewer heads of keys and values than GPUs, each GPU has a copy of one.
    kv = max(config.optional("num_key_value_heads") or heads, tp)
    yield _layer(f"{at}qkv_proj", layers, (heads + 2 * kv) * size, hidden)
    yield _layer(f"{at}o_proj", layers, hidden, heads * size)


def _mlp(at: str, count: int, hidden: int, inner: int, experts: int = 0) -> Iterator[LayerShape]:
    if count and inner:
        yield _layer(f"{at}gate_up_proj", count, 2 * inner, hidden, experts)
        yield _layer(f"{at}down_proj", count, hidden, inner, experts)


def layers_of_config(config: Mapping[str, Any], where: str, tp: int) -> list[LayerShape]:
    """The linear layers that FP8 is for, not yet split: without routers, embeddings and the head.

    `tp` counts only where key and value heads are fewer, and are copied.

    Raises:
        CheckpointError: if the model type is not known or a size is missing.
    """
    kind = config.get("model_type")
    if kind not in MODEL_TYPES:
        raise CheckpointError(
            f"barrow.checkpoint: {where}: model_type is {kind!r}, whose layers are not known; pass the folder with its "
            f"safetensors, or one of {', '.join(MODEL_TYPES)}"
        )
    return decoder_layers(config, where, tp)


def decoder_layers(config: Mapping[str, Any], where: str, tp: int) -> list[LayerShape]:
    """`layers_of_config` of a decoder of any model type, as far as its sizes tell."""
    sizes = _Config(config, where)
    hidden, layers = sizes.size("hidden_size"), sizes.size("num_hidden_layers")
    found = list(_attention(sizes, layers, tp))
    experts = sizes.optional("n_routed_experts", "num_experts", "num_local_experts")
    if not experts:
        return [*found, *_mlp("model.layers.*.mlp.", layers, hidden, sizes.size("intermediate_size"))]
    # Which layers have a plain MLP: the first few, a list, or all but every so many.
    step = sizes.optional("decoder_sparse_step", "moe_layer_freq") or 1
    first = min(sizes.optional("first_k_dense_replace"), layers)
    listed = config.get("mlp_only_layers") or []
    if not isinstance(listed, list) or not all(isinstance(i, int) for i in listed):
        raise CheckpointError(f"barrow.checkpoint: {where}: mlp_only_layers is {listed!r}, not a list of numbers")
    sparse = layers // step - first // step - sum(first <= i < layers and (i + 1) % step == 0 for i in set(listed))
    inner = sizes.size("moe_intermediate_size", "intermediate_size")
    shared = sizes.optional("shared_expert_intermediate_size") or sizes.optional("n_shared_experts") * inner
    found += _mlp("model.layers.*.mlp.", layers - sparse, hidden, sizes.optional("intermediate_size"))
    found += _mlp("model.layers.*.mlp.experts.*.", sparse * experts, hidden, inner, experts)
    found += _mlp("model.layers.*.mlp.shared_experts.", sparse, hidden, shared)
    return found
