"""`barrow.deep_gemm` over groups of rows: contiguous by indices and by prefix sums, masked, and what it refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from grouped_problem import grouped_problem
from torch import Tensor

import barrow.deep_gemm as deep_gemm

N, K = 136, 300
UNTOUCHED = -12345.0
# Alignment, and numbers of rows that a group has under it.
ALIGNED = [(128, (128, 0, 5, 129)), (4, (3, 4, 0, 9)), (1, (2, 0, 1, 7))]


@pytest.fixture(autouse=True)
def alignment() -> Iterator[None]:
    yield
    deep_gemm.set_mk_alignment_for_contiguous_layout(128)


def places(rows: tuple[int, ...], step: int) -> list[tuple[int, int, int]]:
    """First row, end, and end with padding of each group."""
    found, first = [], 0
    for number in rows:
        padded = first + -(-number // step) * step
        found.append((first, first + number, padded))
        first = padded
    return found


def untouched(*shape: int) -> Tensor:
    return torch.full(shape, UNTOUCHED, dtype=torch.bfloat16)


RECIPES: list[dict[str, Any]] = [{}, {"recipe": (1, 128, 128)}, {"recipe_a": (1, 128), "recipe_b": [128, 128]}]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("family", ["fp8", "fp8_fp4"])
@pytest.mark.parametrize("layout", ["nt", "nn"])
@pytest.mark.parametrize("psum", [False, True])
@pytest.mark.parametrize(("step", "rows"), ALIGNED)
def test_contiguous(
    step: int, rows: tuple[int, ...], psum: bool, layout: str, family: str, recipe: dict[str, Any]
) -> None:
    deep_gemm.set_mk_alignment_for_contiguous_layout(step)
    groups = places(rows, step)
    p = grouped_problem(groups[-1][2] + 2 * step, N, K, len(rows))
    m = p.a.shape[0]
    d, expected = untouched(m, N), untouched(m, N)
    told = torch.tensor([end for _, end, _ in groups], dtype=torch.int32)
    if not psum:
        told = torch.full((m,), -1, dtype=torch.int32)
    for group, (first, end, padded) in enumerate(groups):
        # By indices, padding behind a group is multiplied too.
        written = slice(first, end if psum else padded)
        expected[written] = p.products()[group, written].float().bfloat16()
        if not psum:
            told[first:end] = group
    b = (p.b, p.b_scale) if layout == "nt" else (p.b.mT, p.b_scale.mT)
    function = getattr(deep_gemm, f"m_grouped_{family}_gemm_{layout}_contiguous")
    function((p.a, p.a_scale), b, d, told, **recipe, use_psum_layout=psum, disable_ue8m0_cast=True)
    assert torch.equal(d, expected)


def test_groups_by_index_come_in_any_order() -> None:
    p = grouped_problem(5 * 128 + 3, N, K, 3)
    order = [2, 0, 3, 2, -7, 1]  # 3 is no group
    told = torch.tensor(order, dtype=torch.int32).repeat_interleave(128)[: p.a.shape[0]]
    d, expected = untouched(p.a.shape[0], N), untouched(p.a.shape[0], N)
    for block, group in enumerate(order):
        if 0 <= group < 3:
            written = slice(block * 128, (block + 1) * 128)
            expected[written] = p.products()[group, written].float().bfloat16()
    deep_gemm.m_grouped_fp8_gemm_nt_contiguous((p.a, p.a_scale), (p.b, p.b_scale), d, told)
    assert torch.equal(d, expected)


def test_prefix_sums_that_do_not_add_up() -> None:
    p = grouped_problem(40, N, K, 4)
    deep_gemm.set_mk_alignment_for_contiguous_layout(8)
    # The second group would end before it begins, the third beyond M; the fourth has nothing left.
    told = torch.tensor([10, 3, 1000, 7], dtype=torch.int32)
    d, products = untouched(40, N), p.products().float().bfloat16()
    deep_gemm.m_grouped_fp8_gemm_nt_contiguous((p.a, p.a_scale), (p.b, p.b_scale), d, told, use_psum_layout=True)
    # Rows 8 and 9 are in the first and in the third.
    assert torch.equal(d[:8], products[0, :8])
    assert torch.equal(d[10:], products[2, 10:])


@pytest.mark.parametrize(
    "name",
    ["m_grouped_fp8_gemm_nt_masked", "m_grouped_fp8_fp4_gemm_nt_masked", "fp8_m_grouped_gemm_nt_masked"],
)
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("expected_m", [1, 3, 100])
def test_masked(name: str, recipe: dict[str, Any], expected_m: int) -> None:
    max_m, counts = 6, [6, 0, 1, 9, -2]
    p = grouped_problem(len(counts) * max_m, N, K, len(counts))
    a, a_scale = p.a.view(-1, max_m, K), p.a_scale.view(-1, max_m, p.a_scale.shape[1])
    d, expected = untouched(len(counts), max_m, N), untouched(len(counts), max_m, N)
    for group, count in enumerate(counts):
        rows = min(max(count, 0), max_m)
        product = p.products()[group].view(-1, max_m, N)[group, :rows]
        expected[group, :rows] = product.float().bfloat16()
    told = torch.tensor(counts, dtype=torch.int32)
    getattr(deep_gemm, name)((a, a_scale), (p.b, p.b_scale), d, told, expected_m, **recipe)
    assert torch.equal(d, expected)


def test_names_of_deep_gemm_1() -> None:
    p = grouped_problem(256, N, K, 2)
    told = torch.tensor([1, 0], dtype=torch.int32).repeat_interleave(128)
    results = [untouched(256, N) for _ in range(2)]
    deep_gemm.m_grouped_gemm_fp8_fp8_bf16_nt_contiguous((p.a, p.a_scale), (p.b, p.b_scale), results[0], told)
    deep_gemm.m_grouped_fp8_gemm_nt_contiguous((p.a, p.a_scale), (p.b, p.b_scale), results[1], told)
    assert torch.equal(*results)
    a, counts = (p.a.view(2, 128, K), p.a_scale.view(2, 128, 3)), torch.tensor([128, 50], dtype=torch.int32)
    results = [untouched(2, 128, N) for _ in range(2)]
    deep_gemm.m_grouped_gemm_fp8_fp8_bf16_nt_masked(a, (p.b, p.b_scale), results[0], counts, 90)
    deep_gemm.m_grouped_fp8_gemm_nt_masked(a, (p.b, p.b_scale), results[1], counts, 90)
    assert torch.equal(*results)
    results = [untouched(256, N) for _ in range(2)]
    deep_gemm.gemm_fp8_fp8_bf16_nt((p.a, p.a_scale), (p.b[0], p.b_scale[0]), results[0])
    deep_gemm.fp8_gemm_nt((p.a, p.a_scale), (p.b[0], p.b_scale[0]), results[1])
    assert torch.equal(*results)
    assert deep_gemm.get_col_major_tma_aligned_tensor(p.a_scale[:5]).stride() == (1, 8)


def test_it_compiles() -> None:
    p = grouped_problem(256, N, K, 2)
    ends = torch.tensor([100, 250], dtype=torch.int32)

    def step(d: Tensor) -> Tensor:
        deep_gemm.m_grouped_fp8_gemm_nt_contiguous((p.a, p.a_scale), (p.b, p.b_scale), d, ends, use_psum_layout=True)
        return d + 0

    expected = step(untouched(256, N))
    assert torch.equal(torch.compile(step, fullgraph=True, backend="aot_eager")(untouched(256, N)), expected)


E4M3 = torch.float8_e4m3fn
BY_INDEX = torch.zeros(8, dtype=torch.int32)
BY_GROUP = torch.zeros(2, dtype=torch.int32)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"a": torch.ones(8, K)}, NotImplementedError, "a is a Tensor but needs to be a pair of tensors"),
        ({"b": (torch.ones(2, N, K), torch.ones(2, 2, 3))}, NotImplementedError, "b has dtype torch.float32"),
        (
            {"b": (torch.zeros(2, N, K).to(E4M3), torch.ones(2, 2, 1).int())},
            NotImplementedError,
            "the scales of b have dtype torch.int32",
        ),
        ({"d": (torch.ones(8, N), torch.ones(1))}, NotImplementedError, "d is no tensor"),
        ({"epilogue": object()}, NotImplementedError, "epilogue is not supported"),
        ({"recipe": (1, 1, 128)}, NotImplementedError, "recipe is (1, 1, 128) but barrow has (1, 128, 128);"),
        ({"recipe_a": (1, 128), "recipe_b": (1, 32)}, NotImplementedError, "recipe is (1, 128, 1, 32)"),
        ({"recipe_b": (128, 128)}, RuntimeError, "pass recipe, or both recipe_a and recipe_b"),
        ({"expected_m_for_psum_layout": 4}, RuntimeError, "expected_m_for_psum_layout is 4 without use_psum_layout"),
        ({"grouped_layout": None}, RuntimeError, "grouped_layout is a NoneType but needs to be a tensor"),
        ({"grouped_layout": BY_GROUP}, RuntimeError, "m_indices has 2 elements but needs 8"),
        ({"grouped_layout": BY_INDEX.long()}, RuntimeError, "m_indices has dtype int64"),
        ({"use_psum_layout": True}, RuntimeError, "group_ends has 8 elements but needs 2"),
        ({"grouped_layout": BY_INDEX.repeat(2)[::2]}, RuntimeError, "m_indices has stride 2"),
        ({"d": torch.zeros(8, N)}, RuntimeError, "out has dtype float32"),
        ({"d": torch.zeros(9, N).bfloat16()}, RuntimeError, "out has shape [9, 136] but needs [M, N] = [8, 136]"),
        ({"b": (torch.zeros(2, N, 200).to(E4M3), torch.ones(2, 2, 2))}, RuntimeError, "b has K = 200 but a has K"),
        ({"b": (torch.zeros(2, N, K).to(E4M3), torch.ones(2, N, 3))}, RuntimeError, "b_scale has shape"),
        ({"b": (torch.zeros(N, K).to(E4M3), torch.ones(2, 3))}, RuntimeError, "b has 2 dimensions but needs 3"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:30],
)
def test_what_contiguous_refuses(change: dict[str, Any], error: type[Exception], message: str) -> None:
    p = grouped_problem(8, N, K, 2)
    arguments = {"a": (p.a, p.a_scale), "b": (p.b, p.b_scale), "d": untouched(8, N), "grouped_layout": BY_INDEX}
    with pytest.raises(error) as caught:
        deep_gemm.m_grouped_fp8_gemm_nt_contiguous(**{**arguments, **change})
    assert message in str(caught.value)
    assert str(caught.value).startswith("barrow")
    assert isinstance(caught.value, NotImplementedError) == (error is NotImplementedError)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"expected_m": 0}, RuntimeError, "expected_m is 0 but needs to be at least 1"),
        ({"expected_m": None}, RuntimeError, "expected_m is None but needs to be at least 1"),
        ({"expected_m": "4"}, RuntimeError, "expected_m is '4' but needs to be at least 1"),
        ({"masked_m": None}, RuntimeError, "masked_m is a NoneType but needs to be a tensor"),
        ({"masked_m": BY_INDEX}, RuntimeError, "masked_m has 8 elements but needs 2"),
        ({"masked_m": BY_GROUP.bool()}, RuntimeError, "masked_m has dtype bool"),
        ({"d": untouched(8, N)}, RuntimeError, "out has 2 dimensions but needs 3"),
        ({"d": [untouched(8, N)]}, NotImplementedError, "d is no tensor"),
        ({"epilogue": object()}, NotImplementedError, "epilogue is not supported"),
        ({"recipe": (1, 32, 32)}, NotImplementedError, "recipe is (1, 32, 32)"),
        (
            {"a": (torch.zeros(3, 4, K).to(E4M3), torch.ones(3, 4, 3))},
            RuntimeError,
            "a has 3 slabs but b has 2 matrices",
        ),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:30],
)
def test_what_masked_refuses(change: dict[str, Any], error: type[Exception], message: str) -> None:
    p = grouped_problem(8, N, K, 2)
    arguments = {
        "a": (p.a.view(2, 4, K), p.a_scale.view(2, 4, 3)),
        "b": (p.b, p.b_scale),
        "d": untouched(2, 4, N),
        "masked_m": BY_GROUP,
        "expected_m": 4,
    }
    with pytest.raises(error) as caught:
        deep_gemm.m_grouped_fp8_gemm_nt_masked(**{**arguments, **change})
    assert message in str(caught.value)
    assert isinstance(caught.value, NotImplementedError) == (error is NotImplementedError)


def test_matrices_of_b_must_be_k_major_whatever_the_layout() -> None:
    p = grouped_problem(8, N, K, 2)
    d = untouched(8, N)
    with pytest.raises(RuntimeError, match=r"nn_contiguous: b has stride 136 along K but needs 1.*b\.mT\.contiguous"):
        deep_gemm.m_grouped_fp8_gemm_nn_contiguous((p.a, p.a_scale), (p.b.mT.contiguous(), p.b_scale.mT), d, BY_INDEX)
    with pytest.raises(RuntimeError, match="nn_contiguous: b has 2 dimensions and its scales 3, but both need 3"):
        deep_gemm.m_grouped_fp8_gemm_nn_contiguous((p.a, p.a_scale), (p.b[0].T, p.b_scale.mT), d, BY_INDEX)
