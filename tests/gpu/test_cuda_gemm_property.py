"""Any shape in any memory layout gives the exact result, through the operator and through any kernel."""

from dataclasses import replace

import torch
from exact import OUT_LAYOUTS, SCALE_LAYOUTS, Case, expected, fault, operands
from gemm_kernels import of_kind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import barrow

# Small sizes by themselves, and sizes near the multiples of tiles and scale blocks.
sizes = st.one_of(
    st.integers(0, 40),
    st.builds(lambda blocks, off: blocks * 64 + off, st.integers(1, 12), st.integers(-3, 3)),
    st.sampled_from([1000, 1536, 2111, 2112]),
)
pads = st.one_of(st.just(0), st.integers(0, 40), st.sampled_from([16, 128, 1024]))
offsets = st.one_of(st.just(0), st.integers(0, 17))

cases = st.builds(
    Case,
    m=sizes,
    n=sizes,
    k=sizes,
    a_pad=pads,
    a_offset=offsets,
    b_pad=pads,
    b_offset=offsets,
    a_scale=st.sampled_from(SCALE_LAYOUTS),
    b_scale=st.sampled_from(SCALE_LAYOUTS),
    out=st.sampled_from(OUT_LAYOUTS),
)
dtypes = st.sampled_from([torch.bfloat16, torch.float32])

# A `device` outlives every example, and times on a GPU say nothing of a test's cost.
relaxed = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@relaxed
@given(case=cases, dtype=dtypes, seed=st.integers(0, 2**32 - 1))
def test_the_operator(case: Case, dtype: torch.dtype, seed: int, device: torch.device) -> None:
    x = operands(case, dtype, device, seed)
    barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out)
    want = expected(x)
    assert (found := fault(x, want)) is None, found
    fresh = barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out_dtype=dtype)
    assert fresh.is_contiguous()
    assert torch.equal(fresh, want)


@st.composite
def kernel_indices(draw: DrawFn) -> tuple[torch.dtype, bool, int]:
    dtype, row_scales_b = draw(dtypes), draw(st.booleans())
    return dtype, row_scales_b, draw(st.integers(0, len(of_kind(dtype, row_scales_b)) - 1))


@relaxed
@given(case=cases, pick=kernel_indices(), seed=st.integers(0, 2**32 - 1))
def test_any_kernel(case: Case, pick: tuple[torch.dtype, bool, int], seed: int, device: torch.device) -> None:
    dtype, row_scales_b, position = pick
    kernel = of_kind(dtype, row_scales_b)[position]
    x = operands(replace(case, row_scales_b=row_scales_b), dtype, device, seed)
    kernel.run(x)
    assert (found := fault(x, expected(x))) is None, f"{kernel.name}: {found}"


@relaxed
@given(
    m=st.integers(2, 300),
    n=st.integers(2, 300),
    k=st.integers(1, 300),
    step=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_rows_that_repeat_or_overlap(m: int, n: int, k: int, step: int, seed: int, device: torch.device) -> None:
    """`expand` and windows over one buffer are legal inputs: rows `step` bytes apart, less than K."""
    step = min(step, k)
    x = operands(Case(m, n, k), torch.float32, device, seed)
    buffer = operands(Case(1, 1, (max(m, n) - 1) * step + k), torch.float32, device, seed + 1).a.flatten()
    a, b = (buffer.as_strided((rows, k), (step, 1)) for rows in (m, n))
    out = barrow.fp8_gemm_nt(a, x.a_scale, b, x.b_scale, out_dtype=torch.float32)
    want = barrow.fp8_gemm_nt(a.contiguous(), x.a_scale, b.contiguous(), x.b_scale, out_dtype=torch.float32)
    assert torch.equal(out, want)
