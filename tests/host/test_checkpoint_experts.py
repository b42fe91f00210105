"""Experts of DeepSeek-V3 and Qwen3-MoE from checkpoints: exact, quantized on the way, a part of them; and bad ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import reference
import torch
from checkpoints import DEEPSEEK, save
from torch import Tensor, nn

import barrow
from barrow import Fp8Experts, checkpoint
from barrow.checkpoint import CheckpointError
from barrow.experts import PROJECTIONS

EXPERTS, HIDDEN, INNER = 4, 200, 192
AT = "model.layers.3.mlp.experts"
Tensors = dict[str, Tensor]


class Mlp(nn.Module):
    def __init__(self, local: range | None = None) -> None:
        super().__init__()
        self.gate = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.experts = Fp8Experts(EXPERTS, HIDDEN, INNER, local=local, device="meta")


def make(local: range | None = None) -> nn.Module:
    """A model whose only layer with tensors is the fourth one."""
    layers = [nn.Identity() for _ in range(3)]
    model = nn.Module()
    model.model = nn.Module()
    model.model.layers = nn.ModuleList([*layers, nn.ModuleDict({"mlp": Mlp(local)})])
    return model


def experts_of(model: Any) -> Fp8Experts:
    found = model.model.layers[3]["mlp"].experts
    assert isinstance(found, Fp8Experts)
    return found


def plain() -> Tensors:
    torch.manual_seed(0)
    tensors = {"model.layers.3.mlp.gate.weight": torch.randn(EXPERTS, HIDDEN)}
    for expert in range(EXPERTS):
        for name in PROJECTIONS:
            shape = (HIDDEN, INNER) if name == "down_proj" else (INNER, HIDDEN)
            tensors[f"{AT}.{expert}.{name}.weight"] = torch.randn(shape).bfloat16()
    return tensors


def fp8(scale_dtype: torch.dtype = torch.float32) -> Tensors:
    tensors = plain()
    for name in [name for name in tensors if ".experts." in name]:
        q, scale = barrow.per_block_quant_fp8(tensors[name], use_ue8m0=scale_dtype != torch.float32)
        tensors |= {name: q, f"{name}_scale_inv": scale.to(scale_dtype)}
    return tensors


@pytest.mark.parametrize("files", [1, 5])
@pytest.mark.parametrize("scale_dtype", [torch.float32, torch.bfloat16, torch.float8_e8m0fnu], ids=str)
def test_fp8_experts_are_taken_as_they_lie(tmp_path: Path, files: int, scale_dtype: torch.dtype) -> None:
    tensors = fp8(scale_dtype)
    save(tmp_path, tensors, files=files)
    model = make()
    seen: list[Any] = []
    assert checkpoint.load_(model, tmp_path, progress=lambda *step: seen.append(step)) == [AT]
    assert seen == [(1, 2, AT), (2, 2, "model.layers.3.mlp.gate.weight")]
    layer = experts_of(model)
    for expert in range(EXPERTS):
        for name in PROJECTIONS:
            source = f"{AT}.{expert}.{name}.weight"
            weight, scale = layer.projection(expert, name)
            assert reference.same_bits(weight, tensors[source])
            assert torch.equal(scale, tensors[f"{source}_scale_inv"].float())
    assert not layer.gate_up_weight[:, INNER:256].float().any()


def test_plain_experts_are_quantized_on_the_way(tmp_path: Path) -> None:
    tensors = plain()
    save(tmp_path, tensors, None)
    model = make().eval()
    checkpoint.load_(model, tmp_path, use_ue8m0=True, backends=["torch"])
    layer = experts_of(model)
    each = [[tensors[f"{AT}.{expert}.{name}.weight"] for expert in range(EXPERTS)] for name in PROJECTIONS]
    wanted = Fp8Experts.from_weights(*(torch.stack(weights) for weights in each), use_ue8m0=True)
    for name, buffer in layer.named_buffers():
        assert reference.same_bits(buffer, wanted.get_buffer(name))
    assert (layer.use_ue8m0, layer.backends, layer.training) == (True, ("torch",), False)


@pytest.mark.parametrize("tensors", [plain(), fp8()], ids=["plain", "fp8"])
def test_experts_that_are_filled_keep_settings_that_nothing_else_says(tmp_path: Path, tensors: Tensors) -> None:
    save(tmp_path, tensors)
    model: Any = make()
    model.model.layers[3]["mlp"].experts = Fp8Experts(EXPERTS, HIDDEN, INNER, use_ue8m0=True, backends=["torch"])
    checkpoint.load_(model, tmp_path)
    assert (experts_of(model).use_ue8m0, experts_of(model).backends) == (True, ("torch",))
    checkpoint.load_(model, tmp_path, use_ue8m0=False, backends=["cpu"])
    assert (experts_of(model).use_ue8m0, experts_of(model).backends) == (False, ("cpu",))


def test_a_model_that_is_itself_experts_is_filled(tmp_path: Path) -> None:
    tensors = fp8()
    save(tmp_path, tensors)
    model, layer = make(), Fp8Experts(EXPERTS, HIDDEN, INNER, device="meta")
    checkpoint.load_(model, tmp_path)
    (tmp_path / "apart").mkdir()
    apart = {name.removeprefix(f"{AT}."): tensor for name, tensor in tensors.items() if name.startswith(AT)}
    save(tmp_path / "apart", apart)
    assert checkpoint.load_(layer, tmp_path / "apart") == [""]
    for name, buffer in layer.named_buffers():
        assert reference.same_bits(buffer, experts_of(model).get_buffer(name))


@pytest.mark.parametrize("local", [range(1, 3), range(1), range(4, 4)], ids=str)
def test_a_process_reads_its_own_experts(tmp_path: Path, local: range, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, fp8())
    whole, model = make(), make(local)
    checkpoint.load_(whole, tmp_path)
    read, names = checkpoint.Checkpoint.read, []

    def watch(self: checkpoint.Checkpoint, name: str, device: torch.device) -> Tensor:
        names.append(name)
        return read(self, name, device)

    monkeypatch.setattr(checkpoint.Checkpoint, "read", watch)
    checkpoint.load_(model, tmp_path)
    layer = experts_of(model)
    for name, buffer in layer.named_buffers():
        assert reference.same_bits(buffer, experts_of(whole).get_buffer(name)[local.start : local.stop])
    assert len(names) == 1 + 6 * len(local)
    assert layer.local == local


def drop(name: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__delitem__(f"{AT}.{name}")


def put(name: str, tensor: Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({f"{AT}.{name}": tensor})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            drop("2.up_proj.weight"),
            r"experts\.2\.up_proj\.weight is missing, one of the 12 weights of model\.layers\.3",
        ),
        (drop("2.up_proj.weight_scale_inv"), r"2\.up_proj\.weight_scale_inv is missing: .* is F8_E4M3"),
        (
            put("1.down_proj.weight", torch.zeros(INNER, HIDDEN).to(torch.float8_e4m3fn)),
            r"1\.down_proj\.weight has shape \[192, 200\] but needs \[200, 192\] for .*experts",
        ),
        (put("1.gate_proj.weight_scale_inv", torch.ones(2, 1)), r"scale_inv has shape \[2, 1\] but needs \[2, 2\]"),
        (
            put("3.gate_proj.weight", torch.zeros(INNER, HIDDEN)),
            r"experts is made of parts of different dtypes: F32, F8",
        ),
        (put("4.gate_proj.weight", torch.zeros(1)), r"experts\.4\.gate_proj\.weight has no place in the model"),
        (put("0.gate_proj.bias", torch.zeros(1)), r"experts\.0\.gate_proj\.bias has no place in the model"),
        (
            lambda tensors: [tensors.pop(name) for name in list(tensors) if ".experts." in name],
            r"experts\.0\.gate_proj\.weight is missing, one of the 12 weights of",
        ),
    ],
)
def test_experts_that_do_not_fit(tmp_path: Path, change: Callable[[Tensors], Any], message: str) -> None:
    tensors = fp8()
    change(tensors)
    save(tmp_path, tensors)
    assert_refused(tmp_path, message)


def assert_refused(folder: Path, message: str) -> None:
    model = make()
    layer, gate = experts_of(model), model.state_dict()["model.layers.3.mlp.gate.weight"].clone()
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_(model, folder)
    assert experts_of(model) is layer
    assert layer.down_weight.is_meta
    assert torch.equal(model.state_dict()["model.layers.3.mlp.gate.weight"], gate)


def test_one_line_tells_that_all_experts_are_missing(tmp_path: Path) -> None:
    save(tmp_path, {"model.layers.3.mlp.gate.weight": torch.zeros(EXPERTS, HIDDEN)})
    with pytest.raises(CheckpointError) as error:
        checkpoint.load_(make(), tmp_path)
    assert str(error.value).count("is missing") == 1


@pytest.mark.parametrize(
    ("quantization", "message"),
    [
        (None, r"0\.gate_proj\.weight is F8_E4M3, but config\.json has no quantization_config"),
        ({**DEEPSEEK, "ignored_layers": ["experts"]}, r"lists .*experts\.0\.gate_proj as not converted"),
    ],
)
def test_configs_that_say_otherwise(tmp_path: Path, quantization: Any, message: str) -> None:
    save(tmp_path, fp8(), quantization)
    assert_refused(tmp_path, message)


def test_integers_are_no_weights(tmp_path: Path) -> None:
    tensors = {name: tensor.char() if ".experts." in name else tensor for name, tensor in plain().items()}
    save(tmp_path, tensors)
    assert_refused(tmp_path, r"0\.gate_proj\.weight is I8, but needs F8_E4M3 or BF16")


def test_an_error_while_reading_leaves_the_model_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, fp8())
    read = checkpoint.Checkpoint.read

    def fail(self: checkpoint.Checkpoint, name: str, device: torch.device) -> Tensor:
        if ".3.down_proj" in name:
            raise CheckpointError("the disk is gone")
        return read(self, name, device)

    monkeypatch.setattr(checkpoint.Checkpoint, "read", fail)
    assert_refused(tmp_path, "the disk is gone")
