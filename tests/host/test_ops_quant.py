"""The quantizers on the CPU against the reference, bit by bit, and what they promise about special values."""

import math

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import barrow

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
# Extremes of float32 and float16, denormals of both, zeros, and what is not a number.
SPECIAL = (
    0.0,
    -0.0,
    1.0,
    -448.0,
    449.0,
    65504.0,
    5.960464477539063e-08,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1.1754943508222875e-38,
    1.401298464324817e-45,
    math.inf,
    -math.inf,
    math.nan,
)


def check(x: Tensor, use_ue8m0: bool) -> None:
    """Both quantizers against the reference: values, layouts, dtypes."""
    q, scale = barrow.per_token_group_quant_fp8(x, use_ue8m0=use_ue8m0)
    wanted_q, wanted_scale = reference.quantize(x, 1, use_ue8m0)
    assert reference.same_bits(q, wanted_q)
    assert reference.same_bits(scale, wanted_scale)
    assert q.is_contiguous()
    assert scale.stride() == (1, (x.shape[0] + 3) // 4 * 4)

    q, scale = barrow.per_block_quant_fp8(x, use_ue8m0=use_ue8m0)
    wanted_q, wanted_scale = reference.quantize(x, 128, use_ue8m0)
    assert reference.same_bits(q, wanted_q)
    assert reference.same_bits(scale, wanted_scale)
    assert q.is_contiguous()
    assert scale.is_contiguous()


@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("k", [0, 1, 127, 128, 129, 300])
@pytest.mark.parametrize("rows", [0, 1, 3, 5, 129])
def test_edge_shapes(rows: int, k: int, dtype: torch.dtype, use_ue8m0: bool) -> None:
    generator = torch.Generator().manual_seed(rows * 1000 + k)
    x = torch.randn((rows, k), generator=generator) * torch.randint(-30, 30, (rows, 1), generator=generator).exp2()
    check(x.to(dtype), use_ue8m0)


@given(
    rows=st.integers(1, 6),
    values=st.lists(
        st.one_of(st.sampled_from(SPECIAL), st.floats(width=32), st.floats(-2, 2, width=32)), min_size=1, max_size=140
    ),
    dtype=st.sampled_from(DTYPES),
    use_ue8m0=st.booleans(),
    gap=st.integers(0, 5),
)
@settings(max_examples=200)
def test_any_values(rows: int, values: list[float], dtype: torch.dtype, use_ue8m0: bool, gap: int) -> None:
    wide = torch.tensor(values + [7.0] * gap).repeat(rows, 1)
    # Rows differ: each is the one above it, rotated.
    wide[:, : len(values)] = torch.stack([wide[i, : len(values)].roll(i) for i in range(rows)])
    check(wide.to(dtype)[:, : len(values)], use_ue8m0)


@pytest.mark.parametrize("use_ue8m0", [False, True])
def test_every_rounding_of_a_group(use_ue8m0: bool) -> None:
    """All e4m3 values, the midpoints between them and their float32 neighbours, at scale 1."""
    values = torch.arange(127, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    middle = (values[1:] + values[:-1]) / 2
    above, below = (middle.nextafter(torch.tensor(limit)) for limit in (math.inf, -math.inf))
    x = torch.cat([t for v in (values, middle, above, below) for t in (v, -v)])
    padding = -x.numel() % 127
    groups = torch.cat([x, x.new_zeros(padding)]).view(-1, 127)
    # 448 in every group makes every scale 1, so that nothing but the rounding is left.
    groups = torch.cat([groups, torch.full((groups.shape[0], 1), 448.0)], dim=1)
    q, scale = barrow.per_token_group_quant_fp8(groups, use_ue8m0=use_ue8m0)
    assert (scale == 1.0).all()
    assert reference.same_bits(q, reference.round_e4m3(groups))


def test_zeros_keep_their_sign_and_get_scale_one() -> None:
    q, scale = barrow.per_token_group_quant_fp8(torch.tensor([[0.0, -0.0]]))
    assert scale.item() == 1.0
    assert q.view(torch.uint8).tolist() == [[0x00, 0x80]]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_nan_and_leaves_the_rest_alone(value: float) -> None:
    x = torch.linspace(-3, 3, 128).repeat(2, 1)
    clean, clean_scale = barrow.per_token_group_quant_fp8(x)
    x[0, 5] = value
    q, scale = barrow.per_token_group_quant_fp8(x)
    assert torch.equal(scale, clean_scale)
    assert q[0, 5].float().isnan()
    q[0, 5] = clean[0, 5]
    assert reference.same_bits(q, clean)
    only, only_scale = barrow.per_token_group_quant_fp8(torch.full((1, 3), value))
    assert only.float().isnan().all()
    assert only_scale.item() == 1.0


def test_tiny_values_do_not_make_a_tiny_scale() -> None:
    x = torch.tensor([[1.401298464324817e-45, 0.0], [2.0**-126, -(2.0**-126)]])
    q, scale = barrow.per_token_group_quant_fp8(x)
    assert (scale == 2.0**-126).all()
    assert q.float().tolist() == [[0.0, 0.0], [1.0, -1.0]]


def test_the_largest_values_do_not_overflow() -> None:
    x = torch.tensor([[3.4028234663852886e38, -3.4028234663852886e38, 1e38]])
    for use_ue8m0 in (False, True):
        q, scale = barrow.per_token_group_quant_fp8(x, use_ue8m0=use_ue8m0)
        assert torch.allclose(q.double() * scale.double(), x.double(), rtol=2.0**-4)


@given(st.floats(2.0**-120, 2.0**120, width=32))
def test_ue8m0_scales_are_the_next_power_of_two(amax: float) -> None:
    _, plain = barrow.per_block_quant_fp8(torch.tensor([[amax]]))
    _, power = barrow.per_block_quant_fp8(torch.tensor([[amax]]), use_ue8m0=True)
    assert math.frexp(power.item())[0] == 0.5
    assert plain.item() <= power.item() < 2 * plain.item()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_relative_error_of_a_round_trip(dtype: torch.dtype) -> None:
    """Half a unit in the last of e4m3's 4 significant bits for values near the largest of their group."""
    x = (torch.rand((200, 300), generator=torch.Generator().manual_seed(0)) + 1).to(dtype)
    for quantizer, rows in ((barrow.per_token_group_quant_fp8, 1), (barrow.per_block_quant_fp8, 128)):
        q, scale = quantizer(x)
        error = (reference.dequantize(q, scale, rows) - x.double()).abs() / x.double()
        assert error.max() <= 2.0**-4 * (1 + 1e-6)
