"""Models of transformers from FP8 checkpoints, end to end, against their twins on dequantised weights.

Two ways lead there: `barrow.checkpoint.load_` puts barrow's layers into a model, and `barrow.integrations.transformers`
has the layers that transformers makes by itself call barrow.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import dequantized, published, save
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, DeepseekV3Config, Qwen3Config
from transformers.integrations import finegrained_fp8
from transformers.quantizers.quantizer_finegrained_fp8 import FineGrainedFP8HfQuantizer

from barrow import Fp8Linear, checkpoint
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
CONFIGS = pytest.mark.parametrize(
    ("config", "layers"), [(DEEPSEEK_V3, 16), (QWEN3, 14)], ids=["DeepSeek-V3", "Qwen3 with tied embeddings"]
)
TOKENS = torch.arange(2 * 17).view(2, 17)

# e4m3 keeps 3 bits after the point, so rounding moves a value by a sixteenth of itself at most; in the quadratic mean,
# with as many values in every octave, by sqrt(1 / 12 * 3 / 8 / ln 2) of an eighth.
ROUNDING = 2**-4
TYPICAL_ROUNDING = 0.0265


def write_checkpoint(folder: Path, config: Any, dtype: torch.dtype) -> tuple[nn.Module, dict[str, Tensor]]:
    """Write the checkpoint of a random model; return its twin on dequantised weights, and those in float32."""
    torch.manual_seed(0)
    twin = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    tensors = published(twin, keep=lambda name: name == "lm_head")
    if config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    save(folder, tensors, files=2, config=config.to_dict())
    plain = dequantized(tensors)
    twin.load_state_dict(plain, strict=False)
    return twin, plain


def by_checkpoint(folder: Path, config: Any, dtype: torch.dtype, **options: Any) -> nn.Module:
    """Another random model, filled by `barrow.checkpoint`."""
    torch.manual_seed(1)
    model: nn.Module = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    checkpoint.load_(model, folder, **options)
    return model


def by_transformers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The model as transformers loads it, its layers on barrow for as long as the test lasts."""
    # Without a GPU and accelerate it would widen the weights; a CPU needs neither.
    monkeypatch.setattr(FineGrainedFP8HfQuantizer, "validate_environment", lambda *args, **kwargs: None)
    monkeypatch.setattr(finegrained_fp8, "fp8_linear", finegrained_fp8.fp8_linear)
    install()
    model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return model


def fp8_calls(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Run the model; return what every FP8 layer got and gave, as matrices, by name."""
    calls: dict[str, tuple[Tensor, Tensor]] = {}
    for name, module in model.named_modules():
        if isinstance(module, (Fp8Linear, finegrained_fp8.FP8Linear)):

            def keep(module: nn.Module, inputs: tuple[Tensor], output: Tensor, name: str = name) -> None:
                calls[name] = inputs[0].flatten(0, -2), output.flatten(0, -2)

            module.register_forward_hook(keep)
    model(TOKENS)
    return calls


@CONFIGS
@torch.no_grad()
def test_both_ways_agree_with_the_twin(
    tmp_path: Path, config: Any, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin, plain = write_checkpoint(tmp_path, config, torch.bfloat16)
    ours, theirs = by_checkpoint(tmp_path, config, torch.bfloat16), by_transformers(tmp_path, monkeypatch)
    calls = fp8_calls(ours)
    assert len(calls) == layers
    for name, (x, y) in calls.items():
        x, weight = x.double(), plain[f"{name}.weight"].double()
        # A sum of rounding errors that are independent has the size of the root of their squares' sum.
        limit = ROUNDING * (x.square() @ weight.square().T).sqrt().norm(dim=1)
        error = (y.double() - x @ weight.T).norm(dim=1)
        assert (error <= limit).all(), name
    for name, (x, y) in fp8_calls(theirs).items():
        assert torch.equal(x, calls[name][0]), name
        assert torch.equal(y, calls[name][1]), name
    wanted, logits = twin(TOKENS).logits, ours(TOKENS).logits
    assert torch.equal(logits, theirs(TOKENS).logits)
    # Eight layers lie behind one another, and what goes around them has no error of theirs.
    assert (logits - wanted).norm() <= TYPICAL_ROUNDING * 8**0.5 * wanted.norm()


def without_memory(model: nn.Module) -> None:
    """Parameters on meta, tied ones together, and buffers where they are: as accelerate's init_empty_weights builds."""
    empty: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = empty.setdefault(parameter, nn.Parameter(parameter.to("meta")))


@CONFIGS
@torch.no_grad()
def test_without_the_rounding_of_activations_nothing_differs(tmp_path: Path, config: Any, layers: int) -> None:
    """The weights themselves arrive exactly, in a model without memory too: in float32, by torch's matmul."""
    twin, _ = write_checkpoint(tmp_path, config, torch.float32)
    model = AutoModelForCausalLM.from_config(config).eval()
    without_memory(model)
    assert len(checkpoint.load_(model, tmp_path, backends=["torch"])) == layers
    torch.testing.assert_close(model(TOKENS).logits, twin(TOKENS).logits, rtol=1e-3, atol=1e-4)


@CONFIGS
@torch.no_grad()
def test_generation(tmp_path: Path, config: Any, layers: int) -> None:
    """The cache of keys and values is fed by FP8 layers too: a token at a time gives what all at once gives."""
    write_checkpoint(tmp_path, config, torch.float32)
    model: Any = by_checkpoint(tmp_path, config, torch.float32)
    tokens = model.generate(TOKENS, max_new_tokens=3, do_sample=False, eos_token_id=None)
    assert tokens.shape == (2, 20)
    assert torch.equal(tokens[:, 17:], model(tokens).logits.argmax(-1)[:, 16:19])
