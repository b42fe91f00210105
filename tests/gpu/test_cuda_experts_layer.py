"""`Fp8Experts` on a Hopper GPU: against exact mixtures and the CPU, in graphs, compiled, on streams, without a sync."""

import mixture
import pytest
import torch
from mixture import ROUTINGS, Expert, Routing, assert_exact, integers, layer_of, randoms
from reference import same_bits
from torch import Tensor

from barrow import Fp8Experts

# Experts, hidden and intermediate: whole blocks, sizes that cut them, and rows of weights that no copy engine reads.
SIZES = ((8, 512, 256), (3, 200, 192), (5, 130, 40), (64, 256, 128))
# What tensor cores cut moves a product over a boundary of bfloat16 or e4m3 now and then: of a hundred draws, one or
# more have a token of which such a product is the most. So the draw is always the same.
SHARE = 0.03
SEED = 1
SLEEP_CYCLES = 100_000_000


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(SEED)


def on(device: torch.device, x: Tensor, routing: Routing) -> tuple[Tensor, Tensor, Tensor]:
    return x.to(device), routing.ids.to(device), routing.weights.to(device)


@pytest.mark.parametrize("kind", ROUTINGS)
@pytest.mark.parametrize(("count", "hidden", "inner"), SIZES)
def test_integers_are_exact(kind: str, count: int, hidden: int, inner: int, device: torch.device) -> None:
    experts = integers(count, hidden, inner)
    layer = layer_of(experts).to(device)
    for tokens in (0, 1, 2, 37, 300):
        x, routing = mixture.integer_tokens(tokens, hidden), mixture.route(kind, tokens, 3, count)
        assert_exact(layer(*on(device, x, routing)), experts, x, routing)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("kind", ["distinct", "repeated", "some nowhere"])
@pytest.mark.parametrize("backends", [None, ["torch"]], ids=["barrow", "torch"])
def test_random_data_token_by_token(
    kind: str, dtype: torch.dtype, backends: list[str] | None, device: torch.device
) -> None:
    experts = randoms(8, 512, 320)
    layer = layer_of(experts, backends=backends).to(device)
    assert layer.explain(50, 3).gate_up.backend == ("barrow" if backends is None else "torch")
    x, routing = torch.randn(50, 512).to(dtype), mixture.route(kind, 50, 3, 8)
    y = layer(*on(device, x, routing))
    assert y.dtype == dtype
    # Results and dequantised weights of torch's matmul are bfloat16 or float16.
    mixture.assert_close(y, mixture.compute(experts, x, routing, quantized=backends is None), SHARE)


def test_scales_that_are_powers_of_two(device: torch.device) -> None:
    experts = randoms(8, 512, 320)
    layer = layer_of(experts, use_ue8m0=True).to(device)
    x, routing = torch.randn(50, 512), mixture.route("repeated", 50, 3, 8)
    mixture.assert_close(layer(*on(device, x, routing)), mixture.compute(experts, x, routing, use_ue8m0=True), SHARE)


def test_against_the_cpu_on_the_sizes_of_a_model(device: torch.device) -> None:
    """Qwen3-30B-A3B's, with fewer experts."""
    torch.manual_seed(0)
    gate, up = (torch.randn(16, 768, 2048, device=device).bfloat16() / 45 for _ in range(2))
    layer = Fp8Experts.from_weights(gate, up, torch.randn(16, 2048, 768, device=device).bfloat16() / 28)
    x, routing = torch.randn(200, 2048).bfloat16(), mixture.route("distinct", 200, 8, 16)
    y = layer(*on(device, x, routing)).cpu()
    wanted = layer.cpu()(x, routing.ids, routing.weights)
    error = (y.float() - wanted.float()).norm(dim=1) / wanted.float().norm(dim=1)
    assert error.amax() <= SHARE


def test_weights_are_quantized_as_on_the_cpu(device: torch.device) -> None:
    weights = [torch.randn(3, 192, 200), torch.randn(3, 192, 200), torch.randn(3, 200, 192)]
    here, there = Fp8Experts.from_weights(*weights), Fp8Experts.from_weights(*(each.to(device) for each in weights))
    for name, buffer in there.named_buffers():
        assert buffer.device == device
        assert same_bits(buffer.cpu(), here.get_buffer(name))


def test_parts_of_the_experts(device: torch.device) -> None:
    experts = integers(5, 130, 40)
    x, routing = mixture.integer_tokens(30, 130), mixture.route("some nowhere", 30, 3, 5)
    for local in (range(2), range(2, 2), range(2, 5)):
        y = layer_of(experts, local).to(device)(*on(device, x, routing))
        theirs = (routing.ids < local.start) | (routing.ids >= local.stop)
        assert_exact(y, experts, x, Routing(routing.ids.masked_fill(theirs, -1), routing.weights))


def test_the_host_never_waits(device: torch.device) -> None:
    layer = layer_of(randoms(8, 256, 128)).to(device)
    arguments = on(device, torch.randn(20, 256), mixture.route("repeated", 20, 4, 8))
    layer(*arguments)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        layer(*arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def problem() -> list[Expert]:
    return integers(8, 256, 192)


def test_a_graph_is_replayed_with_other_tokens_and_routings(problem: list[Expert], device: torch.device) -> None:
    layer = layer_of(problem).to(device)
    x, ids, weights = on(device, mixture.integer_tokens(40, 256), mixture.route("distinct", 40, 3, 8))
    # The first call of the layer is inside the capture.
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = layer(x, ids, weights)
    for seed, kind in enumerate([*ROUTINGS, "distinct"], 1):
        tokens, routing = mixture.integer_tokens(40, 256, seed), mixture.route(kind, 40, 3, 8, seed)
        for place, value in zip((x, ids, weights), on(device, tokens, routing), strict=True):
            place.copy_(value)
        y.fill_(float("nan"))
        graph.replay()
        assert_exact(y, problem, tokens, routing)


def test_fullgraph_with_dynamic_tokens_compiles_once(problem: list[Expert], device: torch.device) -> None:
    torch.compiler.reset()
    layer = layer_of(problem).to(device)
    compiled = torch.compile(layer, fullgraph=True)
    with torch.no_grad():
        for turn, tokens in enumerate((40, 2, 3, 129, 1000)):
            x, routing = mixture.integer_tokens(tokens, 256), mixture.route("some nowhere", tokens, 3, 8)
            arguments = on(device, x, routing)
            if turn == 0:
                for each in arguments:
                    torch._dynamo.mark_dynamic(each, 0)
            with torch._dynamo.config.patch(error_on_recompile=turn > 0):
                assert_exact(compiled(*arguments), problem, x, routing)


def test_reduce_overhead_takes_the_graph_path(problem: list[Expert], device: torch.device) -> None:
    torch.compiler.reset()
    layer = layer_of(problem).to(device)
    compiled = torch.compile(layer, fullgraph=True, mode="reduce-overhead")
    with torch.no_grad():
        for seed in range(4):
            x, routing = mixture.integer_tokens(24, 256, seed), mixture.route("repeated", 24, 3, 8, seed)
            assert_exact(compiled(*on(device, x, routing)).clone(), problem, x, routing)


def test_work_goes_to_the_current_stream(problem: list[Expert], device: torch.device) -> None:
    """Tokens and ids arrive late on a side stream, on which the result is read: any other would see stale data."""
    layer = layer_of(problem).to(device)
    x, routing = mixture.integer_tokens(40, 256), mixture.route("distinct", 40, 3, 8)
    late = on(device, x, routing)
    places = [torch.zeros_like(each) for each in late]
    layer(*places)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(SLEEP_CYCLES)
        for place, value in zip(places, late, strict=True):
            place.copy_(value)
        seen = layer(*places).clone()
    stream.synchronize()
    assert_exact(seen, problem, x, routing)


def test_the_same_bits_on_streams_side_by_side(device: torch.device) -> None:
    layer = layer_of(randoms(16, 512, 256)).to(device)
    arguments = on(device, torch.randn(300, 512).bfloat16(), mixture.route("repeated", 300, 4, 16))
    first = layer(*arguments)
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream() for _ in range(4)]
    results = []
    for turn in range(40):
        with torch.cuda.stream(streams[turn % 4]):
            results.append(layer(*arguments))
    torch.cuda.synchronize()
    assert all(torch.equal(first, result) for result in results)
