"""The M-grouped GEMM on the CPU: exact integers for every layout of groups, random data by tile, strides, edges."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
from grouped_problem import KINDS, TOLD, Grouped, Kind, Told, grouped_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import barrow

GROUPS = 5
UNTOUCHED = -12345.0


def run(told: Told, a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, numbers: Tensor, **options: Any) -> Tensor:
    if told.kind == "counts":
        return barrow.m_grouped_fp8_gemm_nt_masked(a, a_scale, b, b_scale, numbers, **options)
    function = barrow.m_grouped_fp8_gemm_nt if told.kind == "ends" else barrow.m_grouped_fp8_gemm_nt_indexed
    return function(a, a_scale, b, b_scale, numbers, alignment=told.alignment, **options)


def problem(told: Told, n: int, k: int) -> Grouped:
    return grouped_problem(told.total_rows(GROUPS), n, k, GROUPS)


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize(("n", "k"), [(1, 1), (8, 128), (130, 300)])
def test_integers_come_out_exactly(name: str, n: int, k: int) -> None:
    told = TOLD[name]
    p = problem(told, n, k)
    args = told.operands(p)
    new = run(told, *args)
    assert (new.dtype, new.shape) == (torch.bfloat16, (*args[0].shape[:-1], n))
    assert new.is_contiguous()
    assert told.wrong_rows(new, p, None) == []
    out = torch.full_like(new, UNTOUCHED)
    assert run(told, *args, out=out) is out
    assert told.wrong_rows(out, p, UNTOUCHED) == []


@st.composite
def tellings(draw: st.DrawFn) -> Told:
    """Numbers of any kind, most of them sensible."""
    kind = draw(st.sampled_from(KINDS))
    rows, alignment = draw(st.integers(0, 40)), draw(st.sampled_from((1, 2, 4, 7, 128)))
    if kind == "indices":
        numbers = draw(st.lists(st.integers(-2, GROUPS), min_size=rows, max_size=rows))
    else:
        numbers = draw(st.lists(st.integers(-3, rows + 5), min_size=GROUPS, max_size=GROUPS))
        numbers = sorted(numbers) if kind == "ends" and draw(st.booleans()) else numbers
    return Told(kind, tuple(numbers), rows, 1 if kind == "counts" else alignment)


@given(told=tellings(), expected_m=st.none() | st.integers(0, 2**62))
@settings(max_examples=200)
def test_whatever_is_told(told: Told, expected_m: int | None) -> None:
    p = problem(told, 9, 130)
    args = told.operands(p)
    options: dict[str, Any] = {"expected_m": expected_m} if told.kind == "counts" else {}
    out = torch.full((*args[0].shape[:-1], 9), UNTOUCHED, dtype=torch.bfloat16)
    assert told.wrong_rows(run(told, *args, out=out, **options), p, UNTOUCHED) == []


@pytest.mark.parametrize("kind", KINDS)
def test_random_data_by_element_and_tile(kind: Kind) -> None:
    sizes, n, k = (200, 0, 1, 133), 264, 1000
    ends = [200, 256, 257, 517] if kind == "indices" else [200, 200, 201, 334]
    # Each group has a problem of its own, put where its rows lie; starts of rows, or of a slab.
    starts = {"ends": (0, 200, 200, 201), "indices": (0, 256, 256, 384), "counts": (0, 200, 400, 600)}[kind]
    rows = 4 * 200 if kind == "counts" else ends[-1]
    problems = [reference.random_problem(size, n, k, seed=size) for size in sizes]
    a, a_scale = torch.zeros(rows, k).to(reference.E4M3), torch.full((rows, reference.blocks(k)), math.nan)
    indices = [-1] * rows
    for group, (start, p) in enumerate(zip(starts, problems, strict=True)):
        a[start : start + sizes[group]], a_scale[start : start + sizes[group]] = p.a, p.a_scale
        indices[start : start + sizes[group]] = [group] * sizes[group]
    numbers = {"ends": tuple(ends), "indices": tuple(indices), "counts": sizes}[kind]
    told = Told(kind, numbers, 200 if kind == "counts" else rows, 128 if kind == "indices" else 1)
    b, b_scale = torch.stack([p.b for p in problems]), torch.stack([p.b_scale for p in problems])
    out = run(told, *told.operands(Grouped(a, a_scale, b, b_scale))).reshape(rows, n)
    for start, size, p in zip(starts, sizes, problems, strict=True):
        reference.judge(out[start : start + size], p)


def in_a_wider_tensor(x: Tensor) -> Tensor:
    """The same values with room around every row and slab."""
    wide = x.new_zeros([size + 3 for size in x.shape])
    view = wide[tuple(slice(1, size + 1) for size in x.shape)]
    view.copy_(x)
    return view


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda x: x,
    "in a wider tensor": in_a_wider_tensor,
    "one for all groups": lambda x: x[:1].expand(x.shape),
}
SCALE_LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    **LAYOUTS,
    "transposed": lambda x: x.mT.contiguous().mT,
    "every other": lambda x: torch.stack([x] * 2, -1)[..., 0],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("of_b", LAYOUTS)
@pytest.mark.parametrize("of_scales", SCALE_LAYOUTS)
def test_strides(kind: Kind, of_b: str, of_scales: str) -> None:
    told = {"ends": TOLD["ends"], "indices": TOLD["indices that nothing aligns"], "counts": TOLD["counts"]}[kind]
    plain = problem(told, 9, 300)
    a, a_scale, b, b_scale, numbers = told.operands(plain)
    lay_out = SCALE_LAYOUTS[of_scales]
    a, a_scale, b, b_scale = in_a_wider_tensor(a), lay_out(a_scale), LAYOUTS[of_b](b), lay_out(b_scale)
    p = Grouped(a.reshape(-1, 300), a_scale.reshape(-1, 3), b, b_scale)
    wide = torch.full([size + 4 for size in (*a.shape[:-1], 9)], UNTOUCHED, dtype=torch.bfloat16)
    out = wide[tuple(slice(2, size - 2) for size in wide.shape)]
    assert told.wrong_rows(run(told, a, a_scale, b, b_scale, numbers, out=out), p, UNTOUCHED) == []
    out.fill_(UNTOUCHED)
    assert (wide == UNTOUCHED).all()


def blank(told: Told, n: int, k: int, groups: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Operands of any size, 0 too, and an out."""
    rows, k_blocks = told.total_rows(groups), reference.blocks(k)
    p = Grouped(
        torch.zeros(rows, k).to(reference.E4M3),
        torch.ones(rows, k_blocks),
        torch.zeros(groups, n, k).to(reference.E4M3),
        torch.ones(groups, reference.blocks(n), k_blocks),
    )
    args = told.operands(p)
    return args, torch.full((*args[0].shape[:-1], n), UNTOUCHED, dtype=torch.bfloat16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "n", "k", "groups"), [(0, 3, 5, 2), (4, 0, 5, 2), (4, 3, 5, 0), (0, 0, 0, 0)])
def test_empty_dimensions(kind: Kind, m: int, n: int, k: int, groups: int) -> None:
    told = Told(kind, (0,) * (m if kind == "indices" else groups), m)
    args, out = blank(told, n, k, groups)
    assert run(told, *args).shape == out.shape
    assert (run(told, *args, out=out) == UNTOUCHED).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [0, 2])
def test_k_of_0_gives_zeros_throughout(kind: Kind, groups: int) -> None:
    told = Told(kind, (0,) * (4 if kind == "indices" else groups), 4)
    args, out = blank(told, 3, 0, groups)
    assert (run(told, *args) == 0).all()
    assert (run(told, *args, out=out) == 0).all()


def test_a_scale_that_is_nan_stays_in_its_group() -> None:
    told = TOLD["ends"]
    p = problem(told, 130, 300)
    clean = run(told, *told.operands(p))
    p.b_scale[3] = math.nan
    out = run(told, *told.operands(p))
    theirs = torch.tensor([3 in owners for owners in told.owners(GROUPS)])
    assert out[theirs].isnan().all()
    assert torch.equal(out[~theirs], clean[~theirs])
