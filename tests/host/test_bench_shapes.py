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
    return {layer.name: (layer.n, layer.k) for layer in linears(config, tp)}


def test_a_block_with_grouped_query_attention() -> None:
    assert by_name(QWEN3_32B) == {
        "qkv": (10240, 5120),
        "o": (5120, 8192),
        "mlp gate_up": (51200, 5120),
        "mlp down": (5120, 25600),
    }
    assert by_name(QWEN3_32B, tp=8) == {
        "qkv": (1280, 5120),
        "o": (5120, 1024),
        "mlp gate_up": (6400, 5120),
        "mlp down": (5120, 3200),
    }


def test_a_block_with_latent_attention_and_a_shared_expert() -> None:
    assert by_name(DEEPSEEK_V3) == {
        "fused_qkv_a": (2112, 7168),
        "q_b": (24576, 1536),
        "kv_b": (32768, 512),
        "o": (7168, 16384),
        "mlp gate_up": (36864, 7168),
        "mlp down": (7168, 18432),
        "shared gate_up": (4096, 7168),
        "shared down": (7168, 2048),
    }
    # What leads into a low rank is on every GPU.
    split = by_name(DEEPSEEK_V3, tp=8)
    assert (split["fused_qkv_a"], split["q_b"], split["o"]) == ((2112, 7168), (3072, 1536), (7168, 2048))


def test_latent_attention_without_a_low_rank_of_queries() -> None:
    names = by_name({**DEEPSEEK_V3, "q_lora_rank": None})
    assert (names["q"], names["kv_a"]) == ((24576, 7168), (576, 7168))
    assert "fused_qkv_a" not in names


def test_fewer_key_heads_than_gpus_are_repeated() -> None:
    assert by_name(MODELS["Qwen3-30B-A3B"], tp=8)["qkv"] == ((32 // 8 + 2) * 128, 2048)


def test_routed_experts_are_left_out() -> None:
    assert set(by_name(MODELS["Mixtral-8x7B"])) == {"qkv", "o"}
    assert set(by_name(MODELS["GLM-4.5"])) == {
        "qkv",
        "o",
        "mlp gate_up",
        "mlp down",
        "shared gate_up",
        "shared down",
    }
    qwen2_moe = {**MODELS["Qwen3-30B-A3B"], "shared_expert_intermediate_size": 5632}
    assert by_name(qwen2_moe)["shared gate_up"] == (11264, 2048)


def test_text_config_and_defaults_of_heads() -> None:
    config = {"hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 4}
    expected = {"qkv": (1536, 512), "o": (512, 512), "mlp gate_up": (2048, 512), "mlp down": (512, 1024)}
    assert by_name(config) == by_name({"text_config": config, "hidden_size": 1}) == expected


@pytest.mark.parametrize(
    ("change", "tp", "told"),
    [
        ({"hidden_size": None}, 1, "config has hidden_size = None but needs a whole number above 0"),
        ({"num_attention_heads": "64"}, 1, "config has num_attention_heads = '64'"),
        ({"intermediate_size": True}, 1, "config has intermediate_size = True"),
        ({"intermediate_size": -1}, 1, "config has intermediate_size = -1"),
        ({}, 3, "num_attention_heads = 64 cannot be split over 3 GPUs; choose a --tp that divides it"),
        ({"num_key_value_heads": 6}, 4, "num_key_value_heads = 6 cannot be split over 4 GPUs"),
        ({"intermediate_size": 25601}, 2, "intermediate_size = 25601 cannot be split over 2 GPUs"),
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
        assert {"qkv", "fused_qkv_a"} & set(by_name(json.loads(path.read_text()))), name
