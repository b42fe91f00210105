"""`quantize_`: which layers, under which names, shared and tied ones, models that read weights themselves."""

import copy
import gc
import weakref
from typing import Any

import pytest
import reference
import torch
from torch import Tensor, nn

import barrow
from barrow import Fp8Linear, quantize_


class Model(nn.Module):
    """An embedding, two blocks that share a layer, and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(40, 192)
        self.shared = nn.Linear(192, 192)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(192, 192), nn.GELU(), self.shared) for _ in range(2))
        self.lm_head = nn.Linear(192, 40, bias=False)
        self.lm_head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = x + block(x)
        logits: Tensor = self.lm_head(x)
        return logits


TOKENS = torch.arange(40).view(4, 10)
NAMES = ["shared", "blocks.0.0", "blocks.0.2", "blocks.1.0", "blocks.1.2", "lm_head"]


@torch.no_grad()
def test_every_linear_layer_and_a_close_result() -> None:
    model = Model()
    wanted = model(TOKENS)
    assert quantize_(model) == NAMES
    assert not any(isinstance(module, nn.Linear) for module in model.modules())
    logits = model(TOKENS)
    assert (logits - wanted).norm() <= 0.06 * wanted.norm()
    assert isinstance(model.embedding, nn.Embedding)
    assert model.embedding.weight.dtype == torch.float32


def test_a_shared_layer_stays_shared() -> None:
    model = Model()
    quantize_(model)
    assert isinstance(model.shared, Fp8Linear)
    assert model.shared is model.get_submodule("blocks.0.2")
    assert model.shared is model.get_submodule("blocks.1.2")


def test_layers_that_share_a_weight_share_its_quantized_form() -> None:
    first, second = nn.Linear(192, 64), nn.Linear(192, 64)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    quantize_(model)
    assert model[0].weight is model[1].weight
    assert model[0].weight_scale_inv is model[1].weight_scale_inv
    assert model[0] is not model[1]
    for layer, linear in zip(model, (first, second), strict=True):
        assert isinstance(layer, Fp8Linear)
        assert layer.bias is not None
        assert torch.equal(layer.bias, linear.bias)


def test_a_tied_embedding_is_untouched() -> None:
    model = Model()
    before = model.embedding.weight.detach().clone()
    quantize_(model)
    assert torch.equal(model.embedding.weight, before)


def test_filters_by_name_and_by_module() -> None:
    model = Model()
    assert quantize_(model, lambda name, linear: name != "lm_head") == NAMES[:-1]
    assert isinstance(model.lm_head, nn.Linear)
    model = Model()
    assert quantize_(model, lambda name, linear: linear.out_features == 40) == ["lm_head"]
    model = Model()
    assert quantize_(model, lambda name, linear: False) == []
    assert isinstance(model.get_submodule("blocks.0.0"), nn.Linear)


def test_backends_reach_every_layer() -> None:
    model = Model()
    quantize_(model, backends=["torch"])
    assert {module.backends for module in model.modules() if isinstance(module, Fp8Linear)} == {("torch",)}


def test_a_second_time_does_nothing() -> None:
    model = Model()
    quantize_(model)
    assert quantize_(model) == []


def test_ue8m0_reaches_every_layer() -> None:
    model = Model()
    quantize_(model, use_ue8m0=True)
    layers = [module for module in model.modules() if isinstance(module, Fp8Linear)]
    assert layers
    for layer in layers:
        assert layer.use_ue8m0
        mantissa, _ = layer.weight_scale_inv.frexp()
        assert (mantissa == 0.5).all()


@torch.no_grad()
def test_state_dict_round_trip_into_another_quantized_model() -> None:
    model, other = Model(), Model()
    for parameter in other.parameters():
        parameter.add_(1.0)
    quantize_(model)
    quantize_(other)
    other.load_state_dict(model.state_dict())
    assert reference.same_bits(other(TOKENS), model(TOKENS))


@torch.no_grad()
def test_a_bfloat16_model() -> None:
    model = Model().bfloat16()
    wanted = model(TOKENS)
    quantize_(model)
    logits = model(TOKENS)
    assert logits.dtype == torch.bfloat16
    assert (logits - wanted).norm() <= 0.06 * wanted.norm()


@torch.no_grad()
def test_a_transformer_encoder_whose_fast_path_reads_the_weights() -> None:
    layer = nn.TransformerEncoderLayer(192, 4, 320, batch_first=True).eval()
    model = nn.TransformerEncoder(layer, 2).eval()
    x = torch.randn(3, 7, 192)
    wanted = model(x)
    # The attention's out_proj, a subclass of nn.Linear, is read by nn.MultiheadAttention and stays.
    assert quantize_(model) == [f"layers.{i}.linear{j}" for i in (0, 1) for j in (1, 2)]
    y = model(x)
    assert not torch.equal(y, wanted)
    assert (y - wanted).norm() <= 0.06 * wanted.norm()


@torch.no_grad()
def test_a_transformer_encoder_with_a_padding_mask() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(192, 4, 320, batch_first=True), 2).eval()
    x, padding = torch.randn(2, 5, 192), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    wanted = model(x, src_key_padding_mask=padding)
    quantize_(model)
    y = model(x, src_key_padding_mask=padding)
    assert (y - wanted)[~padding].norm() <= 0.06 * wanted[~padding].norm()


def test_a_weight_of_any_strides() -> None:
    linear = nn.Linear(200, 130)
    turned = copy.deepcopy(linear)
    turned.weight = nn.Parameter(linear.weight.detach().t().contiguous().t())
    for here, there in zip(
        Fp8Linear.from_linear(linear).buffers(), Fp8Linear.from_linear(turned).buffers(), strict=True
    ):
        assert torch.equal(here.float(), there.float())


def test_subclasses_of_linear_are_left_alone() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    assert quantize_(nn.Sequential(Doubled(8, 8))) == []


def test_quantized_weights_are_freed_one_by_one() -> None:
    """The weight of the first layer is gone when the second is quantized."""
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    first = weakref.ref(model[0].weight)
    gone: list[bool] = []
    from_linear = Fp8Linear.from_linear

    def watched(linear: nn.Linear, **options: Any) -> Fp8Linear:
        gc.collect()
        gone.append(first() is None)
        return from_linear(linear, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fp8Linear, "from_linear", watched)
        quantize_(model)
    assert gone == [False, True]


def test_a_model_that_is_itself_a_linear_layer() -> None:
    with pytest.raises(ValueError, match=r"model is itself an nn.Linear.*Fp8Linear\.from_linear\(model\)"):
        quantize_(nn.Linear(3, 4))


def test_what_is_no_model_or_filter() -> None:
    with pytest.raises(TypeError, match=r"barrow.quantize_: model is a int; pass an nn.Module"):
        quantize_(3)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"quantize_: filter is \['x'\]; pass a function of a layer's name and the layer"
    ):
        quantize_(Model(), ["x"])  # type: ignore[arg-type]


def test_a_weight_of_another_dtype_leaves_the_model_unchanged() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8).double())
    with pytest.raises(RuntimeError, match=r"1\.weight has dtype torch\.float64.*filter"):
        quantize_(model)
    assert isinstance(model[0], nn.Linear)


def test_a_model_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = Model()
    quantize_(model)
    assert model.lm_head.weight.dtype == torch.float8_e4m3fn
    assert model.lm_head.weight.device.type == "meta"


def test_what_the_package_exports() -> None:
    assert barrow.Fp8Linear is Fp8Linear
    assert barrow.quantize_ is quantize_
