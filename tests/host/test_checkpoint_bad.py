"""Checkpoints that are wrong: every error names the file, key or tensor, and the model stays as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import DEEPSEEK, published, save
from torch import Tensor, nn

from barrow import Fp8Experts, Fp8Linear, checkpoint
from barrow.checkpoint import CheckpointError, Format
from barrow.linear import FusedFp8Linear

Tensors = dict[str, Tensor]


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.Linear(200, 576)
        self.down = nn.Linear(576, 200, bias=False)
        self.norm = nn.LayerNorm(200)


def assert_refused(folder: Path, message: str, **options: Any) -> None:
    model = Model()
    before = {key: (value, value.clone()) for key, value in model.state_dict(keep_vars=True).items()}
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_(model, folder, **options)
    after = model.state_dict(keep_vars=True)
    assert {type(model.up), type(model.down)} == {nn.Linear}
    assert all(after[key] is value and torch.equal(value, copy) for key, (value, copy) in before.items())


def drop(name: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__delitem__(name)


def put(name: str, tensor: Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({name: tensor})


FP8 = torch.zeros(576, 200).to(torch.float8_e4m3fn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("up.weight_scale_inv"), r"up\.weight_scale_inv is missing: up\.weight is F8_E4M3"),
        (
            put("up.weight_scale_inv", torch.ones(4, 2)),
            r"up\.weight_scale_inv has shape \[4, 2\] but needs \[5, 2\] for \[576, 200\]",
        ),
        (
            put("up.weight_scale_inv", torch.ones(5, 2, dtype=torch.int32)),
            r"up\.weight_scale_inv is I32, but needs F32",
        ),
        (put("up.weight", FP8[:575]), r"up\.weight has 575 rows, but up has 576 features"),
        (put("up.weight", FP8.T), r"up\.weight has shape \[200, 576\] but needs \[\*, 200\] for up"),
        (put("up.weight", FP8.float().to(torch.float8_e5m2)), r"up\.weight is F8_E5M2, but up\.weight is no linear"),
        (put("down.weight", torch.zeros(200, 576, dtype=torch.int8)), r"down\.weight is I8"),
        (drop("up.bias"), r"up\.bias is missing"),
        (put("up.bias", torch.ones(575)), r"up\.bias is F32 of shape \[575\] but needs \[576\]"),
        (drop("norm.weight"), r"norm\.weight is missing; the model needs it"),
        (put("norm.weight", torch.ones(201)), r"norm\.weight has shape \[201\], but the model needs \[200\]"),
        (
            put("norm.weight", torch.ones(200).to(torch.float8_e4m3fn)),
            r"norm\.weight is F8_E4M3, but .* no linear layer",
        ),
        (put("mtp.weight", torch.ones(3)), r"mtp\.weight has no place in the model; pass ignore"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path: Path, change: Callable[[Tensors], None], message: str) -> None:
    tensors = published(Model())
    change(tensors)
    assert_refused(save(tmp_path, tensors), message)


def test_a_scale_beside_a_plain_weight_is_not_dropped(tmp_path: Path) -> None:
    """Somebody divided the weight by it."""
    tensors = {**published(Model(), keep=lambda name: True), "down.weight_scale_inv": torch.full((2, 5), 4.0)}
    save(tmp_path, tensors, None)
    for quantize in (None, lambda name, layer: True):
        assert_refused(tmp_path, r"down\.weight_scale_inv has no place in the model", quantize=quantize)
    checkpoint.load_(Model(), tmp_path, quantize=lambda name, layer: True, ignore=["*_scale_inv"])


@pytest.mark.parametrize(
    ("held", "stored"),
    [
        (torch.int64, torch.float32),
        (torch.int32, torch.float64),
        (torch.bool, torch.bfloat16),
        (torch.float32, torch.int64),
        (torch.bfloat16, torch.bool),
        (torch.complex64, torch.float32),
    ],
    ids=str,
)
def test_whole_numbers_and_others_are_not_converted(tmp_path: Path, held: torch.dtype, stored: torch.dtype) -> None:
    model = nn.Module()
    model.register_buffer("steps", torch.zeros(2, dtype=held))
    save(tmp_path, {"steps": torch.tensor([1.5, 2.7]).to(stored)}, None)
    with pytest.raises(
        CheckpointError, match=rf"steps is \w+, but the model has {held}, which cannot hold it; convert"
    ):
        checkpoint.load_(model, tmp_path)
    assert not model.get_buffer("steps").any()


def test_a_string_is_no_list_of_patterns(tmp_path: Path) -> None:
    """Character by character, its * would match every tensor."""
    save(tmp_path, {**published(Model()), "mtp.weight": torch.ones(3)})
    with pytest.raises(ValueError, match=r"ignore is the string 'x\.\*'; pass a list of patterns: \['x\.\*'\]"):
        checkpoint.load_(Model(), tmp_path, ignore="x.*")


def test_what_is_no_model_or_filter(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"checkpoint.load_: model is a NoneType; pass an nn.Module"):
        checkpoint.load_(None, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"checkpoint.load_: quantize is True; pass a function of a layer's name"):
        checkpoint.load_(Model(), tmp_path, quantize=True)  # type: ignore[arg-type]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    assert_refused(
        save(tmp_path, {"x": torch.ones(1)}), r"(?s)up\.weight is missing.*down\.weight is missing.*x has no"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quant_method": "awq"}, "quantization_config.quant_method is 'awq', but barrow reads 'fp8'"),
        ({"quant_method": None}, "quantization_config.quant_method is None"),
        ({"fmt": "e5m2"}, "quantization_config.fmt is 'e5m2'"),
        (
            {"activation_scheme": "static"},
            "quantization_config.activation_scheme is 'static', but barrow reads 'dynamic'",
        ),
        ({"weight_block_size": [64, 128]}, r"weight_block_size is \[64, 128\], but barrow reads \[128, 128\]"),
        ({"weight_block_size": None}, "weight_block_size is None"),
        ({"scale_fmt": "e5m3"}, "scale_fmt is 'e5m3', but barrow reads 'ue8m0' or 'float'"),
        ({"expert_dtype": "fp4"}, "expert_dtype is 'fp4', but barrow reads 'fp8'"),
        ({"modules_to_convert": ["up"]}, r"modules_to_convert is \['up'\], but barrow reads \[\]"),
        ({"rotate": True}, "quantization_config.rotate is not known"),
        ({"ignored_layers": "up"}, "quantization_config.ignored_layers is 'up', not a list of names"),
        ({"modules_to_not_convert": [1]}, r"modules_to_not_convert is \[1\], not a list of names"),
        ({"ignored_layers": ["up"]}, "up.weight is F8_E4M3, but quantization_config lists up as not converted"),
    ],
    ids=str,
)
def test_quantization_configs(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert_refused(save(tmp_path, published(Model()), {**DEEPSEEK, **change}), message)


@pytest.mark.parametrize(
    ("quantization", "message"),
    [(None, "up.weight is F8_E4M3, but config.json has no quantization_config"), ([1], "is not an object")],
)
def test_no_quantization_config(tmp_path: Path, quantization: Any, message: str) -> None:
    assert_refused(save(tmp_path, published(Model()), quantization), message)


DEEP = "[" * 100_000


def truncate(folder: Path) -> None:
    path = folder / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def lie(folder: Path) -> None:
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["ghost"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "model-00002-of-00002.safetensors cannot be opened"),
        (lambda folder: (folder / "model-00001-of-00002.safetensors").unlink(), "model-00001-.* cannot be opened"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{"), "index.json cannot be read"),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{}"), "cannot be read: KeyError"),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {"up.weight": 1}}'),
            "weight_map does not name a file for every tensor",
        ),
        (lambda folder: (folder / "model.safetensors.index.json").write_text(DEEP), "cannot be read: RecursionError"),
        (lambda folder: (folder / "config.json").write_text(DEEP), "config.json cannot be read: maximum recursion"),
        (lie, "index.json lists ghost, which its file lacks"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json is not a JSON object"),
        (lambda folder: (folder / "config.json").unlink(), "config.json cannot be read"),
        (lambda folder: [path.unlink() for path in folder.glob("model*")], "holds no safetensors"),
    ],
)
def test_damaged_files(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    save(tmp_path, published(Model()), files=2)
    damage(tmp_path)
    assert_refused(tmp_path, message)


def test_what_is_no_folder(tmp_path: Path) -> None:
    save(tmp_path, published(Model()))
    assert_refused(tmp_path / "model.safetensors", r"model.safetensors is a file; pass the folder that it lies in")
    assert_refused(Path("Qwen/Qwen3-32B-FP8"), r"no folder Qwen/Qwen3-32B-FP8; pass a local one, .*`hf download NAME")


def test_a_tensor_in_two_files(tmp_path: Path) -> None:
    save(tmp_path, published(Model()))
    (tmp_path / "other.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes())
    assert_refused(tmp_path, "is in other.safetensors and in model.safetensors")


def test_parts_of_a_fused_layer_that_do_not_match(tmp_path: Path) -> None:
    tensors = published(Model())
    tensors["w"], tensors["w_scale_inv"] = tensors["up.weight"][:128], tensors["up.weight_scale_inv"][:1]
    tensors = {
        **{key: value for key, value in tensors.items() if not key.startswith(("up", "w"))},
        "a.weight": tensors["w"],
        "a.weight_scale_inv": tensors["w_scale_inv"],
        "b.weight": torch.ones(448, 200),
        "a.bias": torch.ones(128),
        "b.bias": torch.ones(448),
    }
    assert_refused(
        save(tmp_path, tensors), "up is made of parts of different dtypes: F32, F8", fused={"up": ("a", "b")}
    )
    del tensors["b.weight"], tensors["b.bias"]
    assert_refused(save(tmp_path, tensors), r"b\.weight is missing, one of the parts of up", fused={"up": ("a", "b")})


def test_an_error_while_reading_leaves_the_model_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, published(Model()))
    read = checkpoint.Checkpoint.read

    def fail(self: checkpoint.Checkpoint, name: str, device: torch.device) -> Tensor:
        if name.startswith("norm"):
            raise CheckpointError("the disk is gone")
        return read(self, name, device)

    monkeypatch.setattr(checkpoint.Checkpoint, "read", fail)
    assert_refused(tmp_path, "the disk is gone")


def test_buffers_that_no_checkpoint_has(tmp_path: Path) -> None:
    save(tmp_path, {"weight": torch.ones(3)}, None)
    model = nn.Module()
    model.weight = nn.Parameter(torch.empty(3, device="meta"))
    model.register_buffer("frequencies", torch.empty(3, device="meta"), persistent=False)
    with pytest.raises(CheckpointError, match="frequencies is on meta and in no checkpoint; build the model"):
        checkpoint.load_(model, tmp_path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(200, 300, bias=False), "the model itself is of type Linear and cannot .*; pass an Fp8Linear"),
        (FusedFp8Linear(200, [44, 256], False), "the model itself is of type FusedFp8Linear and cannot"),
        (Fp8Linear(201, 300, False), r"weight has shape \[300, 200\] but needs \[\*, 201\] for the model"),
        (Fp8Linear(200, 301, False), "weight has 300 rows, but the model has 301 features"),
        (Fp8Linear(200, 300), "bias is missing"),
        (Fp8Experts(1, 200, 300), r" 0\.gate_proj\.weight is missing, one of the 3 weights of the model"),
    ],
    ids=str,
)
def test_a_model_that_is_itself_a_layer(tmp_path: Path, model: nn.Module, message: str) -> None:
    save(tmp_path, published(nn.Linear(200, 300, bias=False)))
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_(model, tmp_path)


def test_ignored_modules_match_whole_names() -> None:
    form = Format(ignored=("lm_head", "mlp.gate"))
    assert form.ignores("lm_head")
    assert form.ignores("model.layers.3.mlp.gate")
    assert form.ignores("lm_head.inner")
    assert not form.ignores("model.layers.3.mlp.gate_proj")
