"""The kernels around a grouped GEMM give what the CPU implementation does, and leave alone what they must not write."""

import math
from collections.abc import Callable

import experts
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import same_bits
from torch import Tensor

import barrow

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
POISON = 0x5A


def on_gpu(x: Tensor, device: torch.device) -> Tensor:
    """The same with its strides and what lies between its elements."""
    storage = x.as_strided((x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)
    return storage.to(device).as_strided(x.shape, x.stride(), x.storage_offset())


def on_poison(call: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Results that the allocator puts where every byte is POISON, for it hands out what was freed last."""
    sizes = [x.untyped_storage().nbytes() for x in call()]
    poison = [torch.full((size,), POISON, device="cuda", dtype=torch.uint8) for size in sizes]
    addresses = [x.data_ptr() for x in poison]
    del poison
    result = call()
    assert [x.data_ptr() for x in result] == addresses
    return result


def bits(x: Tensor) -> Tensor:
    """float8 or float32 as integers, which torch can index and compare."""
    return x.view(torch.uint8 if x.element_size() == 1 else torch.int32)


def untouched(x: Tensor) -> bool:
    """Every byte is still POISON."""
    return bool((bits(x) == int.from_bytes([POISON] * x.element_size(), "little")).all())


def check_sort(ids: Tensor, num_experts: int, max_m: int | None, device: torch.device) -> None:
    got = barrow.moe_sort(on_gpu(ids, device), num_experts, max_m=max_m)
    for mine, wanted in zip(got, barrow.moe_sort(ids, num_experts, max_m=max_m), strict=True):
        assert torch.equal(mine.cpu(), wanted)
        assert mine.stride() == wanted.stride()


@pytest.mark.parametrize("max_m", [None, 0, 3, 100])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize(
    ("tokens", "top_k", "num_experts"),
    [(0, 8, 256), (5, 0, 3), (1, 1, 1), (1, 8, 256), (4, 8, 32), (33, 3, 7), (128, 8, 256), (513, 8, 256),
     (600, 6, 320), (700, 9, 384), (1000, 8, 1024), (9000, 8, 160), (40, 64, 64)],
)  # fmt: skip
def test_sort(
    tokens: int, top_k: int, num_experts: int, dtype: torch.dtype, max_m: int | None, device: torch.device
) -> None:
    g = torch.Generator().manual_seed(tokens)
    # Some beyond all experts on either side, and, as in a mixture, experts that more tokens want than others.
    ids = torch.randint(-2, num_experts + 2, (tokens, top_k), generator=g)
    popular = torch.rand((tokens, top_k), generator=g) < 0.3
    ids[popular] = num_experts // 2
    check_sort(ids.to(dtype), num_experts, max_m, device)


@pytest.mark.parametrize("expert", [0, 255, 256, -1])
@pytest.mark.parametrize("tokens", [1, 37, 2000])
def test_sort_of_one_expert(tokens: int, expert: int, device: torch.device) -> None:
    for max_m in (None, 50):
        check_sort(torch.full((tokens, 8), expert), 256, max_m, device)


def test_sort_of_ids_beyond_32_bits(device: torch.device) -> None:
    ids = torch.tensor([[2**32, 2**32 + 1, 1], [-(2**32), -(2**63), 0], [2**63 - 1, 2, 3]])
    check_sort(ids, 4, None, device)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tokens=st.integers(0, 300),
    top_k=st.integers(0, 12),
    num_experts=st.integers(1, 1024),
    max_m=st.none() | st.integers(0, 40),
    layout=st.sampled_from(["contiguous", "wide", "transposed", "every other", "expanded"]),
    seed=st.integers(0, 2**31),
)
def test_sort_of_any_layout(
    tokens: int, top_k: int, num_experts: int, max_m: int | None, layout: str, seed: int, device: torch.device
) -> None:
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(-1, num_experts + 1, (tokens, 2 * top_k + 3), generator=g)
    if layout == "contiguous":
        ids = ids[:, :top_k].contiguous()
    elif layout == "wide":
        ids = ids[:, 1 : top_k + 1]
    elif layout == "transposed":
        ids = ids[:, :top_k].T.contiguous().T
    elif layout == "every other":
        ids = ids[:, : 2 * top_k : 2]
    else:
        ids = ids[:, :1].expand(tokens, top_k)
    check_sort(ids, num_experts, max_m, device)


def check_permute(x: Tensor, positions: Tensor, rows: int, device: torch.device, use_ue8m0: bool = False) -> None:
    """Named rows against the CPU's bits; all others, and the padding of the scales, are not written."""
    moved, moved_positions = on_gpu(x, device), on_gpu(positions, device)
    q, scale = on_poison(lambda: barrow.moe_permute_quant(moved, moved_positions, rows, use_ue8m0=use_ue8m0))
    wanted_q, wanted_scale = barrow.moe_permute_quant(x, positions, rows, use_ue8m0=use_ue8m0)
    assert (q.stride(), scale.stride()) == (wanted_q.stride(), wanted_scale.stride())
    named = torch.zeros(rows, dtype=torch.bool)
    named[positions[(positions >= 0) & (positions < rows)].long()] = True
    for mine, wanted in ((q, wanted_q), (scale, wanted_scale)):
        assert torch.equal(bits(mine).cpu()[named], bits(wanted)[named])
        assert untouched(bits(mine)[~named.to(device)])
    # Between the scales of one block of K and those of the next.
    padding = scale.as_strided((scale.shape[1] - 1, scale.stride(1) - rows), (scale.stride(1), 1), rows)
    assert untouched(padding)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("k", [1, 7, 8, 127, 128, 130, 1024, 1032, 7168])
@pytest.mark.parametrize(("tokens", "top_k", "num_experts"), [(1, 8, 256), (9, 3, 4), (64, 8, 32), (5, 40, 64)])
def test_permute(tokens: int, top_k: int, num_experts: int, k: int, dtype: torch.dtype, device: torch.device) -> None:
    g = torch.Generator().manual_seed(k)
    x = torch.randn((tokens, k), generator=g) * torch.exp2(torch.rand((tokens, 1), generator=g) * 40 - 20)
    ids = torch.randint(-1, num_experts, (tokens, top_k), generator=g)
    for max_m, rows in ((None, tokens * top_k), (6, num_experts * 6)):
        _, positions = barrow.moe_sort(ids, num_experts, max_m=max_m)
        check_permute(x.to(dtype), positions, rows, device)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.0, -0.0, 1e-40, 3e38])
def test_permute_of_special_values(value: float, device: torch.device) -> None:
    x = torch.randn(3, 300)
    x[0], x[1, 5] = value, value
    check_permute(x, torch.arange(6, dtype=torch.int32).view(3, 2), 6, device)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tokens=st.integers(1, 50),
    top_k=st.integers(1, 20),
    k=st.integers(1, 600),
    pad=st.integers(0, 20),
    offset=st.integers(0, 9),
    dtype=st.sampled_from(DTYPES),
    transposed=st.booleans(),
    use_ue8m0=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_permute_of_any_shape_and_stride(
    tokens: int,
    top_k: int,
    k: int,
    pad: int,
    offset: int,
    dtype: torch.dtype,
    transposed: bool,
    use_ue8m0: bool,
    seed: int,
    device: torch.device,
) -> None:
    g = torch.Generator().manual_seed(seed)
    storage = torch.full((offset + tokens * (k + pad),), float("inf"), dtype=dtype)
    x = storage.as_strided((tokens, k), (k + pad, 1), offset)
    x.copy_(torch.randn(tokens, k, generator=g))
    count = tokens * top_k
    # Every row once, and some positions on either side of all rows.
    positions = (torch.randperm(count, generator=g) - 1).int().view(tokens, top_k)
    if transposed:
        positions = positions.T.contiguous().T
    check_permute(x, positions, max(count - 3, 1), device, use_ue8m0)


def check_silu(x: Tensor, groups: list[int] | None, device: torch.device, use_ue8m0: bool = False) -> None:
    """By element against float64; scales close to the CPU's; rows that do not count are not written."""
    moved = on_gpu(x, device)
    told = None if groups is None else torch.tensor(groups, dtype=torch.int32)
    on_device = None if told is None else told.to(device)
    q, scale = on_poison(lambda: barrow.silu_mul_quant(moved, on_device, use_ue8m0=use_ue8m0))
    wanted_q, wanted_scale = barrow.silu_mul_quant(x, told, use_ue8m0=use_ue8m0)
    assert (q.shape, q.stride()) == (wanted_q.shape, wanted_q.stride())
    assert (scale.shape, scale.stride()) == (wanted_scale.shape, wanted_scale.stride())
    slabs = x if x.dim() == 3 else x[None]
    max_m = slabs.shape[1]
    counts = [max_m] * len(slabs) if groups is None else groups[-len(slabs) :]
    by_slab = (t.view(len(slabs), max_m, -1) if x.dim() == 2 else t for t in (q, scale, wanted_scale))
    for slab, (of_x, of_q, of_scale, of_wanted) in enumerate(zip(slabs, *by_slab, strict=True)):
        rows = min(max(counts[slab], 0), max_m)
        got_q, got_scale = of_q[:rows].cpu(), of_scale[:rows].cpu()
        experts.judge_silu_mul_quant(got_q, got_scale, of_x[:rows], use_ue8m0=use_ue8m0)
        if not use_ue8m0:
            torch.testing.assert_close(got_scale, of_wanted[:rows], rtol=2 * experts.PRODUCT_ERROR, atol=0)
        assert untouched(of_q[rows:])
        assert untouched(of_scale[rows:])


@pytest.mark.parametrize("i", [1, 7, 8, 127, 128, 136, 300, 2048])
@pytest.mark.parametrize("rows", [1, 3, 8, 9, 70])
def test_silu(rows: int, i: int, device: torch.device) -> None:
    x = (torch.randn((rows, 2 * i), generator=torch.Generator().manual_seed(i)) * 5).bfloat16()
    check_silu(x, None, device)
    for ends in ([0], [rows // 2, rows - 1], [5, rows + 9], [-3]):
        check_silu(x, ends, device)


@pytest.mark.parametrize("i", [1, 128, 136, 300])
@pytest.mark.parametrize("rows", [1, 9, 40])
def test_silu_of_slabs(rows: int, i: int, device: torch.device) -> None:
    x = (torch.randn((5, rows, 2 * i), generator=torch.Generator().manual_seed(i)) * 5).bfloat16()
    check_silu(x, None, device)
    check_silu(x, [0, rows, rows + 3, -1, rows // 2], device)


@pytest.mark.parametrize("size", [1e-37, 1e-20, 1.0, 1e19])
def test_silu_of_all_gates(size: float, device: torch.device) -> None:
    gates = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    values = torch.linspace(-size, size, 128).bfloat16().expand(512, 128)
    for order in (gates.view(512, 128), gates.view(128, 512).t()):
        check_silu(torch.cat([order, values], dim=1), None, device)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_silu_keeps_what_is_not_finite_as_nan(value: float, device: torch.device) -> None:
    x = torch.ones(2, 512, device=device, dtype=torch.bfloat16)
    x[0, 3], x[1, 256 + 7] = value, value
    q, scale = barrow.silu_mul_quant(x)
    assert q.float().isnan().nonzero().tolist() == [[0, 3], [1, 7]]
    assert scale.isfinite().all()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    slabs=st.integers(0, 4),
    rows=st.integers(1, 40),
    i=st.integers(1, 300),
    pad=st.integers(0, 20),
    offset=st.integers(0, 9),
    counts=st.none() | st.lists(st.integers(-2, 45), min_size=4, max_size=4),
    use_ue8m0=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_silu_of_any_shape_and_stride(
    slabs: int,
    rows: int,
    i: int,
    pad: int,
    offset: int,
    counts: list[int] | None,
    use_ue8m0: bool,
    seed: int,
    device: torch.device,
) -> None:
    pitch = 2 * i + pad
    shape, strides = ((slabs, rows, 2 * i), (rows * pitch + pad, pitch, 1)) if slabs else ((rows, 2 * i), (pitch, 1))
    storage = torch.full((offset + max(slabs, 1) * (rows * pitch + pad),), float("nan")).bfloat16()
    x = storage.as_strided(shape, strides, offset)
    x.copy_(torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3)
    check_silu(x, counts[: slabs or 4] if counts else None, device, use_ue8m0)


def check_unpermute(y: Tensor, positions: Tensor, weights: Tensor, device: torch.device) -> None:
    out = barrow.moe_unpermute(on_gpu(y, device), on_gpu(positions, device), on_gpu(weights, device))
    wanted = barrow.moe_unpermute(y, positions, weights)
    assert out.stride() == wanted.stride()
    assert same_bits(out.cpu(), wanted)


@pytest.mark.parametrize("n", [1, 7, 8, 127, 1024, 1032, 7168])
@pytest.mark.parametrize(("tokens", "top_k"), [(1, 8), (1, 1), (9, 3), (64, 8), (200, 9), (5, 40), (3, 0)])
def test_unpermute(tokens: int, top_k: int, n: int, device: torch.device) -> None:
    g = torch.Generator().manual_seed(n)
    rows = tokens * top_k + 2
    y = torch.randn((rows, n), generator=g).bfloat16()
    positions = torch.randint(-1, rows + 2, (tokens, top_k), generator=g).int()
    check_unpermute(y, positions, torch.rand((tokens, top_k), generator=g), device)


def test_unpermute_of_special_values(device: torch.device) -> None:
    y = torch.tensor([math.inf, -math.inf, math.nan, 3.38e38, -3.38e38, 0.0, -0.0, 1e-39]).bfloat16()
    y = torch.stack([y.roll(shift) for shift in range(8)])
    positions = torch.arange(8, dtype=torch.int32).repeat(64).view(64, 8)
    weights = torch.tensor([1.0, -1.0, 0.0, 2.0, 1e-38, 0.5, -0.0, 3.0]).repeat(64, 1)
    # Rows of one to eight summands, so that each special value is the last one somewhere.
    positions = positions.masked_fill(torch.arange(8) > torch.arange(64)[:, None] // 8, -1)
    check_unpermute(y, positions, weights, device)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tokens=st.integers(0, 50),
    top_k=st.integers(0, 20),
    n=st.integers(0, 600),
    rows=st.integers(0, 300),
    pad=st.integers(0, 20),
    offset=st.integers(0, 9),
    transposed=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_unpermute_of_any_shape_and_stride(
    tokens: int,
    top_k: int,
    n: int,
    rows: int,
    pad: int,
    offset: int,
    transposed: bool,
    seed: int,
    device: torch.device,
) -> None:
    g = torch.Generator().manual_seed(seed)
    storage = torch.full((offset + rows * (n + pad),), float("nan")).bfloat16()
    y = storage.as_strided((rows, n), (n + pad, 1), offset)
    y.copy_(torch.randn((rows, n), generator=g))
    positions = torch.randint(-1, rows + 1, (top_k, tokens), generator=g).int().T
    weights = torch.rand((tokens, top_k), generator=g)
    if not transposed:
        positions, weights = positions.contiguous(), weights.T.contiguous().T
    check_unpermute(y, positions, weights, device)
