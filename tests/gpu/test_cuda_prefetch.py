"""Products that load B before the work in front is done: the same bits, whatever that work writes."""

import pytest
import torch
from gemm_kernels import Kernel, grouped_kernels
from reference import BLOCK

import barrow

LAYERS, WIDTH = 6, 512
ROWS = (1, 7, 16, 40, 64, 100)


def weights() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One square layer after the other, of entries that keep the activations' size."""
    torch.manual_seed(5)
    return [barrow.per_block_quant_fp8(torch.randn(WIDTH, WIDTH, device="cuda") / WIDTH**0.5) for _ in range(LAYERS)]


def chain(x: torch.Tensor, layers: list[tuple[torch.Tensor, torch.Tensor]], prefetch: bool) -> torch.Tensor:
    """Each layer reads what the one before has just written, so a launch that waits for too little shows."""
    for q, scale in layers:
        x = barrow.fp8_gemm_nt(*barrow.per_token_group_quant_fp8(x), q, scale, prefetch_b=prefetch)
    return x


@pytest.mark.parametrize("m", ROWS)
def test_a_chain_of_layers_has_the_same_bits(m: int) -> None:
    layers, x = weights(), torch.randn(m, WIDTH, device="cuda", dtype=torch.bfloat16)
    want = chain(x, layers, False)
    assert want.float().abs().amax() > 0.1
    for _ in range(20):
        assert torch.equal(chain(x, layers, True), want)


@pytest.mark.parametrize("m", ROWS)
def test_a_chain_in_a_graph_has_the_same_bits(m: int) -> None:
    layers, x = weights(), torch.randn(m, WIDTH, device="cuda", dtype=torch.bfloat16)
    want = chain(x, layers, False)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = chain(x, layers, True)
    for _ in range(20):
        got.zero_()
        graph.replay()
        assert torch.equal(got, want)


def test_every_kernel_waits_for_a_and_its_scales(kernel: Kernel) -> None:
    # Longer than the stages of all CTAs that split K, so that B is held in registers where a kernel does that.
    m, n, k = 24, 256, BLOCK * (kernel.cluster_k * kernel.stages + 3)
    quantize_b = barrow.per_token_group_quant_fp8 if kernel.row_scales_b else barrow.per_block_quant_fp8
    q, scale = quantize_b(torch.randn(n, k, device="cuda"))
    inputs = [torch.randn(m, k, device="cuda", dtype=torch.bfloat16) for _ in range(8)]
    outs = [torch.empty(m, n, device="cuda", dtype=kernel.dtype) for _ in inputs]
    rows = [barrow.per_token_group_quant_fp8(x) for x in inputs]
    want = [torch.empty_like(out) for out in outs]
    for (a, a_scale), out in zip(rows, want, strict=True):
        torch.ops.barrow.fp8_gemm_nt_with(a, a_scale, q, scale, kernel.index, out=out)
    for x, out in zip(inputs, outs, strict=True):
        a, a_scale = barrow.per_token_group_quant_fp8(x)
        # Row-major scales too, which a kernel in front has just copied.
        torch.ops.barrow.fp8_gemm_nt_with(a, a_scale, q, scale, kernel.index, True, out=out)
        again = torch.empty_like(out)
        torch.ops.barrow.fp8_gemm_nt_with(a, a_scale.contiguous(), q, scale, kernel.index, True, out=again)
        assert torch.equal(again, out)
    assert all(torch.equal(out, right) for out, right in zip(outs, want, strict=True))


def test_a_copy_of_b_is_waited_for() -> None:
    q, scale = barrow.per_block_quant_fp8(torch.randn(64, 128, device="cuda"))
    a, a_scale = barrow.per_token_group_quant_fp8(torch.randn(4, 128, device="cuda"))
    want = barrow.fp8_gemm_nt(a, a_scale, q, scale)
    odd = torch.empty(64, 131, device="cuda", dtype=torch.uint8)[:, :128].view(torch.float8_e4m3fn)
    odd.copy_(q)
    for _ in range(20):
        assert torch.equal(barrow.fp8_gemm_nt(a, a_scale, odd, scale, prefetch_b=True), want)


@pytest.mark.parametrize("grouped", grouped_kernels(), ids=lambda kernel: kernel.name)
def test_every_kernel_for_groups_waits_for_a_and_follows_its_groups(grouped: Kernel) -> None:
    """A is written by the kernel in front, the groups by the one before that, and each call has others."""
    rows, n, k, groups = 2 * grouped.block_m + 9, 264, BLOCK * (grouped.stages + 3), 5
    q, scale = barrow.per_block_quant_fp8(torch.randn(groups * 3 * BLOCK, k, device="cuda"))
    b, b_scale = q.view(groups, 3 * BLOCK, k)[:, :n], scale.view(groups, 3, -1)
    inputs = [torch.randn(rows, k, device="cuda", dtype=torch.bfloat16) for _ in range(8)]
    told = [torch.randint(0, rows, (groups,), device="cuda", dtype=torch.int32).sort().values for _ in inputs]
    outs = [torch.zeros(rows, n, device="cuda", dtype=torch.bfloat16) for _ in inputs]
    want = [torch.zeros_like(out) for out in outs]
    multiply, how = torch.ops.barrow.m_grouped_fp8_gemm_nt_with, (0, 1, 0, grouped.index)
    for x, now, right in zip(inputs, told, want, strict=True):
        pair = barrow.per_token_group_quant_fp8(x)
        torch.cuda.synchronize()
        multiply(*pair, b, b_scale, now, *how, out=right)
    ends = torch.zeros_like(told[0])
    for x, now, out in zip(inputs, told, outs, strict=True):
        ends.copy_(now)
        a, a_scale = barrow.per_token_group_quant_fp8(x)
        multiply(a, a_scale, b, b_scale, ends, *how, True, out=out)
        again = torch.zeros_like(out)
        # Row-major scales too, which a kernel in front has just copied.
        multiply(a, a_scale.contiguous(), b, b_scale, ends, *how, True, out=again)
        assert torch.equal(again, out)
    assert all(torch.equal(out, right) for out, right in zip(outs, want, strict=True))


def test_a_copy_of_the_experts_is_waited_for() -> None:
    q, scale = barrow.per_block_quant_fp8(torch.randn(2 * 64, 128, device="cuda").repeat_interleave(2, 0))
    b, b_scale = q.view(2, 128, 128), scale.view(2, 1, 1)
    a = barrow.per_token_group_quant_fp8(torch.randn(4, 128, device="cuda"))
    ends = torch.tensor([1, 4], dtype=torch.int32, device="cuda")
    want = barrow.m_grouped_fp8_gemm_nt(*a, b, b_scale, ends)
    odd = torch.empty(2, 128, 131, device="cuda", dtype=torch.uint8)[..., :128].view(torch.float8_e4m3fn)
    odd.copy_(b)
    for _ in range(20):
        assert torch.equal(barrow.m_grouped_fp8_gemm_nt(*a, odd, b_scale, ends, prefetch_b=True), want)
