"""`fp8_gemm_nt` on the CPU: exact integers at every edge, random data by tile, memory layouts, NaN and infinities."""

import itertools
import math

import pytest
import reference
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import barrow

SIZES = (0, 1, 3, 64, 127, 128, 129)
DEPTHS = (0, 1, 31, 127, 128, 129, 257, 640)
OUT_DTYPES = (torch.bfloat16, torch.float32)


def with_pitch(x: Tensor, gap: int) -> Tensor:
    """The same matrix with `gap` more elements between its rows."""
    wide = x.new_empty((x.shape[0], x.shape[1] + gap))
    view = wide[:, : x.shape[1]]
    view.copy_(x)
    return view


@pytest.mark.parametrize(("m", "n"), list(itertools.product(SIZES, SIZES)))
@pytest.mark.parametrize("k", DEPTHS)
def test_integers_come_out_exactly(m: int, n: int, k: int) -> None:
    p = reference.integer_problem(m, n, k, seed=m + 1000 * n)
    for dtype in OUT_DTYPES:
        out = barrow.fp8_gemm_nt(*p.args, out_dtype=dtype)
        assert out.dtype == dtype
        assert out.is_contiguous()
        reference.assert_exact(out, p)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_autocast_changes_no_bit(dtype: torch.dtype) -> None:
    # Sums of the largest numbers are beyond float16.
    args = reference.integer_problem(5, 130, 300).args
    wanted = barrow.fp8_gemm_nt(*args, out_dtype=torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(barrow.fp8_gemm_nt(*args, out_dtype=torch.float32), wanted)
    a, a_scale = barrow.per_token_group_quant_fp8(torch.full((3, 256), 9.0))
    b, b_scale = barrow.per_block_quant_fp8(torch.full((4, 256), 9.0))
    with torch.autocast("cpu", dtype=dtype):
        assert (barrow.fp8_gemm_nt(a, a_scale, b, b_scale) == 256 * 81).all()


@pytest.mark.parametrize("out_dtype", OUT_DTYPES, ids=str)
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [
        (1, 576, 7168),  # DeepSeek-V3's kv_a projection, N no multiple of 128
        (7, 2112, 1536),  # its fused q_a and kv_a projection
        (129, 257, 1000),
        (211, 131, 509),
        (300, 64, 2048),
    ],
)
def test_random_data_by_element_and_tile(m: int, n: int, k: int, out_dtype: torch.dtype) -> None:
    p = reference.random_problem(m, n, k, seed=m)
    reference.judge(barrow.fp8_gemm_nt(*p.args, out_dtype=out_dtype), p)


@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 1, 128), (3, 2, 1), (5, 127, 300), (7, 128, 128), (2, 129, 0), (4, 300, 640)]
)
def test_a_scale_per_row_of_b(m: int, n: int, k: int) -> None:
    exact = reference.integer_problem(m, n, k, b_rows=1)
    assert exact.b_scale.shape == (n, reference.blocks(k))
    random = reference.random_problem(m, n, k, b_rows=1)
    for dtype in OUT_DTYPES:
        reference.assert_exact(barrow.fp8_gemm_nt(*exact.args, out_dtype=dtype), exact)
        reference.judge(barrow.fp8_gemm_nt(*random.args, out_dtype=dtype), random)


def test_both_recipes_agree_where_a_block_has_one_scale() -> None:
    p = reference.random_problem(5, 257, 384)
    per_row = p.b_scale.repeat_interleave(128, 0)[:257]
    assert torch.equal(barrow.fp8_gemm_nt(*p.args), barrow.fp8_gemm_nt(p.a, p.a_scale, p.b, per_row))


@pytest.mark.parametrize("fault", ["zeroed tile", "wrong scale", "lost k block"])
def test_the_judge_sees_what_a_global_similarity_does_not(fault: str) -> None:
    p = reference.random_problem(640, 1024, 1024)
    out = barrow.fp8_gemm_nt(*p.args, out_dtype=torch.float32)
    reference.judge(out, p)
    if fault == "zeroed tile":
        out[128:256, 256:384] = 0
    elif fault == "wrong scale":
        out[:, 128:256] *= 1.01
    else:
        lost = reference.Problem(p.a[:, :128], p.a_scale[:, :1], p.b[:, :128], p.b_scale[:, :1])
        out[128:256, :128] -= reference.product(lost)[128:256, :128].float()
    with pytest.raises(AssertionError, match=r"elements are off.*tiles \["):
        reference.judge(out, p)


@given(
    m=st.integers(0, 140),
    n=st.integers(0, 140),
    k=st.integers(0, 300),
    gaps=st.tuples(*[st.integers(0, 17)] * 3),
    a_scale_layout=st.sampled_from(["rows", "columns", "strided", "one per row", "one"]),
    b_scale_layout=st.sampled_from(["rows", "columns", "strided", "one per row", "one"]),
    out_dtype=st.sampled_from(OUT_DTYPES),
)
@example(128, 128, 128, (0, 0, 0), "columns", "rows", torch.bfloat16)
@settings(max_examples=150)
def test_any_shape_and_stride(
    m: int,
    n: int,
    k: int,
    gaps: tuple[int, int, int],
    a_scale_layout: str,
    b_scale_layout: str,
    out_dtype: torch.dtype,
) -> None:
    def lay_out(scale: Tensor, layout: str) -> Tensor:
        if layout == "columns":
            return scale.T.contiguous().T
        if layout == "strided":
            return torch.full((scale.shape[0], 2 * scale.shape[1]), math.nan)[:, ::2].copy_(scale)
        if layout == "one per row" and scale.numel():
            return scale[:, :1].expand(scale.shape)
        if layout == "one" and scale.numel():
            return scale[:1, :1].expand(scale.shape)
        return scale

    plain = reference.integer_problem(m, n, k, seed=k)
    p = reference.Problem(
        with_pitch(plain.a, gaps[0]),
        lay_out(plain.a_scale, a_scale_layout),
        with_pitch(plain.b, gaps[1]),
        lay_out(plain.b_scale, b_scale_layout),
    )
    reference.assert_exact(barrow.fp8_gemm_nt(*p.args, out_dtype=out_dtype), p)
    out = with_pitch(torch.full((m, n), math.nan, dtype=out_dtype), gaps[2])
    assert barrow.fp8_gemm_nt(*p.args, out=out) is out
    reference.assert_exact(out, p)


def test_out_leaves_what_lies_between_its_rows() -> None:
    p = reference.integer_problem(5, 6, 130)
    wide = torch.full((5, 10), -7.0)
    barrow.fp8_gemm_nt(*p.args, out=wide[:, :6])
    reference.assert_exact(wide[:, :6], p)
    assert (wide[:, 6:] == -7.0).all()


@pytest.mark.parametrize("which", ["a", "b", "a_scale", "b_scale"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_inf_reach_what_they_multiply_and_nothing_else(which: str, value: float) -> None:
    p = reference.integer_problem(130, 140, 300)
    # No zeros: 0 * inf is NaN, which is right but would hide where it came from.
    for operand in (p.a, p.b):
        operand.copy_(operand.float().masked_fill(operand.float() == 0, 1.0))
    clean = barrow.fp8_gemm_nt(*p.args, out_dtype=torch.float32)
    getattr(p, which)[1, 1] = math.nan if which in "ab" else value
    out = barrow.fp8_gemm_nt(*p.args, out_dtype=torch.float32)
    everything = slice(None)
    hit: dict[str, tuple[int | slice, int | slice]] = {
        "a": (1, everything),
        "a_scale": (1, everything),
        "b": (everything, 1),
        "b_scale": (everything, slice(128, 140)),
    }
    touched = torch.zeros(out.shape, dtype=torch.bool)
    touched[hit[which]] = True
    # A partial sum of 0 times an infinite scale is NaN, any other is infinite: never finite.
    assert not out[touched].isfinite().any()
    assert torch.equal(out[~touched], clean[~touched])


def test_same_bits_every_run() -> None:
    p = reference.random_problem(77, 300, 700)
    first = barrow.fp8_gemm_nt(*p.args)
    assert all(reference.same_bits(first, barrow.fp8_gemm_nt(*p.args)) for _ in range(3))


def test_the_default_device_does_not_matter() -> None:
    p = reference.integer_problem(3, 4, 130)
    with torch.device("meta"):
        out = barrow.fp8_gemm_nt(*p.args)
        q, scale = barrow.per_token_group_quant_fp8(p.b.float())
    reference.assert_exact(out, p)
    assert q.device.type == scale.device.type == "cpu"
