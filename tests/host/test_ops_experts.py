"""The operators around a grouped GEMM on the CPU, against references that are told in loops."""

import math

import experts
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import barrow

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


@st.composite
def routings(draw: st.DrawFn) -> tuple[list[list[int]], int]:
    """Ids of experts for some tokens, most in range, and how many experts there are."""
    num_experts = draw(st.integers(1, 12))
    ids = st.one_of(st.integers(0, num_experts - 1), st.integers(-2, num_experts + 1))
    top_k = draw(st.integers(0, 9))
    return draw(st.lists(st.lists(ids, min_size=top_k, max_size=top_k), max_size=20)), num_experts


@given(
    routing=routings(),
    max_m=st.none() | st.integers(0, 9),
    dtype=st.sampled_from((torch.int32, torch.int64)),
    transposed=st.booleans(),
)
def test_sort(routing: tuple[list[list[int]], int], max_m: int | None, dtype: torch.dtype, transposed: bool) -> None:
    ids, num_experts = routing
    top_k = len(ids[0]) if ids else 3
    tensor = torch.tensor(ids, dtype=dtype).reshape(len(ids), top_k)
    if transposed:
        tensor = tensor.T.contiguous().T
    groups, positions = barrow.moe_sort(tensor, num_experts, max_m=max_m)
    assert (groups.tolist(), positions.tolist()) == experts.sort(ids, num_experts, max_m)
    assert (groups.dtype, positions.dtype, positions.shape) == (torch.int32, torch.int32, (len(ids), top_k))
    assert positions.is_contiguous()


def test_ids_beyond_32_bits_are_of_no_expert() -> None:
    groups, positions = barrow.moe_sort(torch.tensor([[2**32, 1], [-(2**32) + 1, 0]]), 2)
    assert groups.tolist() == [1, 2]
    assert positions.tolist() == [[-1, 1], [-1, 0]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("k", [0, 1, 127, 128, 300])
@pytest.mark.parametrize("max_m", [None, 5, 2])
@pytest.mark.parametrize("use_ue8m0", [False, True])
def test_permute_gives_each_row_the_bits_of_the_quantized_token(
    use_ue8m0: bool, max_m: int | None, k: int, dtype: torch.dtype
) -> None:
    x = torch.randn(9, k + 2).to(dtype)[:, 1 : k + 1]
    x[3] = math.inf
    num_experts = 4
    ids = torch.randint(-1, num_experts, (9, 3), generator=torch.Generator().manual_seed(k))
    rows = 27 if max_m is None else num_experts * max_m
    _, positions = barrow.moe_sort(ids, num_experts, max_m=max_m)
    q, scale = barrow.moe_permute_quant(x, positions, rows, use_ue8m0=use_ue8m0)
    assert (q.shape, q.is_contiguous()) == ((rows, k), True)
    assert (scale.shape, scale.stride()) == ((rows, -(-k // 128)), (1, (rows + 3) // 4 * 4))
    token_q, token_scale = barrow.per_token_group_quant_fp8(x, use_ue8m0=use_ue8m0)
    for token, row in enumerate(positions.tolist()):
        for position in row:
            if position >= 0:
                assert reference.same_bits(q[position], token_q[token])
                assert reference.same_bits(scale[position], token_scale[token])


def test_permute_leaves_out_positions_beyond_the_rows() -> None:
    x = torch.randn(2, 8)
    q, scale = barrow.moe_permute_quant(x, torch.tensor([[0, 2], [-7, 1]], dtype=torch.int32), 2)
    wanted_q, wanted_scale = barrow.per_token_group_quant_fp8(x)
    assert reference.same_bits(q, wanted_q)
    assert reference.same_bits(scale, wanted_scale)


@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("i", [0, 1, 127, 128, 129, 300])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_silu_mul_quant(rows: int, i: int, use_ue8m0: bool) -> None:
    generator = torch.Generator().manual_seed(rows * 1000 + i)
    x = (torch.randn((rows, 2 * i + 3), generator=generator) * 8).bfloat16()[:, 3:]
    q, scale = barrow.silu_mul_quant(x, use_ue8m0=use_ue8m0)
    experts.judge_silu_mul_quant(q, scale, x, use_ue8m0=use_ue8m0)
    assert q.is_contiguous()
    assert scale.stride() == (1, (rows + 3) // 4 * 4)


@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1.0, 1e19])
def test_silu_mul_quant_of_all_gates(scale: float) -> None:
    """All 65,536 gates, tiny, huge, infinite and NaN, each with a value of either sign."""
    gates = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16).view(512, 128)
    values = torch.linspace(-scale, scale, 128).bfloat16().expand(512, 128)
    x = torch.cat([gates, values], dim=1)
    experts.judge_silu_mul_quant(*barrow.silu_mul_quant(x), x)


@pytest.mark.parametrize(
    ("gate", "value", "wanted"),
    [
        (math.nan, 1.0, math.nan),
        (1.0, math.nan, math.nan),
        (math.inf, 1.0, math.nan),
        (-math.inf, 1.0, math.nan),
        (1.0, -math.inf, math.nan),
        (3e38, 3.0, math.nan),
        (-3e38, 3.0, -0.0),
        (-100.0, -1.0, 0.0),
        (448.0, 1.0, 448.0),
        (0.0, -1.0, -0.0),
    ],
)
def test_special_products(gate: float, value: float, wanted: float) -> None:
    # 448 beside it makes the scale 1.
    q, scale = barrow.silu_mul_quant(torch.tensor([[gate, 448.0, value, 1.0]]).bfloat16())
    assert scale.item() == 1.0
    assert reference.same_bits(q, torch.tensor([[wanted, 448.0]]).to(q.dtype))


@pytest.mark.parametrize(("ends", "rows"), [([2, 4], 4), ([3, 9], 6), ([1, -5], 0), ([6], 6)])
def test_silu_mul_quant_up_to_the_last_end(ends: list[int], rows: int) -> None:
    x = torch.randn(6, 400).bfloat16()
    q, scale = barrow.silu_mul_quant(x, torch.tensor(ends, dtype=torch.int32))
    assert (q.shape, scale.shape, scale.stride()) == ((6, 200), (6, 2), (1, 8))
    experts.judge_silu_mul_quant(q[:rows], scale[:rows], x[:rows])


@pytest.mark.parametrize("counts", [[0, 5, 2], [-1, 9, 5], None])
def test_silu_mul_quant_of_slabs(counts: list[int] | None) -> None:
    x = torch.randn(3, 7, 400).bfloat16()[:, 1:6]
    groups = None if counts is None else torch.tensor(counts, dtype=torch.int32)
    q, scale = barrow.silu_mul_quant(x, groups)
    assert (q.shape, q.is_contiguous()) == ((3, 5, 200), True)
    assert (scale.shape, scale.stride()) == ((3, 5, 2), (16, 1, 8))
    for slab, count in enumerate(counts or [5] * 3):
        rows = min(max(count, 0), 5)
        experts.judge_silu_mul_quant(q[slab, :rows], scale[slab, :rows], x[slab, :rows])


@given(
    tokens=st.integers(0, 6),
    top_k=st.integers(0, 9),
    rows=st.integers(0, 20),
    n=st.integers(0, 20),
    seed=st.integers(0, 99),
)
def test_unpermute(tokens: int, top_k: int, rows: int, n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn((rows, n + 1), generator=generator).bfloat16()[:, :n]
    # Twice as many, so that some lie beyond y, and -1.
    positions = torch.randint(-1, 2 * rows + 1, (top_k, tokens), generator=generator).int().T
    weights = torch.rand((tokens, 2 * top_k), generator=generator)[:, ::2]
    out = barrow.moe_unpermute(y, positions, weights)
    assert out.is_contiguous()
    assert reference.same_bits(out, experts.unpermute(y, positions, weights))


def test_unpermute_keeps_what_is_not_finite() -> None:
    y = torch.tensor([[math.inf, math.nan, 1.0], [-math.inf, 1.0, 3.4e38]]).bfloat16()
    out = barrow.moe_unpermute(y, torch.tensor([[0, 1]], dtype=torch.int32), torch.tensor([[1.0, 2.0]]))
    assert reference.same_bits(out, torch.tensor([[math.nan, math.nan, math.inf]]).bfloat16())
    # A row that is left out does not turn a sum into NaN by a product with zero.
    out = barrow.moe_unpermute(y, torch.tensor([[-1, -1]], dtype=torch.int32), torch.zeros(1, 2))
    assert reference.same_bits(out, torch.zeros(1, 3).bfloat16())


def layer(x: Tensor, ids: Tensor, weights: Tensor, max_m: int | None, num_experts: int = 5) -> Tensor:
    """A layer whose experts multiply by what tells them apart."""
    groups, positions = barrow.moe_sort(ids, num_experts, max_m=max_m)
    rows = ids.numel() if max_m is None else num_experts * max_m
    q, scale = barrow.moe_permute_quant(x, positions, rows)
    row = torch.arange(rows)
    expert = torch.searchsorted(groups, row.int(), right=True) if max_m is None else row // max_m
    y = reference.dequantize(q, scale, 1).nan_to_num() * (expert[:, None] + 1)
    return barrow.moe_unpermute(y.bfloat16(), positions, weights)


@pytest.mark.parametrize("max_m", [None, 20])
def test_rows_find_their_way_to_their_experts_and_back(max_m: int | None) -> None:
    # Integers that neither format rounds.
    x = torch.randint(-4, 5, (11, 200)).float()
    x[:, ::128] = 448.0
    ids = torch.randint(0, 5, (11, 3))
    wanted = x * (ids + 1).sum(1, keepdim=True)
    assert torch.equal(layer(x, ids, torch.ones(11, 3), max_m), wanted.bfloat16())
