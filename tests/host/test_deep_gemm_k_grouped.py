"""`barrow.deep_gemm` over groups of K: weight gradients of experts, added to what is there."""

from typing import Any

import pytest
import torch
from reference import integer_problem, product
from torch import Tensor

import barrow.deep_gemm as deep_gemm

M, N = 72, 136
Pair = tuple[Tensor, Tensor]


def problem(ks: list[int]) -> tuple[Pair, Pair, Tensor]:
    """Operands with K-major groups one after another, and [G, M, N] products in float64."""
    problems = [integer_problem(M, N, k, seed=group, b_rows=1) for group, k in enumerate(ks)]
    a = torch.cat([p.a.flatten() for p in problems]), torch.cat([p.a_scale for p in problems], 1)
    b = torch.cat([p.b.flatten() for p in problems]), torch.cat([p.b_scale for p in problems], 1)
    return a, b, torch.stack([product(p) for p in problems])


def by_rows(pair: Pair, ks: list[int], rows: int) -> Pair:
    """The same operand as [sum of ks, rows], and its scales as [sum of ks / 128, rows]."""
    groups = pair[0].split([rows * k for k in ks])
    parts = [group.view(rows, k).T for group, k in zip(groups, ks, strict=True)]
    return torch.cat(parts).contiguous(), pair[1].T.contiguous()


@pytest.mark.parametrize("which", ["d itself", "its own"])
@pytest.mark.parametrize("layout", ["nt", "tn"])
@pytest.mark.parametrize("ks", [[128], [256, 0, 128, 640], [0, 0, 128], [128, 0], [0, 0], [100, 0, 300, 1]], ids=str)
def test_products_are_added(ks: list[int], layout: str, which: str) -> None:
    a, b, products = problem(ks)
    c = torch.randint(-300, 300, products.shape).float()
    expected = (products + c.double()).float()
    d = c if which == "d itself" else torch.full_like(c, float("nan"))
    if layout == "tn":
        a, b = by_rows(a, ks, M), by_rows(b, ks, N)
    else:
        # DeepGEMM's tests pass scales of columns as a transposed view.
        a = a[0], a[1].T.contiguous().T
    function = getattr(deep_gemm, f"k_grouped_fp8_gemm_{layout}_contiguous")
    function(a, b, d, ks, torch.tensor(ks, dtype=torch.int32), c, recipe=(1, 1, 128), use_psum_layout=False)
    assert torch.equal(d, expected)


def test_empty_matrices() -> None:
    p = integer_problem(0, N, 128, b_rows=1)
    d = torch.zeros(1, 0, N)
    told = torch.tensor([128], dtype=torch.int32)
    deep_gemm.k_grouped_fp8_gemm_nt_contiguous((p.a, p.a_scale), (p.b, p.b_scale), d, [128], told, d)
    deep_gemm.k_grouped_fp8_gemm_tn_contiguous(
        (p.a.T, p.a_scale.T), (p.b.T.contiguous(), p.b_scale.T), d, [128], told, d
    )


D = torch.zeros(2, M, N)


@pytest.mark.parametrize("layout", ["nt", "tn"])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"a": torch.ones(M * 384)}, NotImplementedError, "a is a Tensor but needs to be a pair of tensors"),
        ({"recipe": (1, 1, 32)}, NotImplementedError, "recipe is (1, 1, 32) but barrow has (1, 1, 128); quantize"),
        ({"epilogue": object()}, NotImplementedError, "epilogue is not supported"),
        ({"use_psum_layout": True}, NotImplementedError, "use_psum_layout is for Blackwell"),
        ({"ks_cpu": None}, RuntimeError, "ks_cpu is None but needs the K of each group"),
        ({"ks_cpu": []}, RuntimeError, "ks_cpu is [] but needs the K of each group"),
        ({"ks_cpu": 384}, RuntimeError, "ks_cpu is 384 but needs the K of each group"),
        ({"ks_cpu": [256, None]}, RuntimeError, "ks_cpu is [256, None] but needs the K of each group"),
        ({"ks_cpu": [-128, 512]}, RuntimeError, "ks_cpu is [-128, 512] but needs the K of each group, 0 or more"),
        ({"ks_cpu": [256, 0, 128]}, RuntimeError, "grouped_layout is torch.int32 of shape [2] but needs int32 of"),
        ({"grouped_layout": torch.zeros(2)}, RuntimeError, "grouped_layout is torch.float32"),
        ({"grouped_layout": None}, RuntimeError, "grouped_layout is a NoneType but needs to be a tensor"),
        ({"d": D.bfloat16()}, RuntimeError, "d is torch.bfloat16 but needs float32"),
        ({"d": D[0], "c": D[0]}, RuntimeError, "out has shape [72, 136] but needs [G, M, N] with G = 2"),
        ({"d": D[:1], "c": D[:1]}, RuntimeError, "out has shape [1, 72, 136] but needs [G, M, N] with G = 2"),
        ({"d": (D, D)}, NotImplementedError, "d is no tensor"),
        ({"c": None}, RuntimeError, "c is a NoneType but needs to be a tensor"),
        ({"recipe": 1}, RuntimeError, "recipe is 1 but needs to be 3 whole numbers; pass (1, 1, 128)"),
        ({"c": D[:1]}, RuntimeError, "c is torch.float32 of shape [1, 72, 136]"),
        ({"c": D.double()}, RuntimeError, "c is torch.float64"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:30],
)
def test_what_is_refused(change: dict[str, Any], error: type[Exception], message: str, layout: str) -> None:
    ks = [256, 128]
    a, b, _ = problem(ks)
    if layout == "tn":
        a, b = by_rows(a, ks, M), by_rows(b, ks, N)
    arguments = {"a": a, "b": b, "d": D, "ks_cpu": ks, "grouped_layout": torch.zeros(2, dtype=torch.int32), "c": D}
    with pytest.raises(error) as caught:
        getattr(deep_gemm, f"k_grouped_fp8_gemm_{layout}_contiguous")(**{**arguments, **change})
    assert message in str(caught.value)
    assert str(caught.value).startswith("barrow")
    assert isinstance(caught.value, NotImplementedError) == (error is NotImplementedError)


def test_d_is_written_only_if_all_is_right() -> None:
    a, b, products = problem([256, 128])
    d, c = torch.full(products.shape, 7.0), torch.zeros(products.shape)
    told = torch.tensor([256, 128], dtype=torch.int32)
    with pytest.raises(RuntimeError, match="a_scale has shape"):
        deep_gemm.k_grouped_fp8_gemm_nt_contiguous((a[0], a[1][:, :1]), b, d, [256, 128], told, c)
    with pytest.raises(RuntimeError, match=r"a has 27648 elements and strides .1. but needs M . sum.ks. = 36864"):
        deep_gemm.k_grouped_fp8_gemm_nt_contiguous(a, b, d, [256, 256], told, c)
    assert (d == 7).all()


@pytest.mark.parametrize("layout", ["nt", "tn"])
@pytest.mark.parametrize("name", ["a", "the scales of a", "b", "the scales of b", "c", "d"])
def test_what_requires_grad_is_refused_before_d_is_written(name: str, layout: str) -> None:
    ks = [256, 128]
    a, b, products = problem(ks)
    if layout == "tn":
        a, b = by_rows(a, ks, M), by_rows(b, ks, N)
    d, c = torch.full(products.shape, 7.0), torch.zeros(products.shape)
    tensors = dict(zip(("a", "the scales of a", "b", "the scales of b", "c", "d"), (*a, *b, c, d), strict=True))
    tensors[name].requires_grad_()
    told = torch.tensor(ks, dtype=torch.int32)
    function = getattr(deep_gemm, f"k_grouped_fp8_gemm_{layout}_contiguous")
    with pytest.raises(RuntimeError, match=rf"deep_gemm\.{function.__name__}: {name} requires grad.*torch\.no_grad"):
        function(a, b, d, ks, told, c)
    assert (d == 7).all()
    assert d.grad_fn is None
    with torch.no_grad():
        function(a, b, d, ks, told, c)
    assert torch.equal(d, products.float())


def test_it_compiles() -> None:
    torch.compiler.reset()

    def step(a: Pair, b: Pair, d: Tensor, ks: list[int], c: Tensor) -> Tensor:
        deep_gemm.k_grouped_fp8_gemm_nt_contiguous(a, b, d, ks, torch.tensor(ks, dtype=torch.int32), c)
        return d + 1

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    # The second time with sizes that are symbolic.
    for ks in ([256, 128], [128, 384], [384, 256]):
        a, b, products = problem(ks)
        out = compiled(a, b, torch.empty(products.shape), ks, torch.ones(products.shape))
        assert torch.equal(out, (products + 2).float())
    d = torch.full(products.shape, 7.0)
    with pytest.raises(RuntimeError, match=r"k_grouped_fp8_gemm_nt: a_scale has shape .* pass one scale per row"):
        compiled((a[0], a[1][:, :1].contiguous()), b, d, ks, torch.ones(products.shape))
    assert (d == 7).all()


def test_rows_of_k_are_one_matrix() -> None:
    ks = [256, 128]
    a, b, products = problem(ks)
    told, d = torch.tensor(ks, dtype=torch.int32), torch.zeros(products.shape)
    with pytest.raises(
        RuntimeError, match=r"tn_contiguous: a has shape .27648. and strides .1. but needs to be a contiguous"
    ):
        deep_gemm.k_grouped_fp8_gemm_tn_contiguous(a, by_rows(b, ks, N), d, ks, told, d)
    b_of_rows, scale = by_rows(b, ks, N)
    b_of_columns = b_of_rows.T.contiguous().T
    with pytest.raises(RuntimeError, match=r"tn_contiguous: b has shape .384, 136. and strides .1, 384. but needs"):
        deep_gemm.k_grouped_fp8_gemm_tn_contiguous(by_rows(a, ks, M), (b_of_columns, scale), d, ks, told, d)
