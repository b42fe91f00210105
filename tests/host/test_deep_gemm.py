"""`barrow.deep_gemm` against the reference: every layout and recipe, accumulation, and what it refuses."""

from typing import Any

import pytest
import reference
import torch
from torch import Tensor

import barrow.deep_gemm as deep_gemm

M, N, K = 5, 200, 300
DTYPES = (torch.bfloat16, torch.float32)
Pair = tuple[Tensor, Tensor]


def problem(b_rows: int = 128) -> tuple[Pair, Pair, reference.Problem]:
    p = reference.integer_problem(M, N, K, b_rows=b_rows)
    return (p.a, p.a_scale), (p.b, p.b_scale), p


def transposed(pair: Pair) -> Pair:
    return pair[0].T, pair[1].T


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", ["fp8", "fp8_fp4"])
@pytest.mark.parametrize("layout", ["nt", "nn", "tn", "tt"])
@pytest.mark.parametrize(
    ("b_rows", "recipe"),
    [
        (128, {}),
        (128, {"recipe": (1, 128, 128)}),
        (128, {"recipe_a": (1, 128), "recipe_b": (128, 128)}),
        (1, {"recipe": [1, 1, 128]}),
        (1, {"recipe_a": (1, 128), "recipe_b": (1, 128)}),
    ],
)
def test_layouts_and_recipes(dtype: torch.dtype, family: str, layout: str, b_rows: int, recipe: dict[str, Any]) -> None:
    a, b, p = problem(b_rows)
    d = torch.full((M, N), float("nan"), dtype=dtype)
    a = a if layout[0] == "n" else transposed(a)
    b = b if layout[1] == "t" else transposed(b)
    getattr(deep_gemm, f"{family}_gemm_{layout}")(a, b, d, **recipe, disable_ue8m0_cast=True, compiled_dims="nk")
    reference.assert_exact(d, p)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("which", ["d itself", "its own", "one row", "one column"])
def test_accumulation(dtype: torch.dtype, which: str) -> None:
    a, b, p = problem()
    shape = {"one row": (1, N), "one column": (M, 1)}.get(which, (M, N))
    c = torch.randint(-300, 300, shape).to(dtype)
    d = c if which == "d itself" else torch.full((M, N), float("nan"), dtype=dtype)
    # In float32, then rounded once: bfloat16 of the product alone would lose bits.
    expected = (reference.product(p) + c.double()).float().to(dtype)
    deep_gemm.fp8_gemm_nt(a, b, d, c=c)
    assert torch.equal(d, expected)


@pytest.mark.parametrize("shape", [(0, N, K), (M, 0, K), (M, N, 0)], ids=str)
def test_empty_problems(shape: tuple[int, int, int]) -> None:
    p = reference.integer_problem(*shape)
    d, c = torch.full(shape[:2], float("nan")), torch.ones(shape[:2])
    deep_gemm.fp8_gemm_nt((p.a, p.a_scale), (p.b, p.b_scale), d, c=c)
    assert torch.equal(d, c)
    deep_gemm.fp8_gemm_nt((p.a, p.a_scale), (p.b, p.b_scale), d)
    assert torch.equal(d, torch.zeros_like(d))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"c": torch.ones(M, N)}, RuntimeError, "c has dtype torch.float32 but d has torch.bfloat16"),
        ({"c": torch.ones(M + 1, N).bfloat16()}, RuntimeError, "c has shape [6, 200] but d has [5, 200]"),
        (
            {"d": torch.ones(N, M).bfloat16(), "c": torch.ones(M, N).bfloat16()},
            RuntimeError,
            "shape [200, 5] but needs",
        ),
        ({"d": torch.ones(M, N).half(), "c": torch.ones(M, N).half()}, RuntimeError, "d is torch.float16 of shape"),
        ({"d": torch.ones(M, N).half()}, RuntimeError, "out has dtype float16"),
        ({"d": (torch.ones(M, N), torch.ones(1))}, NotImplementedError, "d is no tensor"),
        ({"a": torch.ones(M, K)}, NotImplementedError, "a is a Tensor but needs to be a pair of tensors"),
        (
            {"b": (torch.zeros(N, K).to(torch.float8_e4m3fn), torch.ones(()))},
            RuntimeError,
            "b_scale has 0 dimensions but needs 2",
        ),
        ({"b": [torch.ones(N, K), None]}, NotImplementedError, "b is a list but needs to be a pair of tensors"),
        ({"alpha": 2.0}, NotImplementedError, "alpha is not supported; apply it to the result"),
        ({"epilogue": object()}, NotImplementedError, "epilogue is not supported"),
        ({"c": 3}, RuntimeError, "c is a int but needs to be a tensor"),
        ({"recipe": (1, 32, 32)}, NotImplementedError, "recipe is (1, 32, 32) but barrow has (1, 128, 128)"),
        ({"recipe": 1}, RuntimeError, "recipe is 1 but needs to be 3 whole numbers; pass (1, 128, 128)"),
        ({"recipe": (1, 128)}, RuntimeError, "recipe is (1, 128) but needs to be 3 whole numbers"),
        (
            {"recipe_a": (1,), "recipe_b": (128,)},
            RuntimeError,
            "recipe_a is (1,) but needs to be 2 whole numbers; pass (1, 128)",
        ),
        ({"recipe_a": (1, 128), "recipe_b": 128}, RuntimeError, "recipe_b is 128 but needs to be 2 whole numbers"),
        (
            {"recipe_a": (1, 128), "recipe_b": (1, 32)},
            NotImplementedError,
            "recipe is (1, 128, 1, 32) but barrow has",
        ),
        ({"recipe": (1, 1, 128)}, RuntimeError, "the scales of b have 2 rows but recipe (1, 1, 128) needs 200"),
        ({"recipe_a": (1, 128)}, RuntimeError, "pass recipe, or both recipe_a and recipe_b"),
        ({"recipe": (1, 1, 128), "recipe_a": (1, 128), "recipe_b": (1, 128)}, RuntimeError, "pass recipe, or both"),
        (
            {"a": (torch.zeros(M, K // 2, dtype=torch.int8), torch.ones(M, 3))},
            NotImplementedError,
            "a has dtype torch.int8 but barrow multiplies float8_e4m3fn only",
        ),
        (
            {"b": (torch.zeros(N, K).to(torch.float8_e4m3fn), torch.ones(2, 1, dtype=torch.int32))},
            NotImplementedError,
            "the scales of b have dtype torch.int32 but Hopper takes float32",
        ),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:30],
)
def test_what_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    a, b, _ = problem()
    arguments = {"a": a, "b": b, "d": torch.zeros(M, N).bfloat16(), **change}
    with pytest.raises(error) as caught:
        deep_gemm.fp8_gemm_nt(**arguments)
    assert message in str(caught.value)
    assert str(caught.value).startswith("barrow")
    assert isinstance(caught.value, NotImplementedError) == (error is NotImplementedError)


@pytest.mark.parametrize("name", ["a", "the scales of a", "b", "the scales of b", "c", "d"])
def test_with_an_accumulator_what_requires_grad_is_refused_first(name: str) -> None:
    a, b, p = problem()
    d, c = torch.full((M, N), 7.0), torch.zeros(M, N)
    tensors = dict(zip(("a", "the scales of a", "b", "the scales of b", "c", "d"), (*a, *b, c, d), strict=True))
    tensors[name].requires_grad_()
    with pytest.raises(RuntimeError, match=rf"deep_gemm\.fp8_gemm_nt: {name} requires grad.*torch\.no_grad"):
        deep_gemm.fp8_gemm_nt(a, b, d, c=c)
    assert (d == 7).all()
    assert d.grad_fn is None
    with torch.no_grad():
        deep_gemm.fp8_gemm_nt(a, b, d, c=c)
    reference.assert_exact(d, p)


def test_an_accumulator_may_share_memory_with_d() -> None:
    a, b, p = problem()
    memory = torch.arange(M * (N + 8) + 1).float()
    for c, d in (
        (memory[1 : M * N + 1].view(M, N), memory[: M * N].view(M, N)),
        (memory[:N][None], memory.as_strided((M, N), (N + 8, 1))),
    ):
        expected = (reference.product(p) + c.double()).float()
        deep_gemm.fp8_gemm_nt(a, b, d, c=c)
        assert torch.equal(d, expected)


@pytest.mark.parametrize("which", ["none", "d itself", "its own"])
def test_it_compiles(which: str) -> None:
    a, b, p = problem()
    c = {"none": None, "d itself": None, "its own": torch.ones(M, N)}[which]

    def step(d: Tensor) -> Tensor:
        deep_gemm.fp8_gemm_nt(a, b, d, c=d if which == "d itself" else c)
        return d + 1

    out = torch.compile(step, fullgraph=True, backend="aot_eager")(torch.ones(M, N))
    assert torch.equal(out, (reference.product(p) + (1 if which == "none" else 2)).float())


def test_operands_must_be_k_major_whatever_the_layout() -> None:
    a, (b, b_scale), _ = problem()
    d = torch.zeros(M, N)
    with pytest.raises(RuntimeError, match=r"fp8_gemm_nn: b has stride 200 along K but needs 1.*b\.mT\.contiguous"):
        deep_gemm.fp8_gemm_nn(a, (b.T.contiguous(), b_scale.T), d)
    with pytest.raises(RuntimeError, match="fp8_gemm_tt: a has 3 dimensions"):
        deep_gemm.fp8_gemm_tt((a[0][None], a[1]), (b, b_scale), d)


def test_all_names_exist_and_the_rest_of_deep_gemm_says_what_to_use() -> None:
    for module in (deep_gemm, deep_gemm.utils, deep_gemm.testing):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
    with pytest.raises(
        NotImplementedError, match=r"m_grouped_bf16_gemm_nt_masked: barrow has FP8 GEMM only; use torch"
    ):
        deep_gemm.m_grouped_bf16_gemm_nt_masked(1, c=2)
    with pytest.raises(NotImplementedError, match=r"per_token_cast_to_fp4.*Hopper has no FP4"):
        deep_gemm.utils.per_token_cast_to_fp4()
    for module in (deep_gemm, deep_gemm.utils, deep_gemm.utils.math, deep_gemm.utils.layout):
        assert not hasattr(module, "no_such_function")
    # What is there must not be listed as missing.
    from barrow.deep_gemm.missing import ADVICE

    assert not {name for names in ADVICE.values() for name in names} & set(deep_gemm.__all__)
