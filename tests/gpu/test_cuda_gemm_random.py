"""Every kernel on random data, judged per element and per tile of 128 x 128 against float64."""

import pytest
import torch
from gemm_kernels import Kernel
from judge import judge
from reference import BLOCK, Problem, random_problem

import barrow
from barrow.bench.shapes import DEEPSEEK_NK

SHAPES = [(1, 576, 7168), (77, 2112, 2048), (300, 520, 1536), (515, 1100, 4096)]


def _quantized(m: int, n: int, k: int, device: torch.device, spread: float = 0.0, b_rows: int = BLOCK) -> Problem:
    """Normal data through barrow's quantizers; rows and K blocks of A differ by up to 2^`spread` either way."""
    g = torch.Generator(device=device).manual_seed(m * 31 + n * 7 + k)
    x = torch.randn(m, k, device=device, generator=g)
    w = torch.randn(n, k, device=device, generator=g) / k**0.5
    if spread:
        x *= torch.exp2((torch.rand(m, 1, device=device, generator=g) * 2 - 1) * spread)
        blocks = torch.exp2((torch.rand(-(-k // BLOCK), device=device, generator=g) * 2 - 1) * spread / 4)
        x *= blocks.repeat_interleave(BLOCK)[:k]
    quantize_b = barrow.per_block_quant_fp8 if b_rows == BLOCK else barrow.per_token_group_quant_fp8
    return Problem(*barrow.per_token_group_quant_fp8(x), *quantize_b(w))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
def test_every_kernel(kernel: Kernel, shape: tuple[int, int, int], device: torch.device) -> None:
    m, n, k = shape
    b_rows = 1 if kernel.row_scales_b else BLOCK
    for p in (
        random_problem(m, n, k, seed=kernel.index, device=device, b_rows=b_rows),
        _quantized(m, n, k, device, b_rows=b_rows),
        _quantized(m, n, k, device, spread=8, b_rows=b_rows),
    ):
        out = torch.full((m, n), float("nan"), dtype=kernel.dtype, device=device)
        torch.ops.barrow.fp8_gemm_nt_with(*p.args, kernel.index, out=out)
        verdict = judge(out, p)
        assert verdict.sound, f"{kernel.name}: {verdict}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("m", [1, 64, 513, 4096])
@pytest.mark.parametrize(("n", "k"), DEEPSEEK_NK)
def test_the_chosen_kernel_on_deepseek_shapes(n: int, k: int, m: int, dtype: torch.dtype, device: torch.device) -> None:
    p = _quantized(m, n, k, device)
    verdict = judge(barrow.fp8_gemm_nt(*p.args, out_dtype=dtype), p)
    assert verdict.sound, str(verdict)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_judge_sees_planted_faults(dtype: torch.dtype, device: torch.device) -> None:
    """Faults that a similarity over the whole matrix would let pass."""
    p = _quantized(1024, 2112, 1024, device)
    sound = barrow.fp8_gemm_nt(*p.args, out_dtype=dtype)
    assert judge(sound, p).sound

    zeroed = sound.clone()
    zeroed[256:384, 1024:1152] = 0
    verdict = judge(zeroed, p)
    assert verdict.tile == (2, 8)
    assert verdict.worst_tile > 100

    corner = sound.clone()
    corner[-1, -1] = float("nan")
    verdict = judge(corner, p)
    assert not verdict.sound
    assert verdict.element == (1023, 2111)

    # One of eight blocks of K read with the scale of its neighbour, for one row of A.
    misread = p.a_scale.clone()
    misread[700, 3] = p.a_scale[700, 4] * 1.1
    wrong = barrow.fp8_gemm_nt(p.a, misread, p.b, p.b_scale, out_dtype=dtype)
    verdict = judge(wrong, p)
    assert not verdict.sound
    assert verdict.element[0] == 700

    # One value of A forgotten: the fault of a tail that is cut one short.
    shortened = p.a.clone().view(torch.uint8)
    shortened[:, -1] = 0
    assert not judge(barrow.fp8_gemm_nt(shortened.view(p.a.dtype), *p.args[1:], out_dtype=dtype), p).sound


def test_nan_and_infinity_reach_their_rows_and_columns_only(device: torch.device) -> None:
    p = _quantized(200, 264, 384, device)
    a, b_scale = p.a.clone(), p.b_scale.clone()
    a.view(torch.uint8)[13, 200] = 0x7F
    b_scale[1, 2] = float("inf")
    out = barrow.fp8_gemm_nt(a, p.a_scale, p.b, b_scale)
    finite = out.isfinite()
    assert not finite[13].any()
    assert not finite[:, 128:256].any()
    finite[13] = True
    finite[:, 128:256] = True
    assert finite.all()
