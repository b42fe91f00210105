"""The kernels around a grouped GEMM one after another: each starts early and must wait for all that is in front."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from fresh import run_fresh
from reference import opcheck, same_bits
from torch import Tensor

import barrow

EXPERTS, TOP_K, HIDDEN, INTERMEDIATE = 16, 4, 512, 256
Step = Callable[[], object]


def weights() -> list[Tensor]:
    """gate_up and down with their scales, of entries that keep the activations' size."""
    torch.manual_seed(3)
    parts = []
    for rows, columns in ((2 * INTERMEDIATE, HIDDEN), (HIDDEN, INTERMEDIATE)):
        wide = torch.randn(EXPERTS * rows, columns, device="cuda") / columns**0.5
        q, scale = barrow.per_block_quant_fp8(wide)
        parts += [q.view(EXPERTS, rows, columns), scale.view(EXPERTS, rows // 128, columns // 128)]
    return parts


def routed(tokens: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, their experts, a few of them elsewhere, and the weights of those."""
    g = torch.Generator(device="cuda").manual_seed(seed)
    x = torch.randn((tokens, HIDDEN), generator=g, device="cuda", dtype=torch.bfloat16)
    ids = torch.randint(-1, EXPERTS, (tokens, TOP_K), generator=g, device="cuda")
    return x, ids, torch.rand((tokens, TOP_K), generator=g, device="cuda")


def layer(
    x: Tensor,
    ids: Tensor,
    routing: Tensor,
    parts: list[Tensor],
    after: Step = lambda: None,
    masked: bool = False,
    ahead: bool = True,
) -> Tensor:
    """A mixture of experts; `after` is called behind every step. `ahead`, groups and weights are loaded so."""
    tokens = x.shape[0]
    groups, positions = barrow.moe_sort(ids, EXPERTS, max_m=tokens * TOP_K if masked else None)
    after()
    rows = tokens * TOP_K * (EXPERTS if masked else 1)
    q, scale = barrow.moe_permute_quant(x, positions, rows)
    after()
    multiply = partial(
        barrow.m_grouped_fp8_gemm_nt_masked if masked else barrow.m_grouped_fp8_gemm_nt, prefetch_b=ahead
    )
    if masked:
        q, scale = q.view(EXPERTS, tokens * TOP_K, -1), scale.view(EXPERTS, tokens * TOP_K, -1)
    gate_up = multiply(q, scale, parts[0], parts[1], groups)
    after()
    q, scale = barrow.silu_mul_quant(gate_up, groups)
    after()
    y = multiply(q, scale, parts[2], parts[3], groups)
    after()
    return barrow.moe_unpermute(y.view(rows, HIDDEN), positions, routing)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tokens", [1, 2, 8, 33, 130])
def test_a_layer_in_one_go_has_the_bits_of_one_that_waits_after_each_step(
    tokens: int, masked: bool, ahead: bool
) -> None:
    parts = weights()
    inputs = [routed(tokens, seed) for seed in range(20)]
    want = [layer(*each, parts, torch.cuda.synchronize, masked) for each in inputs]
    assert all(out.float().abs().amax() > 0.01 for out in want)
    # Results of one are freed while the next already runs, so that memory goes from kernel to kernel.
    for _ in range(5):
        for each, out in zip(inputs, want, strict=True):
            assert torch.equal(layer(*each, parts, masked=masked, ahead=ahead), out)
        together = [layer(*each, parts, masked=masked, ahead=ahead) for each in inputs]
        assert all(torch.equal(again, out) for again, out in zip(together, want, strict=True))


def test_both_layouts_of_groups_give_the_same_layer() -> None:
    parts, each = weights(), routed(40, 1)
    torch.testing.assert_close(layer(*each, parts), layer(*each, parts, masked=True), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("tokens", [1, 8, 130])
def test_a_graph_of_the_layer_follows_its_inputs(tokens: int) -> None:
    parts = weights()
    x, ids, routing = routed(tokens, 0)
    layer(x, ids, routing, parts)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = layer(x, ids, routing, parts)
    for seed in range(20):
        fresh = routed(tokens, seed)
        for mine, new in zip((x, ids, routing), fresh, strict=True):
            mine.copy_(new)
        graph.replay()
        assert torch.equal(out, layer(*fresh, parts, torch.cuda.synchronize))


def test_another_stream() -> None:
    parts = weights()
    each = routed(20, 2)
    want = layer(*each, parts, torch.cuda.synchronize)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        # Long enough that a launch on the default stream would be ahead of the inputs.
        torch.cuda._sleep(20_000_000)
        doubled = each[0] * 2 / 2
        out = layer(doubled, each[1], each[2], parts)
    stream.synchronize()
    assert torch.equal(out, want)


def shuffled(positions: Tensor, times: int, after: Step = lambda: None) -> Tensor:
    """65 rows, each time dealt to five hands: sorting what is a permutation gives it back."""
    for _ in range(times):
        positions = barrow.moe_sort(positions.view(13, 5).T, 65)[1]
        after()
    return positions.view(65, 1)


def test_many_early_starts_in_a_row(device: torch.device) -> None:
    """Forty sorts, each of what the one before has written, into memory that an earlier one had."""
    x = torch.randn(65, 256, device=device, dtype=torch.bfloat16)
    ids = torch.randperm(65, device=device)
    want = shuffled(ids, 40, torch.cuda.synchronize)
    assert not torch.equal(want.flatten(), ids)
    q, scale = barrow.moe_permute_quant(x, want, 65)
    torch.cuda.synchronize()
    for _ in range(20):
        again, again_scale = barrow.moe_permute_quant(x, shuffled(ids, 40), 65)
        assert same_bits(again, q)
        assert same_bits(again_scale, scale)


def test_compiled_it_gives_the_same_bits() -> None:
    parts = weights()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for tokens in (5, 8, 3):
        each = routed(tokens, tokens)
        assert torch.equal(compiled(*each, parts), layer(*each, parts))


def test_opcheck(device: torch.device) -> None:
    ids = (torch.arange(9, device=device)[:, None] + torch.arange(3, device=device)) % 4
    _, positions = barrow.moe_sort(ids, 4)
    ops, x = torch.ops.barrow, torch.randn(9, 300, device=device)
    opcheck(ops.moe_sort.default, (ids, 4, None))
    opcheck(ops.moe_sort.default, (ids, 4, 2))
    opcheck(ops.moe_permute_quant.default, (x, positions, 27))
    opcheck(ops.silu_mul_quant.default, (x.bfloat16(), None))
    opcheck(ops.moe_unpermute.default, (torch.randn(27, 40, device=device).bfloat16(), positions, x[:, :3]))


def test_large_permutation(device: torch.device) -> None:
    """q past 2^31 bytes; compared with the tokens quantized alone."""
    tokens, top_k, k = 40_000, 8, 7168
    x = torch.randn(1000, k, device=device, dtype=torch.bfloat16).repeat(tokens // 1000, 1)
    ids = torch.randint(0, 256, (tokens, top_k), device=device)
    _, positions = barrow.moe_sort(ids, 256)
    q, scale = barrow.moe_permute_quant(x, positions, tokens * top_k)
    wanted_q, wanted_scale = barrow.per_token_group_quant_fp8(x[:1000])
    assert positions.amax() == tokens * top_k - 1
    for place in range(top_k):
        for first in (0, tokens // 2, tokens - 1000):
            rows = positions[first : first + 1000, place].long()
            assert torch.equal(q.view(torch.uint8)[rows], wanted_q.view(torch.uint8))
            assert torch.equal(scale[rows], wanted_scale)


def test_large_activation(device: torch.device) -> None:
    """x past 2^32 elements and q past 2^31; compared with the same rows alone."""
    rows, i = 1_100_000, 2048
    x = torch.randn(1000, 2 * i, device=device, dtype=torch.bfloat16).repeat(rows // 1000, 1)
    for shape in ((rows, 2 * i), (1100, 1000, 2 * i)):
        q, scale = barrow.silu_mul_quant(x.view(shape))
        wanted_q, wanted_scale = barrow.silu_mul_quant(x[:1000])
        for first in (0, rows // 2, rows - 1000):
            assert same_bits(q.view(rows, i)[first : first + 1000], wanted_q)
            of_rows = scale[first // 1000] if len(shape) == 3 else scale[first : first + 1000]
            assert torch.equal(of_rows, wanted_scale)
        del q, scale


def test_large_way_back(device: torch.device) -> None:
    """y past 2^31 elements; compared with the same rows alone."""
    tokens, top_k, n = 40_000, 8, 7168
    y = torch.randn(8000, n, device=device, dtype=torch.bfloat16).repeat(tokens * top_k // 8000, 1)
    positions = torch.randperm(tokens * top_k, device=device).int().view(tokens, top_k)
    weights = torch.rand(tokens, top_k, device=device)
    out = barrow.moe_unpermute(y, positions, weights)
    assert torch.equal(out, barrow.moe_unpermute(y[:8000], positions % 8000, weights))


FIRST_CALL = """
import torch
import barrow

ids = torch.randint(0, 8, (5, 2), device="cuda")
x, routing = torch.randn(5, 256, device="cuda", dtype=torch.bfloat16), torch.rand(5, 2, device="cuda")
torch.cuda.synchronize()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    groups, positions = barrow.moe_sort(ids, 8)
    q, scale = barrow.moe_permute_quant(x, positions, 10)
    hidden, hidden_scale = barrow.silu_mul_quant(x, groups)
    out = barrow.moe_unpermute(x, positions, routing)
graph.replay()
torch.cuda.synchronize()
wanted_groups, wanted = barrow.moe_sort(ids.cpu(), 8)
assert torch.equal(groups.cpu(), wanted_groups) and torch.equal(positions.cpu(), wanted)
assert torch.equal(out.cpu(), barrow.moe_unpermute(x.cpu(), wanted, routing.cpu()))
"""


def test_the_first_call_of_a_process_inside_a_capture() -> None:
    run_fresh(FIRST_CALL)
