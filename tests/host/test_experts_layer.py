"""`Fp8Experts` computes what the mixture is: exactly on integers, and every token of random data."""

from typing import Any

import mixture
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture import ROUTINGS, Routing, assert_exact, integers, layer_of, randoms
from torch._dynamo.testing import CompileCounterWithBackend

from barrow import Fp8Experts

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
# Experts, hidden and intermediate: whole blocks, and sizes that cut them.
SIZES = ((4, 256, 128), (3, 200, 192), (5, 130, 40), (1, 384, 300))


@pytest.mark.parametrize("kind", ROUTINGS)
@pytest.mark.parametrize(("count", "hidden", "inner"), SIZES)
def test_integers_are_exact(kind: str, count: int, hidden: int, inner: int) -> None:
    experts = integers(count, hidden, inner)
    x, routing = mixture.integer_tokens(37, hidden), mixture.route(kind, 37, min(2, count), count)
    y = layer_of(experts)(x, routing.ids, routing.weights)
    assert_exact(y, experts, x, routing)
    assert y.any() == (kind != "all nowhere")


def test_quantizing_leaves_integers_alone() -> None:
    experts = integers(3, 200, 300)
    x, routing = mixture.integer_tokens(9, 200), mixture.route("repeated", 9, 3, 3)
    plain, quantized = (mixture.compute(experts, x, routing, quantized=each).y for each in (False, True))
    assert torch.equal(plain, quantized)
    assert plain.any()


@pytest.mark.parametrize("ids", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_of_tokens_and_ids(dtype: torch.dtype, ids: torch.dtype) -> None:
    experts = integers(4, 256, 192)
    x, routing = mixture.integer_tokens(9, 256), mixture.route("repeated", 9, 3, 4)
    # Small enough for float16.
    routing = Routing(routing.ids, routing.weights / 16)
    for weights in (routing.weights, routing.weights.bfloat16()):
        y = layer_of(experts)(x.to(dtype), routing.ids.to(ids), weights)
        assert y.dtype == dtype
        assert_exact(y, experts, x, routing)


@given(
    tokens=st.integers(0, 9),
    k=st.integers(0, 4),
    count=st.integers(1, 6),
    hidden=st.integers(3, 270),
    inner=st.integers(1, 270),
    seed=st.integers(0, 9),
)
@settings(max_examples=40)
def test_any_size(tokens: int, k: int, count: int, hidden: int, inner: int, seed: int) -> None:
    experts = integers(count, hidden, inner)
    x, routing = mixture.integer_tokens(tokens, hidden, seed), mixture.route("some nowhere", tokens, k, count, seed)
    assert_exact(layer_of(experts)(x, routing.ids, routing.weights), experts, x, routing)


@pytest.mark.parametrize("kind", ["distinct", "repeated", "some nowhere"])
@pytest.mark.parametrize("tokens", [1, 2, 40])
@pytest.mark.parametrize(("count", "hidden", "inner"), SIZES[:3])
def test_random_data_token_by_token(kind: str, tokens: int, count: int, hidden: int, inner: int) -> None:
    experts = randoms(count, hidden, inner)
    x, routing = torch.randn(tokens, hidden), mixture.route(kind, tokens, 3, count)
    y = layer_of(experts)(x, routing.ids, routing.weights)
    mixture.assert_close(y, mixture.compute(experts, x, routing))


def test_scales_that_are_powers_of_two() -> None:
    """Of activations too: the result is that of no other scales."""
    experts = randoms(4, 256, 192)
    x, routing = torch.randn(40, 256), mixture.route("distinct", 40, 3, 4)
    ours, wanted = layer_of(experts, use_ue8m0=True), mixture.compute(experts, x, routing, use_ue8m0=True)
    mixture.assert_close(ours(x, routing.ids, routing.weights), wanted, 0.002)
    with pytest.raises(AssertionError, match="are off"):
        mixture.assert_close(layer_of(experts)(x, routing.ids, routing.weights), wanted, 0.002)


def test_the_judge_sees_a_single_wrong_expert() -> None:
    experts = randoms(4, 256, 128)
    x, routing = torch.randn(40, 256), mixture.route("distinct", 40, 3, 4)
    y = layer_of(experts)(x, routing.ids, routing.weights)
    wanted = mixture.compute(experts, x, routing)
    ids = routing.ids.clone()
    ids[17, 1] = (set(range(4)) - set(ids[17].tolist())).pop()
    y[17] = layer_of(experts)(x, ids, routing.weights)[17]
    with pytest.raises(AssertionError, match=r"tokens \[17\] are off"):
        mixture.assert_close(y, wanted)


@pytest.mark.parametrize("kind", ROUTINGS)
def test_torchs_matmul_takes_its_place_elsewhere(kind: str) -> None:
    experts = randoms(4, 200, 192)
    x, routing = torch.randn(20, 200), mixture.route(kind, 20, 3, 4)
    y = layer_of(experts, backends=["torch"])(x, routing.ids, routing.weights)
    mixture.assert_close(y, mixture.compute(experts, x, routing, quantized=False))
    shapes = [(0, 3), (0, 0), (5, 0)]
    for tokens, k in shapes:
        y = layer_of(experts, backends=["torch"])(x[:tokens], routing.ids[:tokens, :k], routing.weights[:tokens, :k])
        assert torch.equal(y, torch.zeros(tokens, 200))


def test_weights_of_places_without_an_expert_do_not_count() -> None:
    experts = integers(3, 130, 40)
    x, routing = mixture.integer_tokens(6, 130), mixture.route("some nowhere", 6, 4, 3)
    nowhere = (routing.ids < 0) | (routing.ids >= 3)
    assert nowhere.any()
    weights = routing.weights.masked_fill(nowhere, float("nan"))
    for backends in (None, ["torch"]):
        y = layer_of(experts, backends=backends)(x, routing.ids, weights)
        assert not y.isnan().any()


def test_nan_and_infinity_show_in_their_token_alone() -> None:
    experts = integers(3, 130, 40)
    x, routing = mixture.integer_tokens(5, 130), mixture.route("distinct", 5, 2, 3)
    x[1, 3], x[3, 129] = float("inf"), float("nan")
    y = layer_of(experts)(x, routing.ids, routing.weights)
    assert y.isnan().any(1).tolist() == [False, True, False, True, False]


def test_inputs_that_are_not_contiguous() -> None:
    experts = integers(3, 130, 40)
    x, routing = mixture.integer_tokens(5, 130), mixture.route("distinct", 5, 2, 3)
    layer = layer_of(experts)
    wanted = layer(x, routing.ids, routing.weights)
    assert torch.equal(
        layer(x.T.contiguous().T, routing.ids.T.contiguous().T, routing.weights.T.contiguous().T), wanted
    )
    wide = torch.zeros(5, 4)
    wide[:, ::2] = routing.weights
    assert torch.equal(layer(x.repeat(1, 2)[:, :130], routing.ids, wide[:, ::2]), wanted)


@pytest.mark.parametrize("backends", [None, ["torch"]], ids=["operators", "torch"])
def test_parts_of_the_experts_add_up(backends: list[str] | None) -> None:
    experts = integers(5, 130, 40)
    x, routing = mixture.integer_tokens(30, 130), mixture.route("some nowhere", 30, 3, 5)
    ids = routing.ids.int()
    # A token's first expert by its power of two alone, so that a sum of parts is not rounded.
    parts = [layer_of(experts, range(a, b), backends=backends) for a, b in ((0, 2), (2, 2), (2, 5))]
    assert [part.gate_up_weight.shape[0] for part in parts] == [2, 0, 3]
    for j in range(3):
        only, one = ids[:, j : j + 1], routing.weights[:, j : j + 1]
        total = sum(part(x, only, one).double() for part in parts)
        assert_exact(torch.as_tensor(total), experts, x, Routing(only, one))


def test_the_same_bits_every_time() -> None:
    experts = randoms(4, 200, 192)
    layer = layer_of(experts)
    x, routing = torch.randn(33, 200), mixture.route("repeated", 33, 4, 4)
    first = layer(x, routing.ids, routing.weights)
    assert reference.same_bits(layer(x, routing.ids, routing.weights), first)
    # A token's result does not depend on the others.
    for token in (0, 32):
        at = slice(token, token + 1)
        mixture.assert_close(
            layer(x[at], routing.ids[at], routing.weights[at]),
            mixture.compute(experts, x[at], Routing(routing.ids[at], routing.weights[at])),
        )


@pytest.mark.parametrize("backends", [None, ["torch"]], ids=["operators", "torch"])
@torch.no_grad()
def test_compile_fullgraph_with_dynamic_tokens_compiles_once(backends: list[str] | None) -> None:
    torch.compiler.reset()
    layer = layer_of(integers(4, 200, 192), backends=backends)
    counter: Any = CompileCounterWithBackend("inductor")
    compiled = torch.compile(layer, backend=counter, fullgraph=True, dynamic=True)
    for tokens in (5, 8, 131, 2):
        x, routing = mixture.integer_tokens(tokens, 200), mixture.route("some nowhere", tokens, 3, 4)
        assert torch.equal(compiled(x, routing.ids, routing.weights), layer(x, routing.ids, routing.weights))
        if tokens == 5:
            compiled_once = counter.frame_count
    assert counter.frame_count == compiled_once


@pytest.mark.parametrize("strict", [False, True])
@torch.no_grad()
def test_export_with_dynamic_tokens(strict: bool) -> None:
    layer = layer_of(integers(4, 200, 192))
    x, routing = mixture.integer_tokens(5, 200), mixture.route("repeated", 5, 3, 4)
    tokens = {0: torch.export.Dim("tokens")}
    program = torch.export.export(
        layer, (x, routing.ids, routing.weights), dynamic_shapes=(tokens, tokens, tokens), strict=strict
    )
    operators = [str(node.target) for node in program.graph.nodes]
    assert operators.count("barrow.m_grouped_fp8_gemm_nt.default") == 2
    x, routing = mixture.integer_tokens(70, 200), mixture.route("some nowhere", 70, 3, 4)
    y = program.module()(x, routing.ids, routing.weights)
    assert torch.equal(y, layer(x, routing.ids, routing.weights))


def test_opcheck_of_the_operator_on_dequantised_weights() -> None:
    layer = layer_of(randoms(3, 130, 40))
    routing = mixture.route("some nowhere", 7, 2, 3)
    for tokens in (0, 1, 7):
        args = (torch.randn(tokens, 130), routing.ids[:tokens], routing.weights[:tokens], *layer.buffers())
        reference.opcheck(torch.ops.barrow.dequantized_experts.default, args)


def test_on_meta_it_has_a_shape() -> None:
    layer = Fp8Experts(4, 200, 192, device="meta")
    x = torch.empty(6, 200, dtype=torch.float16, device="meta")
    ids = torch.empty(6, 2, dtype=torch.int32, device="meta")
    y = layer(x, ids, torch.empty(6, 2, device="meta"))
    assert (y.shape, y.dtype, y.device.type) == ((6, 200), torch.float16, "meta")


@pytest.mark.parametrize("backends", [None, ["torch"]], ids=str)
def test_under_autocast(backends: list[str] | None) -> None:
    experts = integers(4, 256, 192)
    x, routing = mixture.integer_tokens(9, 256), mixture.route("repeated", 9, 3, 4)
    layer = layer_of(experts, backends=backends)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x.float(), routing.ids, routing.weights)
    assert y.dtype == torch.float32
    if backends is None:
        assert torch.equal(y, layer(x.float(), routing.ids, routing.weights))
