"""CUDA graphs: captured once, replayed on new values, first of all calls inside a capture."""

import pytest
import torch
from exact import Case, Operands, expected, operands
from fresh import run_fresh

import barrow

# Aligned operands; operands that the call must copy to a padded workspace first.
CASES = [Case(64, 576, 1024), Case(65, 577, 1001, a_offset=1, b_pad=3, out="odd")]


def _captured(x: Operands) -> torch.cuda.CUDAGraph:
    barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out)
    return graph


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_replay_reads_new_inputs(case: Case, dtype: torch.dtype, device: torch.device) -> None:
    x = operands(case, dtype, device)
    graph = _captured(x)
    for seed in range(1, 4):
        fresh = operands(case, dtype, device, seed)
        for mine, new in ((x.a, fresh.a), (x.b, fresh.b)):
            mine.view(torch.uint8).copy_(new.view(torch.uint8))
        x.a_scale.copy_(fresh.a_scale)
        x.b_scale.copy_(fresh.b_scale)
        x.out.fill_(float("nan"))
        graph.replay()
        assert torch.equal(x.out, expected(fresh))


def test_a_layer_in_one_graph(device: torch.device) -> None:
    """Quantizer, GEMM and allocation of their results inside the capture."""
    x = torch.randn(48, 1000, device=device, dtype=torch.bfloat16)
    b, b_scale = barrow.per_block_quant_fp8(torch.randn(300, 1000, device=device))
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = barrow.fp8_gemm_nt(*barrow.per_token_group_quant_fp8(x), b, b_scale)
    for _ in range(3):
        x.normal_()
        graph.replay()
        assert torch.equal(out, barrow.fp8_gemm_nt(*barrow.per_token_group_quant_fp8(x), b, b_scale))


FIRST_CALL = """
import torch
import barrow
from exact import Case, expected, operands

x = operands(Case(65, 577, 1001, a_offset=1), torch.bfloat16, torch.device("cuda"))
want = expected(x)
torch.cuda.synchronize()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out)
assert x.out.isnan().all(), "the capture itself must not run anything"
graph.replay()
torch.cuda.synchronize()
assert torch.equal(x.out, want)
"""


def test_the_first_call_of_a_process_inside_a_capture() -> None:
    run_fresh(FIRST_CALL)
