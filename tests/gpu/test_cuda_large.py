"""Tensors and strides past 2^31 elements, compared in full with an exact reference."""

import pytest
import torch
from exact import wrong_values
from grouped import KINDS
from reference import BLOCK, Problem, blocks, product

import barrow

# A multiple of a scale block.
ROWS_AT_ONCE = 8192


def _integers(rows: int, cols: int, device: torch.device) -> torch.Tensor:
    """Small integers as e4m3, drawn in pieces: a draw in float32 takes four times the memory of the result."""
    out = torch.empty(rows, cols, dtype=torch.float8_e4m3fn, device=device)
    for piece in out.view(torch.uint8).split(ROWS_AT_ONCE):
        drawn = torch.randint(-2, 3, piece.shape, device=device, dtype=torch.float32)
        piece.copy_(drawn.to(torch.float8_e4m3fn).view(torch.uint8))
    return out


def _scales(rows: int, k: int, device: torch.device) -> torch.Tensor:
    powers = torch.tensor([0.5, 1.0, 2.0], device=device)
    return powers[torch.randint(0, 3, (rows, blocks(k)), device=device)]


def _assert_exact(out: torch.Tensor, p: Problem) -> None:
    """Compare piece by piece: the float64 operands of a whole problem would not fit the GPU."""
    for top in range(0, out.shape[0], ROWS_AT_ONCE):
        for left in range(0, out.shape[1], ROWS_AT_ONCE):
            rows, columns = slice(top, top + ROWS_AT_ONCE), slice(left, left + ROWS_AT_ONCE)
            scale_rows = slice(left // BLOCK, (left + ROWS_AT_ONCE) // BLOCK)
            piece = Problem(p.a[rows], p.a_scale[rows], p.b[columns], p.b_scale[scale_rows])
            found = wrong_values(out[rows, columns], product(piece).float().to(out.dtype))
            assert found is None, f"from [{top}, {left}]: {found}"


def _problem(m: int, n: int, k: int, device: torch.device) -> Problem:
    return Problem(
        _integers(m, k, device), _scales(m, k, device), _integers(n, k, device), _scales(blocks(n), k, device)
    )


@pytest.mark.parametrize(
    ("m", "n", "k", "dtype"),
    [
        pytest.param(300_001, 136, 8192, torch.bfloat16, id="A"),
        pytest.param(64, 300_001, 8192, torch.bfloat16, id="B"),
        pytest.param(66_000, 33_000, 136, torch.bfloat16, id="D bf16"),
        pytest.param(66_000, 33_000, 136, torch.float32, id="D f32"),
    ],
)
def test_more_than_2_to_31_elements(m: int, n: int, k: int, dtype: torch.dtype, device: torch.device) -> None:
    assert max(m * k, n * k, m * n) > 2**31
    p = _problem(m, n, k, device)
    _assert_exact(barrow.fp8_gemm_nt(*p.args, out_dtype=dtype), p)


def test_padding_more_than_2_to_31_bytes(device: torch.device) -> None:
    """A row stride that the copy engine cannot address, over a tensor larger than 32-bit offsets."""
    p = _problem(300_001, 40, 8191, device)
    _assert_exact(barrow.fp8_gemm_nt(*p.args), p)


@pytest.mark.parametrize("pitch", [2**30 + 16, 2**30 + 3])
def test_rows_far_apart(pitch: int, device: torch.device) -> None:
    """Five rows of A and of D, each more than 2^30 elements from the last."""
    m, n, k = 5, 272, 384
    p = _problem(m, n, k, device)
    a = torch.zeros((m - 1) * pitch + k, dtype=torch.uint8, device=device).view(torch.float8_e4m3fn)
    a = a.as_strided((m, k), (pitch, 1))
    a.view(torch.uint8).copy_(p.a.view(torch.uint8))
    out = torch.zeros((m - 1) * pitch + n, dtype=torch.bfloat16, device=device).as_strided((m, n), (pitch, 1))
    barrow.fp8_gemm_nt(a, p.a_scale, p.b, p.b_scale, out=out)
    _assert_exact(out, p)


def test_scales_far_apart(device: torch.device) -> None:
    """Scales are read through 64-bit strides."""
    m, n, k, pitch = 70, 300, 300, 2**29 + 5
    p = _problem(m, n, k, device)
    far = torch.zeros(2 * pitch + m, device=device).as_strided((m, 3), (1, pitch))
    far.copy_(p.a_scale)
    _assert_exact(barrow.fp8_gemm_nt(p.a, far, p.b, p.b_scale), p)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_whose_matrices_have_more_than_2_to_31_elements(kind: str, device: torch.device) -> None:
    n, k, sizes = 8200, 8192, [7, 0, 130, 1] * 8 + [300]
    count, max_m = len(sizes), max(sizes)
    assert count * n * k > 2**31
    b = _integers(count * n, k, device).view(count, n, k)
    b_scale = _scales(count * blocks(n), k, device).view(count, blocks(n), -1)
    rows = count * max_m if kind == "counts" else 128 * sum(map(blocks, sizes))
    a, a_scale = _integers(rows, k, device), _scales(rows, k, device)
    out = torch.zeros(rows, n, dtype=torch.bfloat16, device=device)
    told, firsts = torch.tensor(sizes, dtype=torch.int32, device=device), torch.arange(count) * max_m
    if kind != "counts":
        padded = torch.tensor([128 * blocks(size) for size in sizes])
        firsts = padded.cumsum(0) - padded
        told = (firsts + torch.tensor(sizes)).int().to(device)
    if kind == "ends":
        barrow.m_grouped_fp8_gemm_nt(a, a_scale, b, b_scale, told, alignment=128, out=out)
    elif kind == "indices":
        indices = torch.arange(count, dtype=torch.int32).repeat_interleave(padded).to(device)
        barrow.m_grouped_fp8_gemm_nt_indexed(a, a_scale, b, b_scale, indices, out=out)
    else:
        slabs = a.view(count, max_m, k), a_scale.view(count, max_m, -1)
        barrow.m_grouped_fp8_gemm_nt_masked(*slabs, b, b_scale, told, out=out.view(count, max_m, n))
    for group, (first, size) in enumerate(zip(firsts.tolist(), sizes, strict=True)):
        mine = slice(first, first + size)
        _assert_exact(out[mine], Problem(a[mine], a_scale[mine], b[group], b_scale[group]))


def test_slabs_of_more_than_2_to_31_elements(device: torch.device) -> None:
    count, max_m, n, k = 3, 30_000, 24_584, 272
    assert count * max_m * n > 2**31
    a, b = _integers(count * max_m, k, device).view(count, max_m, k), _integers(count * n, k, device).view(count, n, k)
    a_scale = _scales(count * max_m, k, device).view(count, max_m, -1)
    b_scale = _scales(count * blocks(n), k, device).view(count, blocks(n), -1)
    told = torch.tensor([max_m, 5, max_m - 3], dtype=torch.int32, device=device)
    out = torch.zeros(count, max_m, n, dtype=torch.bfloat16, device=device)
    barrow.m_grouped_fp8_gemm_nt_masked(a, a_scale, b, b_scale, told, out=out)
    for group, rows in enumerate(told.tolist()):
        _assert_exact(out[group, :rows], Problem(a[group, :rows], a_scale[group, :rows], b[group], b_scale[group]))
        assert (out[group, rows:] == 0).all()


def test_a_dimension_that_cannot_be_addressed_is_refused(device: torch.device) -> None:
    """More rows than the copy engine counts: an expanded row costs no memory, so the call can be made."""
    rows = 2**31
    a = torch.zeros(1, BLOCK, device=device).to(torch.float8_e4m3fn).expand(rows, BLOCK)
    one = torch.ones(1, 1, device=device)
    b = torch.zeros(1, BLOCK, device=device).to(torch.float8_e4m3fn)
    with pytest.raises(RuntimeError, match="a has M = 2147483648"):
        barrow.fp8_gemm_nt(a, one.expand(rows, 1), b, one)
