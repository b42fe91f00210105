"""`Fp8Linear`: against nn.Linear, conversions, state dicts, compile, export, bad input."""

import copy
import io
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

import barrow
from barrow import Fp8Linear

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def linear(k: int, n: int, *, bias: bool = True, dtype: torch.dtype = torch.float32, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(k, n, bias=bias, dtype=dtype)


def expected(layer: Fp8Linear, x: Tensor) -> Tensor:
    """The layer's arithmetic in float64, from its own buffers and the reference's quantizer."""
    rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    q, scale = reference.quantize(rows, 1, layer.use_ue8m0)
    y = reference.product(reference.Problem(q, scale, layer.weight, layer.weight_scale_inv))
    if layer.bias is not None:
        y = y + layer.bias.double()
    return y.view(*x.shape[:-1], layer.out_features)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("use_ue8m0", [False, True])
def test_is_close_to_the_linear_it_came_from(dtype: torch.dtype, bias: bool, use_ue8m0: bool) -> None:
    original = linear(500, 300, bias=bias, dtype=dtype)
    layer = Fp8Linear.from_linear(original, use_ue8m0=use_ue8m0)
    x = torch.randn(2, 7, 500, dtype=dtype)
    with torch.no_grad():
        y, wanted = layer(x), original(x)
    assert y.dtype == dtype
    assert y.shape == wanted.shape
    # Both operands rounded to 4 significant bits.
    assert (y.double() - wanted.double()).norm() <= 0.06 * wanted.double().norm()
    torch.testing.assert_close(y.double(), expected(layer, x), rtol=2**-7, atol=2e-3)


@given(
    leading=st.lists(st.integers(0, 4), max_size=3),
    k=st.integers(0, 270),
    n=st.integers(0, 140),
    dtype=st.sampled_from(DTYPES),
    bias=st.booleans(),
)
@settings(max_examples=80)
def test_any_leading_dimensions_and_features(
    leading: list[int], k: int, n: int, dtype: torch.dtype, bias: bool
) -> None:
    layer = Fp8Linear(k, n, bias, dtype=dtype)
    layer.weight.copy_(torch.randint(-2, 3, (n, k)).float())
    if layer.bias is not None:
        layer.bias.copy_(torch.arange(n) % 5)
    x = torch.randint(-2, 3, (*leading, k)).to(dtype)
    y = layer(x)
    assert y.dtype == dtype
    assert y.shape == (*leading, n)
    torch.testing.assert_close(y.double(), expected(layer, x), rtol=2**-7, atol=1e-5)


def test_inputs_that_are_not_contiguous() -> None:
    layer = Fp8Linear.from_linear(linear(130, 20))
    x = torch.randn(130, 6).T
    assert torch.equal(layer(x), layer(x.contiguous()))
    x = torch.randn(3, 6, 130).transpose(0, 1)[:, ::2]
    assert torch.equal(layer(x), layer(x.contiguous()))


def test_bias_in_another_dtype_than_the_input() -> None:
    layer = Fp8Linear.from_linear(linear(130, 20))
    assert layer(torch.randn(3, 130, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "convert",
    [
        lambda layer: layer.half(),
        lambda layer: layer.bfloat16(),
        lambda layer: layer.double().half(),
        lambda layer: layer.to(torch.float16),
        lambda layer: layer.to("cpu", torch.float16),
        lambda layer: nn.Sequential(layer).type(torch.float16)[0],
    ],
    ids=["half", "bfloat16", "twice", "to dtype", "to device and dtype", "type of the parent"],
)
def test_conversions_leave_the_format_alone(convert: Any) -> None:
    layer = Fp8Linear.from_linear(linear(130, 20))
    weight, scale = layer.weight.clone(), layer.weight_scale_inv.clone()
    converted = convert(layer)
    assert converted is layer
    assert reference.same_bits(layer.weight, weight)
    assert reference.same_bits(layer.weight_scale_inv, scale)
    assert layer.bias is not None
    assert layer.bias.dtype in (torch.float16, torch.bfloat16)
    layer(torch.randn(2, 130))


def test_moves_between_devices_with_a_conversion() -> None:
    layer = Fp8Linear.from_linear(linear(130, 20)).to("meta", torch.float16)
    assert {buffer.device.type for buffer in layer.buffers()} == {"meta"}
    assert layer.weight.dtype == torch.float8_e4m3fn
    layer.to_empty(device="cpu")
    assert layer.weight.dtype == torch.float8_e4m3fn
    assert layer.weight_scale_inv.dtype == torch.float32


def test_buffers_carry_the_names_and_shapes_of_deepseek_checkpoints() -> None:
    layer = Fp8Linear.from_linear(linear(7168, 576, dtype=torch.bfloat16))
    found = {name: (tuple(t.shape), t.dtype) for name, t in layer.state_dict().items()}
    assert found == {
        "weight": ((576, 7168), torch.float8_e4m3fn),
        "weight_scale_inv": ((5, 56), torch.float32),
        "bias": ((576,), torch.bfloat16),
    }
    assert list(layer.parameters()) == []


@pytest.mark.parametrize("assign", [False, True])
def test_state_dict_round_trip_through_a_file(assign: bool) -> None:
    layer = Fp8Linear.from_linear(linear(300, 200))
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = Fp8Linear(300, 200, device="meta" if assign else "cpu")
    other.load_state_dict(torch.load(file), assign=assign)
    x = torch.randn(4, 300)
    assert reference.same_bits(other(x), layer(x))


def test_a_new_layer_is_zeros() -> None:
    assert torch.equal(Fp8Linear(130, 20)(torch.randn(3, 130)), torch.zeros(3, 20))


@pytest.mark.parametrize("strict", [False, True])
def test_loading_weights_of_another_dtype_is_an_error(strict: bool) -> None:
    layer = Fp8Linear.from_linear(linear(300, 200))
    before = copy.deepcopy(layer)
    with pytest.raises(RuntimeError, match=r"0\.weight has dtype torch\.float32.*quantize_"):
        nn.Sequential(layer).load_state_dict(nn.Sequential(linear(300, 200)).state_dict(), strict=strict)
    wrong_scale = {**before.state_dict(), "weight_scale_inv": before.weight_scale_inv.half()}
    with pytest.raises(RuntimeError, match=r"weight_scale_inv has dtype torch\.float16"):
        layer.load_state_dict(wrong_scale)
    assert reference.same_bits(layer.weight, before.weight)
    assert reference.same_bits(layer.weight_scale_inv, before.weight_scale_inv)


def test_training_mode_is_kept_and_a_copy_is_equal() -> None:
    layer = Fp8Linear.from_linear(linear(130, 20).eval())
    assert not layer.training
    x = torch.randn(3, 130)
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    assert "in_features=130, out_features=20, bias=True, use_ue8m0=False" in repr(layer)


def test_the_other_backend_multiplies_dequantized_weights() -> None:
    layer = Fp8Linear.from_linear(linear(300, 200))
    x = torch.randn(5, 300)
    y = barrow.linear.backends.MATMULS["torch"](x, layer.weight, layer.weight_scale_inv, False)
    wanted = x.double() @ reference.dequantize(layer.weight, layer.weight_scale_inv, 128).T
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-5)


def test_on_a_device_without_kernels_torch_runs() -> None:
    layer = Fp8Linear.from_linear(linear(300, 200)).to("meta")
    y = layer(torch.empty(2, 3, 300, dtype=torch.float16, device="meta"))
    assert (y.shape, y.dtype, y.device.type) == ((2, 3, 200), torch.float16, "meta")


@pytest.mark.parametrize(
    "x", [torch.zeros(3, 299), torch.zeros(3, 300).double(), torch.tensor(1.0)], ids=["K", "dtype", "0-D"]
)
def test_bad_input(x: Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"barrow.Fp8Linear: x is .* of shape .*; pass .* of shape \[\.\.\., 300\]"):
        Fp8Linear(300, 200)(x)


def test_what_is_no_tensor_or_layer() -> None:
    for x in (None, [1.0], np.ones((3, 300), np.float32)):
        with pytest.raises(TypeError, match=rf"barrow.Fp8Linear: x is a {type(x).__name__} but needs to be a tensor"):
            Fp8Linear(300, 200)(x)
    with pytest.raises(ValueError, match=r"barrow.Fp8Linear: in_features = -1; pass at least 0"):
        Fp8Linear(-1, 5)
    with pytest.raises(TypeError, match=r"from_linear: linear is a ReLU; pass an nn.Linear"):
        Fp8Linear.from_linear(nn.ReLU())  # type: ignore[arg-type]


def test_an_input_that_requires_grad() -> None:
    layer = Fp8Linear.from_linear(linear(300, 200))
    x = torch.randn(3, 300, requires_grad=True)
    with pytest.raises(RuntimeError, match="x requires grad"):
        layer(x)
    with torch.no_grad():
        layer(x)


def test_a_weight_of_another_dtype() -> None:
    with pytest.raises(RuntimeError, match="float64 but needs bfloat16, float16 or float32"):
        Fp8Linear.from_linear(linear(30, 20).double())


def block() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(192, 320), nn.GELU(), nn.Linear(320, 192, bias=False), nn.LayerNorm(192)).eval()
    barrow.quantize_(model)
    return model


@torch.no_grad()
def test_compile_fullgraph_with_dynamic_m_compiles_once() -> None:
    torch.compiler.reset()
    model = block()
    counter: Any = CompileCounterWithBackend("inductor")
    compiled = torch.compile(model, backend=counter, fullgraph=True, dynamic=True)
    compiled(torch.randn(5, 192))
    compiled_once = counter.frame_count
    for m in (8, 131, 2):
        x = torch.randn(m, 192)
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-4)
    assert counter.frame_count == compiled_once


@pytest.mark.parametrize("strict", [False, True])
@torch.no_grad()
def test_export_with_dynamic_m(strict: bool) -> None:
    model = block()
    program = torch.export.export(
        model, (torch.randn(2, 5, 192),), dynamic_shapes=({1: torch.export.Dim("m")},), strict=strict
    )
    operators = [str(node.target) for node in program.graph.nodes]
    assert operators.count("barrow.fp8_gemm_nt.default") == 2
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for m in (3, 70):
        x = torch.randn(2, m, 192)
        assert torch.equal(loaded(x), model(x))
