"""Which shapes are measured: a model's layers from its config.json, and the random ones."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from barrow.bench import shapes
from barrow.bench.models import DEEPSEEK_V3, MODELS, linears

QWEN3_32B = MODELS["Qwen3-32B"]


def by_name(config: Any, tp: int = 1) -> dict[str, tuple[int, int]]:
    """N x K by the names that layers have within a block."""
    return {layer.name.removeprefix("model.layers.*."): (layer.n, layer.k) for layer in linears(config, tp)}


def test_a_block_with_grouped_query_attention() -> None:
    assert by_name(QWEN3_32B) == {
        "self_attn.qkv_proj": (10240, 5120),
        "self_attn.o_proj": (5120, 8192),
        "mlp.gate_up_proj": (51200, 5120),
        "mlp.down_proj": (5120, 25600),
    }
    assert by_name(QWEN3_32B, tp=8) == {
        "self_attn.qkv_proj": (1280, 5120),
        "self_attn.o_proj": (5120, 1024),
        "mlp.gate_up_proj": (6400, 5120),
        "mlp.down_proj": (5120, 3200),
    }


def test_a_block_with_latent_attention_and_a_shared_expert() -> None:
    assert by_name(DEEPSEEK_V3) == {
        "self_attn.fused_qkv_a_proj": (2112, 7168),
        "self_attn.q_b_proj": (24576, 1536),
        "self_attn.kv_b_proj": (32768, 512),
        "self_attn.o_proj": (7168, 16384),
        "mlp.gate_up_proj": (36864, 7168),
        "mlp.down_proj": (7168, 18432),
        "mlp.shared_experts.gate_up_proj": (4096, 7168),
        "mlp.shared_experts.down_proj": (7168, 2048),
    }
    # What leads into a low rank is on every GPU.
    split = by_name(DEEPSEEK_V3, tp=8)
    assert (split["self_attn.fused_qkv_a_proj"], split["self_attn.q_b_proj"], split["self_attn.o_proj"]) == (
        (2112, 7168),
        (3072, 1536),
        (7168, 2048),
    )


def test_latent_attention_without_a_low_rank_of_queries() -> None:
    names = by_name({**DEEPSEEK_V3, "q_lora_rank": None})
    assert (names["self_attn.q_proj"], names["self_attn.kv_a_proj_with_mqa"]) == ((24576, 7168), (576, 7168))
    assert "self_attn.fused_qkv_a_proj" not in names


def test_fewer_key_heads_than_gpus_are_repeated() -> None:
    assert by_name(MODELS["Qwen3-30B-A3B"], tp=8)["self_attn.qkv_proj"] == ((32 // 8 + 2) * 128, 2048)


def test_routed_experts_are_left_out() -> None:
    assert set(by_name(MODELS["Mixtral-8x7B"])) == {"self_attn.qkv_proj", "self_attn.o_proj"}
    assert set(by_name(MODELS["GLM-4.5"])) == {
        "self_attn.qkv_proj",
        "self_attn.o_proj",
        "mlp.gate_up_proj",
        "mlp.down_proj",
        "mlp.shared_experts.gate_up_proj",
        "mlp.shared_experts.down_proj",
    }
    qwen2_moe = {**MODELS["Qwen3-30B-A3B"], "shared_expert_intermediate_size": 5632}
    assert by_name(qwen2_moe)["mlp.shared_experts.gate_up_proj"] == (11264, 2048)


def test_text_config_and_defaults_of_heads() -> None:
    config = {"num_hidden_layers": 2, "hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 4}
    expected = {
        "self_attn.qkv_proj": (1536, 512),
        "self_attn.o_proj": (512, 512),
        "mlp.gate_up_proj": (2048, 512),
        "mlp.down_proj": (512, 1024),
    }
    assert by_name(config) == by_name({"text_config": config, "hidden_size": 1}) == expected


@pytest.mark.parametrize(
    ("change", "tp", "told"),
    [
        ({"hidden_size": None}, 1, "config has no hidden_size"),
        ({"num_attention_heads": "64"}, 1, "config: num_attention_heads is '64', not a size"),
        ({"intermediate_size": True}, 1, "config: intermediate_size is True, not a size"),
        ({"intermediate_size": -1}, 1, "config: intermediate_size is -1, not a size"),
        ({}, 3, "qkv_proj: N = 10240 does not divide by 3"),
        ({"intermediate_size": 25601}, 4, "gate_up_proj: N = 51202 does not divide by 4"),
    ],
)
def test_a_config_that_does_not_fit_is_told_by_key(change: dict[str, Any], tp: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        linears({**QWEN3_32B, **change}, tp)


def test_unseen_problems_are_many_random_and_the_same_for_a_seed() -> None:
    problems = shapes.unseen(0)
    assert problems == shapes.unseen(0) != shapes.unseen(1)
    assert len(problems) == 40
    nks = [(n, k) for _, n, k in problems]
    assert len(set(nks)) == 40
    assert not set(nks) & {*shapes.DEEPSEEK_NK, *shapes.OTHER_NK}
    assert set(nks) <= set(shapes.model_nk())
    # The plan of a comparison: another Python must draw the same.
    assert problems[:3] == [(50, 9216, 7168), (246, 14336, 5120), (3741, 1280, 5120)]


def test_unseen_m_is_log_uniform() -> None:
    ms = [m for seed in range(50) for m, _, _ in shapes.unseen(seed)]
    assert 1 <= min(ms) <= 2
    assert 6000 < max(ms) <= 8192
    halves = [math.log(m) / math.log(8192) for m in ms]
    assert abs(sum(halves) / len(halves) - 0.5) < 0.03


def test_shapes_of_models_can_be_split_between_scale_blocks() -> None:
    assert (4096, 1368) not in shapes.model_nk()  # GLM-4.5-Air's down over 8 GPUs
    assert (4096, 10944) in shapes.model_nk()


def test_a_grid_keeps_an_n_x_k_together() -> None:
    assert shapes.grid([(2, 3), (4, 5)], [1, 8]) == [(1, 2, 3), (8, 2, 3), (1, 4, 5), (8, 4, 5)]


@pytest.mark.parametrize("text", ["", "12", "12x", "x12", "0x4", "4x-1", "axb", "1x2x3"])
def test_text_that_is_no_n_x_k(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text!r} is no N x K such as 2112x7168$"):
        shapes.parse_nk(text)


def test_every_model_has_layers(tmp_path: Path) -> None:
    for name, config in MODELS.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(config))
        assert {"self_attn.qkv_proj", "self_attn.fused_qkv_a_proj"} & set(by_name(json.loads(path.read_text()))), name
