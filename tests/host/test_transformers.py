"""Models of transformers from FP8 checkpoints, end to end, against their twins on dequantised weights.

Two ways lead there: `barrow.checkpoint.load_` puts barrow's layers into a model, and `barrow.integrations.transformers`
has the layers that transformers makes by itself call barrow.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import DEEPSEEK, dequantized, experts_together, published, save
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    FineGrainedFP8Config,
    Glm4MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)
from transformers.integrations import finegrained_fp8
from transformers.quantizers.quantizer_finegrained_fp8 import FineGrainedFP8HfQuantizer

from barrow import Fp8Experts, Fp8Linear, checkpoint
from barrow.checkpoint import CheckpointError
from barrow.integrations.transformers import install

# Sizes that cut scale blocks: N = 576, as published, 320 and 192.
DEEPSEEK_V3 = DeepseekV3Config(
    hidden_size=256,
    intermediate_size=320,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
    q_lora_rank=192,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    first_k_dense_replace=2,
    vocab_size=500,
    n_routed_experts=4,
    n_group=1,
    topk_group=1,
)
QWEN3 = Qwen3Config(
    hidden_size=192,
    intermediate_size=576,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=64,
    vocab_size=500,
    tie_word_embeddings=True,
)
# Its layers have biases.
GLM = Glm4MoeConfig(
    hidden_size=192,
    intermediate_size=320,
    num_hidden_layers=2,
    num_attention_heads=3,
    num_key_value_heads=1,
    first_k_dense_replace=2,
    attention_bias=True,
    vocab_size=500,
)
CONFIGS = pytest.mark.parametrize(
    "config", [DEEPSEEK_V3, QWEN3, GLM], ids=["DeepSeek-V3", "Qwen3 with tied embeddings", "GLM with biases"]
)
# Every expert takes part for every token: no error, however small, can send a token to another one.
EXPERTS = {"first_k_dense_replace": 1, "moe_intermediate_size": 256, "n_routed_experts": 4, "num_experts_per_tok": 4}
# Plain layers beside FP8 ones, as published checkpoints list them.
KEPT = ["lm_head", "model.layers.1.mlp.down_proj"]
TOKENS = torch.arange(2 * 17).view(2, 17)

# e4m3 keeps 3 bits after the point, so rounding moves a value by a sixteenth of itself at most; in the quadratic mean,
# with as many values in every octave, by sqrt(1 / 12 * 3 / 8 / ln 2) of an eighth.
ROUNDING = 2**-4
TYPICAL_ROUNDING = 0.0265

# Of an FP8 layer: input, weight, scales, bias, result.
Call = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]


def write_checkpoint(folder: Path, config: Any, dtype: torch.dtype) -> tuple[nn.Module, int]:
    """Write the checkpoint of a random model; return its twin on dequantised weights, and how many are FP8."""
    torch.manual_seed(0)
    twin = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    # Some models begin with biases and corrections of zero.
    for name, parameter in twin.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    tensors = published(twin, keep=lambda name: name in KEPT)
    if config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    save(folder, tensors, {**DEEPSEEK, "modules_to_not_convert": KEPT}, files=2, config=config.to_dict())
    twin.load_state_dict(experts_together(dequantized(tensors)), strict=False)
    return twin, sum(name.endswith("_scale_inv") for name in tensors)


def by_checkpoint(folder: Path, config: Any, dtype: torch.dtype, **options: Any) -> nn.Module:
    """Another random model, filled by `barrow.checkpoint`."""
    torch.manual_seed(1)
    model: nn.Module = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    checkpoint.load_(model, folder, **options)
    return model


def by_transformers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, list[Call]]:
    """The model as transformers loads it, its layers on barrow for as long as the test lasts; and their calls."""
    # Without a GPU and accelerate it would widen the weights; a CPU needs neither.
    monkeypatch.setattr(FineGrainedFP8HfQuantizer, "validate_environment", lambda *args, **kwargs: None)
    for name in ("fp8_linear", "fp8_grouped_matmul"):
        monkeypatch.setattr(finegrained_fp8, name, getattr(finegrained_fp8, name))
    install()
    installed, calls = finegrained_fp8.fp8_linear, []

    def record(x: Tensor, weight: Tensor, scale: Tensor, block: Any, bias: Tensor | None, *rest: Any) -> Any:
        y = installed(x, weight, scale, block, bias, *rest)
        calls.append((x, weight, scale, bias, y))
        return y

    monkeypatch.setattr(finegrained_fp8, "fp8_linear", record)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return model, calls


def watched(model: nn.Module) -> list[Call]:
    """The calls of barrow's layers, which come as the model runs."""
    calls: list[Call] = []

    def record(layer: Any, inputs: tuple[Tensor], y: Tensor) -> None:
        calls.append((inputs[0], layer.weight, layer.weight_scale_inv, layer.bias, y))

    for module in model.modules():
        if isinstance(module, Fp8Linear):
            module.register_forward_hook(record)
    return calls


def judge(call: Call) -> None:
    """Bound the error of a layer's every row by rounding errors of its input that are independent."""
    x, weight, scale, bias, y = call
    x, plain = x.flatten(0, -2).double(), dequantized({"w": weight, "w_scale_inv": scale})["w"].double()
    wanted = x @ plain.T + (0 if bias is None else bias.double())
    limit = ROUNDING * (x.square() @ plain.square().T).sqrt().norm(dim=1)
    # The result is rounded to bfloat16, with a bias twice.
    limit += 2 * 2**-9 * wanted.norm(dim=1)
    error = (y.flatten(0, -2).double() - wanted).norm(dim=1)
    assert (error <= limit).all(), (error / limit).max()


def assert_close(logits: Tensor, wanted: Tensor) -> None:
    """Eight layers lie behind one another, and what goes around them has no error of theirs."""
    assert (logits - wanted).norm() <= TYPICAL_ROUNDING * 8**0.5 * wanted.norm()


@CONFIGS
@torch.no_grad()
def test_both_ways_agree_with_the_twin(tmp_path: Path, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    twin, layers = write_checkpoint(tmp_path, config, torch.bfloat16)
    ours = by_checkpoint(tmp_path, config, torch.bfloat16)
    theirs, their_calls = by_transformers(tmp_path, monkeypatch)
    our_calls, logits = watched(ours), ours(TOKENS).logits
    assert torch.equal(logits, theirs(TOKENS).logits)
    assert len(our_calls) == len(their_calls) == layers
    for our_call, their_call in zip(our_calls, their_calls, strict=True):
        judge(our_call)
        assert torch.equal(our_call[-1], their_call[-1])
    assert_close(logits, twin(TOKENS).logits)


@torch.no_grad()
def test_experts_of_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The eager loop of its experts calls the same function, with matrices cut out of the tensor of all experts."""
    config = DeepseekV3Config(**{**DEEPSEEK_V3.to_dict(), **EXPERTS})
    twin, layers = write_checkpoint(tmp_path, config, torch.bfloat16)
    model: Any
    model, calls = by_transformers(tmp_path, monkeypatch)
    model.set_experts_implementation("eager")
    logits = model(TOKENS).logits
    # Gate and up of an expert are one product.
    assert len(calls) == layers - EXPERTS["n_routed_experts"]
    for call in calls:
        judge(call)
    assert_close(logits, twin(TOKENS).logits)
    with pytest.raises(CheckpointError, match=r"experts\.gate_up_proj is missing; .* let transformers load it"):
        checkpoint.load_(twin, tmp_path)


@torch.no_grad()
def test_experts_of_transformers_as_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default they are one grouped product, which is barrow's too."""
    config = DeepseekV3Config(**{**DEEPSEEK_V3.to_dict(), **EXPERTS})
    twin, layers = write_checkpoint(tmp_path, config, torch.bfloat16)
    model: Any
    model, calls = by_transformers(tmp_path, monkeypatch)
    grouped: list[Any] = []
    installed: Any = finegrained_fp8.fp8_grouped_matmul

    def record(*args: Any) -> Any:
        grouped.append(args)
        return installed(*args)

    monkeypatch.setattr(finegrained_fp8, "fp8_grouped_matmul", record)
    logits = model(TOKENS).logits
    assert len(calls) == layers - 3 * EXPERTS["n_routed_experts"]
    assert [args[0].shape[0] for args in grouped] == [TOKENS.numel() * EXPERTS["num_experts_per_tok"]] * 2
    assert_close(logits, twin(TOKENS).logits)


QWEN3_MOE = Qwen3MoeConfig(
    **{**QWEN3.to_dict(), "tie_word_embeddings": False},
    num_experts=4,
    num_experts_per_tok=4,
    moe_intermediate_size=192,
    norm_topk_prob=True,
    mlp_only_layers=[0],
)


@pytest.mark.parametrize(
    "config", [DeepseekV3Config(**{**DEEPSEEK_V3.to_dict(), **EXPERTS}), QWEN3_MOE], ids=["DeepSeek-V3", "Qwen3-MoE"]
)
@torch.no_grad()
def test_barrows_experts_take_the_place_of_theirs(tmp_path: Path, config: Any) -> None:
    """They are called alike, and filled from the checkpoint."""
    twin, _ = write_checkpoint(tmp_path, config, torch.bfloat16)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    experts, hidden, inner = model.model.layers[1].mlp.experts.down_proj.shape
    model.model.layers[1].mlp.experts = layer = Fp8Experts(experts, hidden, inner)
    loaded = checkpoint.load_(model, tmp_path)
    assert loaded[-1] == "model.layers.1.mlp.experts"
    assert model.model.layers[1].mlp.experts is not layer
    assert_close(model(TOKENS).logits, twin(TOKENS).logits)


def without_memory(model: nn.Module) -> None:
    """Parameters on meta, tied ones together, and buffers where they are: as accelerate's init_empty_weights builds."""
    empty: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = empty.setdefault(parameter, nn.Parameter(parameter.to("meta")))


@CONFIGS
@torch.no_grad()
def test_without_the_rounding_of_activations_nothing_differs(tmp_path: Path, config: Any) -> None:
    """The weights themselves arrive exactly, in a model without memory too: in float32, by torch's matmul."""
    twin, layers = write_checkpoint(tmp_path, config, torch.float32)
    model = AutoModelForCausalLM.from_config(config).eval()
    without_memory(model)
    assert len(checkpoint.load_(model, tmp_path, backends=["torch"])) == layers
    torch.testing.assert_close(model(TOKENS).logits, twin(TOKENS).logits, rtol=1e-3, atol=1e-4)


@CONFIGS
@torch.no_grad()
def test_generation(tmp_path: Path, config: Any) -> None:
    """The cache of keys and values is fed by FP8 layers too: a token at a time gives what all at once gives."""
    write_checkpoint(tmp_path, config, torch.float32)
    model: Any = by_checkpoint(tmp_path, config, torch.float32)
    tokens = model.generate(TOKENS, max_new_tokens=3, do_sample=False, eos_token_id=None)
    assert tokens.shape == (2, 20)
    assert torch.equal(tokens[:, 17:], model(tokens).logits.argmax(-1)[:, 16:19])


def test_the_format_as_transformers_writes_it(tmp_path: Path) -> None:
    """It writes keys that published checkpoints do not have, with values that change nothing."""
    model = nn.Sequential(nn.Linear(200, 300))
    save(tmp_path, published(model), FineGrainedFP8Config(modules_to_not_convert=["head"]).to_dict())
    assert checkpoint.load_(model, tmp_path) == ["0"]
