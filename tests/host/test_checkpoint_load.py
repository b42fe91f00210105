"""Checkpoints into models: FP8 and plain layers, fused projections, odd sizes, quantizing on load."""

from pathlib import Path
from typing import Any

import pytest
import reference
import torch
from checkpoints import DEEPSEEK, published, save
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from barrow import Fp8Linear, checkpoint
from barrow.linear import FusedFp8Linear, fuse


class Attention(nn.Module):
    """The projections of DeepSeek-V3's attention, names and odd sizes its own, the hidden size smaller."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        if fused:
            self.fused_qkv_a_proj = nn.Linear(256, 2112, bias=False)
        else:
            self.q_a_proj = nn.Linear(256, 1536, bias=False)
            self.kv_a_proj_with_mqa = nn.Linear(256, 576, bias=False)
        self.norm = nn.LayerNorm(2112)
        self.o_proj = nn.Linear(2112, 256)

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "fused_qkv_a_proj"):
            y = self.fused_qkv_a_proj(x)
        else:
            y = torch.cat([self.q_a_proj(x), self.kv_a_proj_with_mqa(x)], -1)
        result: Tensor = self.o_proj(self.norm(y))
        return result


def make(**options: bool) -> Attention:
    torch.manual_seed(0)
    return Attention(**options).requires_grad_(False)


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("scale_dtype", [torch.float32, torch.bfloat16, torch.float8_e8m0fnu], ids=str)
def test_fp8_weights_are_taken_as_they_lie(tmp_path: Path, files: int, scale_dtype: torch.dtype) -> None:
    tensors = published(make(fused=False), scale_dtype=scale_dtype)
    save(tmp_path, tensors, files=files)
    model = make(fused=False)
    seen: list[tuple[int, int, str]] = []
    loaded = checkpoint.load_(model, tmp_path, progress=lambda *step: seen.append(step))
    assert loaded == ["q_a_proj", "kv_a_proj_with_mqa", "o_proj"]
    assert [step[:2] for step in seen] == [(i, 5) for i in range(1, 6)]
    for name in loaded:
        layer = model.get_submodule(name)
        assert isinstance(layer, Fp8Linear)
        assert reference.same_bits(layer.weight, tensors[f"{name}.weight"])
        assert torch.equal(layer.weight_scale_inv, tensors[f"{name}.weight_scale_inv"].float())
    assert model.o_proj.bias is not None
    assert torch.equal(model.o_proj.bias, tensors["o_proj.bias"])
    assert torch.equal(model.norm.weight, tensors["norm.weight"])


def test_a_folder_by_its_name(tmp_path: Path) -> None:
    save(tmp_path, {"x": torch.ones(3)}, files=2)
    assert set(checkpoint.Checkpoint(str(tmp_path)).tensors) == {"x"}


class Widest(TorchDispatchMode):
    """Elements of the largest tensor that any operator makes in more than 8 bits."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.itemsize > 1 and not leaf.is_meta:
                self.elements = max(self.elements, leaf.numel())
        return result


@pytest.mark.parametrize("fused", [False, True])
def test_no_weight_is_widened_on_the_way(tmp_path: Path, fused: bool) -> None:
    tensors = published(make(fused=False))
    save(tmp_path, tensors)
    model = make(fused=fused)
    with Widest() as widest:  # type: ignore[no-untyped-call]
        checkpoint.load_(model, tmp_path)
    # The norm and the biases are the largest plain tensors.
    assert 0 < widest.elements <= 2112
    with Widest() as widest:  # type: ignore[no-untyped-call]
        Fp8Linear.from_linear(nn.Linear(256, 576))
    assert widest.elements >= 256 * 576


def test_a_fused_projection_is_exact_where_blocks_meet(tmp_path: Path) -> None:
    """1536 is 12 blocks, so 576 rows can follow: 17 blocks of scales, none quantized again."""
    tensors = published(make(fused=False))
    save(tmp_path, tensors)
    apart, model = make(fused=False), make(fused=True)
    checkpoint.load_(apart, tmp_path)
    assert checkpoint.load_(model, tmp_path) == ["fused_qkv_a_proj", "o_proj"]
    layer: Any = model.fused_qkv_a_proj
    assert type(layer) is Fp8Linear
    assert layer.weight_scale_inv.shape == (17, 2)
    x = torch.randn(5, 256)
    torch.testing.assert_close(model(x), apart(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("sizes", [(192, 64, 64), (576, 64), (100, 1), (128, 130, 128), (1,)])
def test_fused_parts_that_end_inside_a_block_stay_exact(sizes: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    parts = [Fp8Linear.from_linear(nn.Linear(300, size, bias=bias)) for size in sizes]
    layer = fuse(parts)
    assert isinstance(layer, FusedFp8Linear) == (any(size % 128 for size in sizes[:-1]))
    x = torch.randn(2, 5, 300)
    wanted = torch.cat([part(x) for part in parts], -1)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-5, atol=1e-5)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), wanted, rtol=1e-5, atol=1e-5)
    if isinstance(layer, FusedFp8Linear):
        other = FusedFp8Linear(300, sizes, bias)
        other.load_state_dict(layer.state_dict())
        torch.testing.assert_close(other(x), wanted, rtol=1e-5, atol=1e-5)


def test_layers_that_cannot_be_fused() -> None:
    first = Fp8Linear(128, 64)
    for parts, message in (
        ([], "no layers"),
        ([first, Fp8Linear(129, 64)], "layer 1 has in_features = 129, the first 128"),
        ([first, Fp8Linear(128, 64, use_ue8m0=True)], "use_ue8m0"),
        ([first, Fp8Linear(128, 64, bias=False)], "having a bias"),
        ([fuse([first, first])], "fused already"),
    ):
        with pytest.raises(ValueError, match=message):
            fuse(parts)


class Gated(nn.Module):
    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        if fused:
            self.gate_up_proj = nn.Linear(192, 2 * 200, bias=False)
        else:
            self.gate_proj, self.up_proj = (nn.Linear(192, 200, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "gate_up_proj"):
            result: Tensor = self.gate_up_proj(x)
            return result
        return torch.cat([self.gate_proj(x), self.up_proj(x)], -1)


@pytest.mark.parametrize("plain", [False, True])
def test_fused_layers_of_a_checkpoint(tmp_path: Path, plain: bool) -> None:
    """Of FP8 parts that end inside a block, and of plain ones, which are stacked."""
    apart = Gated(fused=False).requires_grad_(False)
    tensors = published(apart, keep=lambda name: plain)
    save(tmp_path, tensors)
    checkpoint.load_(apart, tmp_path)
    model = Gated(fused=True)
    assert checkpoint.load_(model, tmp_path) == ([] if plain else ["gate_up_proj"])
    x = torch.randn(3, 192)
    torch.testing.assert_close(model(x), apart(x), rtol=1e-4, atol=1e-5)


def test_a_plain_model_is_quantized_on_load(tmp_path: Path) -> None:
    source = make(fused=False).bfloat16()
    save(tmp_path, source.state_dict(), None)
    with torch.device("meta"):
        model = Attention(fused=False).bfloat16()
    loaded = checkpoint.load_(model, tmp_path, quantize=lambda name, module: name != "o_proj", use_ue8m0=True)
    assert loaded == ["q_a_proj", "kv_a_proj_with_mqa"]
    layer: Any = model.kv_a_proj_with_mqa
    wanted = Fp8Linear.from_linear(source.kv_a_proj_with_mqa, use_ue8m0=True)
    assert reference.same_bits(layer.weight, wanted.weight)
    assert torch.equal(layer.weight_scale_inv, wanted.weight_scale_inv)
    assert layer.use_ue8m0
    assert type(model.o_proj) is nn.Linear
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    model(torch.randn(2, 256, dtype=torch.bfloat16))


def test_a_model_that_is_fp8_already_is_filled(tmp_path: Path) -> None:
    tensors = published(make(fused=False))
    save(tmp_path, tensors)
    model = nn.Module()
    model.o_proj = Fp8Linear(2112, 256)
    assert checkpoint.load_(model, tmp_path, ignore=["q_a*", "kv_a*", "norm.*"]) == ["o_proj"]
    assert reference.same_bits(model.o_proj.weight, tensors["o_proj.weight"])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_a_model_that_is_itself_a_layer_is_filled(tmp_path: Path, plain: bool, bias: bool) -> None:
    source = nn.Linear(200, 300, bias=bias).requires_grad_(False)
    save(tmp_path, source.state_dict() if plain else published(source), {**DEEPSEEK, "scale_fmt": "float"})
    model = Fp8Linear(200, 300, bias, use_ue8m0=True, backends=["torch"]).eval()
    assert checkpoint.load_(model, tmp_path) == [""]
    wanted = Fp8Linear.from_linear(source)
    assert set(model.state_dict()) == set(wanted.state_dict())
    for name, buffer in model.named_buffers():
        assert reference.same_bits(buffer, wanted.get_buffer(name))
    assert (model.use_ue8m0, model.backends, model.training) == (False, ("torch",), False)


def test_scale_format_and_backends_reach_the_layers(tmp_path: Path) -> None:
    save(tmp_path, published(make(fused=True)), {**DEEPSEEK, "scale_fmt": "ue8m0"})
    model: Any = make(fused=True)
    checkpoint.load_(model, tmp_path, backends=["torch"])
    assert model.o_proj.use_ue8m0
    assert model.o_proj.backends == ("torch",)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    ("scale_fmt", "options", "ue8m0", "backends"),
    [
        (None, {}, True, ("torch",)),
        ("float", {}, False, ("torch",)),
        (None, {"use_ue8m0": False, "backends": ["cpu", "torch"]}, False, ("cpu", "torch")),
    ],
)
def test_layers_that_are_filled_keep_settings_that_nothing_else_says(
    tmp_path: Path,
    plain: bool,
    scale_fmt: str | None,
    options: dict[str, Any],
    ue8m0: bool,
    backends: tuple[str, ...],
) -> None:
    said = {} if scale_fmt is None else {"scale_fmt": scale_fmt}
    source = nn.ModuleDict({"up_proj": nn.Linear(192, 200), "gate_proj": nn.Linear(192, 200)})
    save(tmp_path, published(source, keep=lambda name: plain), {**DEEPSEEK, **said})
    model: Any = nn.Module()
    model.gate_up_proj = Fp8Linear(192, 400, use_ue8m0=True, backends=["torch"])
    assert checkpoint.load_(model, tmp_path, **options) == ["gate_up_proj"]
    assert (model.gate_up_proj.use_ue8m0, model.gate_up_proj.backends) == (ue8m0, backends)
    # What is quantized on the way is quantized by the same setting.
    powers = model.gate_up_proj.weight_scale_inv.log2().frac() == 0
    assert powers.all() == (plain and ue8m0)


def test_progress_is_a_line_on_a_terminal_and_nothing_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, published(make(fused=True)))
    checkpoint.load_(make(fused=True), tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    checkpoint.load_(make(fused=True), tmp_path)
    lines = capsys.readouterr().err.split("\r\x1b[K")
    assert lines[1] == "loading 1/4 fused_qkv_a_proj"
    assert lines[-1].startswith("loading 4/4 ")
    assert lines[-1].endswith("\n")
