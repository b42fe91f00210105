"""torch.compile and torch's own checks of an operator, on CUDA."""

from collections.abc import Callable

import pytest
import torch
from exact import Case, expected, operands
from reference import opcheck, random_problem

import barrow


def _layer(x: torch.Tensor, b: torch.Tensor, b_scale: torch.Tensor) -> torch.Tensor:
    q, scale = barrow.per_token_group_quant_fp8(x * 2)
    return barrow.fp8_gemm_nt(q, scale, b, b_scale).relu() + 1


def _weight(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return barrow.per_block_quant_fp8(torch.randn(320, 512, device=device))


def test_fullgraph(device: torch.device) -> None:
    torch.compiler.reset()
    compiled = torch.compile(_layer, fullgraph=True)
    b, b_scale = _weight(device)
    x = torch.randn(33, 512, device=device, dtype=torch.bfloat16)
    assert torch.equal(compiled(x, b, b_scale), _layer(x, b, b_scale))


def test_dynamic_m_compiles_once(device: torch.device) -> None:
    """M is free from 2 on (torch compiles 0 and 1 by themselves, whatever the operator)."""
    torch.compiler.reset()
    compiled = torch.compile(_layer, fullgraph=True)
    b, b_scale = _weight(device)
    first = torch.randn(40, 512, device=device, dtype=torch.bfloat16)
    torch._dynamo.mark_dynamic(first, 0)
    compiled(first, b, b_scale)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for m in (2, 3, 64, 127, 128, 129, 1000, 4096):
            x = torch.randn(m, 512, device=device, dtype=torch.bfloat16)
            assert torch.equal(compiled(x, b, b_scale), _layer(x, b, b_scale)), f"M={m}"


def test_out_variant(device: torch.device) -> None:
    torch.compiler.reset()

    @torch.compile(fullgraph=True)
    def into(a: torch.Tensor, a_scale: torch.Tensor, b: torch.Tensor, b_scale: torch.Tensor, out: torch.Tensor) -> None:
        barrow.fp8_gemm_nt(a, a_scale, b, b_scale, out=out)

    x = operands(Case(70, 200, 384), torch.float32, device)
    into(x.a, x.a_scale, x.b, x.b_scale, x.out)
    assert torch.equal(x.out, expected(x))


def test_reduce_overhead_takes_the_graph_path(device: torch.device) -> None:
    """Inductor's CUDA graphs: capture, memory pool and replay are torch's."""
    torch.compiler.reset()
    compiled = torch.compile(_layer, fullgraph=True, mode="reduce-overhead")
    b, b_scale = _weight(device)
    for _ in range(4):
        x = torch.randn(24, 512, device=device, dtype=torch.bfloat16)
        assert torch.equal(compiled(x, b, b_scale).clone(), _layer(x, b, b_scale))


@pytest.mark.parametrize("m", [0, 1, 70])
def test_opcheck_gemm(m: int, device: torch.device) -> None:
    p = random_problem(m, 200, 384, device=device)
    opcheck(torch.ops.barrow.fp8_gemm_nt.default, (*p.args, False))
    out = torch.empty(m, 200, device=device)
    opcheck(torch.ops.barrow.fp8_gemm_nt.out, p.args, {"out": out})


@pytest.mark.parametrize(
    "op", [torch.ops.barrow.per_token_group_quant_fp8.default, torch.ops.barrow.per_block_quant_fp8.default]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_opcheck_quantizers(op: Callable[..., object], dtype: torch.dtype, device: torch.device) -> None:
    opcheck(op, (torch.randn(70, 300, device=device, dtype=dtype), True))
