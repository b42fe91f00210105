"""Products that are added to a float32 result, on the CPU: `accumulate` of the GEMM, and the K-grouped one."""

from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
from refusal import misaligned, refused
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

import barrow

M, N = 5, 130
KS = {
    "whole blocks": (128, 384, 256),
    "no whole blocks": (1, 127, 129, 300),
    "empty groups": (0, 200, 0, 0, 128, 0),
    "all empty": (0, 0, 0),
    "one": (640,),
    "none": (),
}


def before(*shape: int) -> Tensor:
    """Integers, so that sums stay exact."""
    return torch.randint(-99, 100, shape, generator=torch.Generator().manual_seed(7)).float()


@pytest.mark.parametrize("b_rows", [1, 128])
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (5, 130, 300), (129, 7, 128), (0, 3, 5), (3, 0, 5)])
def test_accumulate_adds_to_out(m: int, n: int, k: int, b_rows: int) -> None:
    p = reference.integer_problem(m, n, k, b_rows=b_rows)
    wide = before(m, n + 3)
    kept, out = wide.clone(), wide[:, 1 : n + 1]
    for times in (1, 2):
        assert barrow.fp8_gemm_nt(*p.args, out=out, accumulate=True) is out
        assert torch.equal(out, (kept[:, 1 : n + 1].double() + times * reference.product(p)).float())
    assert torch.equal(wide[:, :1], kept[:, :1])
    assert torch.equal(wide[:, n + 1 :], kept[:, n + 1 :])


def test_accumulate_of_nothing_leaves_out_alone() -> None:
    p = reference.integer_problem(3, 4, 0)
    out = before(3, 4)
    kept = out.clone()
    barrow.fp8_gemm_nt(*p.args, out=out, accumulate=True)
    assert torch.equal(out, kept)
    barrow.fp8_gemm_nt(*p.args, out=out)
    assert (out == 0).all()


def test_accumulate_is_refused_where_it_would_round_or_be_lost() -> None:
    p = reference.integer_problem(3, 4, 5)
    out = torch.full((3, 4), 7.0, dtype=torch.bfloat16)
    refused(
        lambda: barrow.fp8_gemm_nt(*p.args, out=out, accumulate=True),
        "barrow.fp8_gemm_nt: out is bfloat16 but with accumulate needs float32; pass a float32 out",
    )
    assert (out == 7).all()
    refused(
        lambda: barrow.fp8_gemm_nt(*p.args, out_dtype=torch.float32, accumulate=True),
        "barrow.fp8_gemm_nt: accumulate is True but out is None; pass the tensor to add to",
    )


Arguments = dict[str, Any]


def problems(ks: tuple[int, ...], make: Callable[..., reference.Problem]) -> list[reference.Problem]:
    return [make(M, N, k, seed=group, b_rows=1) for group, k in enumerate(ks)]


def side_by_side(parts: list[reference.Problem]) -> Arguments:
    """Arguments for all products; a group without elements, put first, adds to none of the operands."""
    a, a_scale, b, b_scale = reference.groups_of_k(problems((0,), reference.integer_problem) + parts)
    ks = tuple(p.a.shape[1] for p in parts)
    return {"a": a, "a_scale": a_scale, "b": b, "b_scale": b_scale, "ks": ks, "out": before(len(parts), M, N)}


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda x: x,
    "rows adjacent": lambda x: x.T.contiguous().T,
    "in a wider tensor": lambda x: torch.nn.functional.pad(x, (3, 2, 1, 1), value=float("nan"))[1:-1, 3:-2],
    "every other": lambda x: torch.stack([x, x * 0], -1)[..., 0],
}


@pytest.mark.parametrize("ks", KS)
@pytest.mark.parametrize("of_scales", LAYOUTS)
def test_every_group_is_added_to_its_matrix(ks: str, of_scales: str) -> None:
    parts = problems(KS[ks], reference.integer_problem)
    arguments = side_by_side(parts)
    for name in ("a_scale", "b_scale"):
        arguments[name] = LAYOUTS[of_scales](arguments[name])
    wide = torch.full((len(parts), M + 1, N + 2), 7.0)
    out = wide[:, :M, 1:-1].copy_(arguments["out"])
    assert barrow.k_grouped_fp8_gemm_nt(**{**arguments, "out": out}) is out
    for group, p in enumerate(parts):
        assert torch.equal(out[group], (arguments["out"][group].double() + reference.product(p)).float())
    out.fill_(7)
    assert (wide == 7).all()


def test_random_data_by_element_and_tile() -> None:
    parts = problems((300, 0, 1000, 128), reference.random_problem)
    arguments = side_by_side(parts)
    arguments["out"] = torch.zeros(len(parts), M, N)
    for got, p in zip(barrow.k_grouped_fp8_gemm_nt(**arguments), parts, strict=True):
        reference.judge(got, p)


def test_empty_dimensions() -> None:
    arguments = side_by_side(problems((300, 5), reference.integer_problem))
    of_m = {"a": arguments["a"][:0], "a_scale": arguments["a_scale"][:0], "out": torch.zeros(2, 0, N)}
    of_n = {"b": arguments["b"][:0], "b_scale": arguments["b_scale"][:0], "out": torch.zeros(2, M, 0)}
    for empty in (of_m, of_n, of_m | of_n | {"out": torch.zeros(2, 0, 0)}):
        assert barrow.k_grouped_fp8_gemm_nt(**{**arguments, **empty}) is empty["out"]


def test_rows_of_all_groups_may_take_turns() -> None:
    parts = problems((300, 0, 128), reference.integer_problem)
    arguments = side_by_side(parts)
    out = torch.zeros(M, 3, N).transpose(0, 1)
    barrow.k_grouped_fp8_gemm_nt(**{**arguments, "out": out})
    for group, p in enumerate(parts):
        assert torch.equal(out[group], reference.product(p).float())


def right() -> Arguments:
    return side_by_side(problems((300, 0, 128), reference.integer_problem))


BAD: list[tuple[Callable[[Arguments], Arguments], str]] = [
    (lambda x: {"out": x["out"][0]}, "out has shape [5, 130] but needs [G, M, N] with G = 3, the length of ks"),
    (lambda x: {"out": x["out"][:2]}, "out has shape [2, 5, 130] but needs [G, M, N] with G = 3"),
    (lambda x: {"ks": (429, 0, -1)}, "ks has -1 but needs to be at least 0 throughout; pass the K of every group"),
    (lambda x: {"ks": (300, 0, 256)}, "a has 2140 elements and strides [1] but needs M * sum(ks) = 2780, contiguous"),
    (lambda x: {"a": x["a"][1:]}, "a has 2139 elements and strides [1] but needs M * sum(ks) = 2140, contiguous"),
    (lambda x: {"a": torch.stack([x["a"]] * 2, 1)[:, 0]}, "a has 2140 elements and strides [2] but needs"),
    (lambda x: {"b": x["b"][:-1]}, "b has 55639 elements and strides [1] but needs N * sum(ks) = 55640, contiguous"),
    (lambda x: {"a_scale": x["a_scale"].T}, "a_scale has shape [4, 5] but needs [M, S] = [5, 4]; pass one scale per"),
    (lambda x: {"b_scale": x["b_scale"][:, :3]}, "b_scale has shape [130, 3] but needs [N, S] = [130, 4]"),
    (lambda x: {"out": x["out"][None]}, "out has shape [1, 3, 5, 130] but needs [G, M, N] with G = 3"),
    (lambda x: {"a_scale": x["a_scale"][None]}, "a_scale has shape [1, 5, 4] but needs [M, S] = [5, 4]"),
    (lambda x: {"ks": (300, 2**31, 128)}, "ks has 2147483648 but at most 2147483647 can be addressed; split the group"),
    (lambda x: {"a": x["a"].view(torch.float8_e5m2)}, "a has dtype float8_e5m2 but needs float8_e4m3fn; quantize it"),
    (lambda x: {"b": x["b"].float()}, "b has dtype float32 but needs float8_e4m3fn; quantize it with"),
    (lambda x: {"a_scale": x["a_scale"].double()}, "a_scale has dtype float64 but needs float32; pass the scales as"),
    (lambda x: {"b_scale": misaligned(N, 4)}, "b_scale starts at address"),
    (lambda x: {"out": x["out"].bfloat16()}, "out has dtype bfloat16 but needs float32; round the sum afterwards"),
    (lambda x: {"out": x["out"].mT.contiguous().mT}, "out has stride 5 along its last dimension but needs 1; pass an"),
    (lambda x: {"a_scale": x["out"][0, :, :4]}, "out overlaps a_scale in memory"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_a_bad_argument_is_named(change: Callable[[Arguments], Arguments], message: str) -> None:
    arguments = right()
    kept = arguments["out"].clone()
    refused(
        lambda: barrow.k_grouped_fp8_gemm_nt(**{**arguments, **change(arguments)}),
        f"barrow.k_grouped_fp8_gemm_nt: {message}",
    )
    assert torch.equal(arguments["out"], kept)


OVERLAPPING: dict[str, Callable[[Tensor], Tensor]] = {
    "expanded rows": lambda out: out[:, :1].expand(3, M, N),
    "expanded groups": lambda out: out[:1].expand(3, M, N),
    "groups that begin in others": lambda out: out.as_strided((3, M, N), (N, N, 1)),
    "groups that take too few turns": lambda out: out.as_strided((3, M, N), (N, 2 * N, 1)),
}


@pytest.mark.parametrize("make", OVERLAPPING)
def test_rows_that_overlap_are_refused(make: str) -> None:
    arguments = right()
    arguments["out"] = OVERLAPPING[make](arguments["out"])
    refused(
        lambda: barrow.k_grouped_fp8_gemm_nt(**arguments),
        "barrow.k_grouped_fp8_gemm_nt: out has strides [",
        "which let its rows overlap one another; pass an out that was not expanded",
    )


@pytest.mark.parametrize("name", ["a_scale", "b_scale", "out"])
def test_what_requires_grad_is_refused(name: str) -> None:
    arguments = right()
    arguments[name].requires_grad_()
    with pytest.raises(RuntimeError, match=rf"{name} requires grad.*torch.no_grad\(\)"):
        barrow.k_grouped_fp8_gemm_nt(**arguments)
    with torch.no_grad():
        barrow.k_grouped_fp8_gemm_nt(**arguments)


def test_the_accumulating_operator_inside_torch() -> None:
    p = reference.random_problem(9, 20, 300)
    reference.opcheck(torch.ops.barrow.fp8_gemm_nt.out, p.args, {"accumulate": True, "out": before(9, 20)})


def test_the_k_grouped_operator_inside_torch() -> None:
    names = ("a", "a_scale", "b", "b_scale", "ks")
    operands = tuple(right()[name] for name in names)
    reference.opcheck(torch.ops.barrow.k_grouped_fp8_gemm_nt.default, operands, {"out": right()["out"]})
    compiled = torch.compile(barrow.k_grouped_fp8_gemm_nt, fullgraph=True, backend="aot_eager")
    arguments = right()
    wanted = barrow.k_grouped_fp8_gemm_nt(**{**arguments, "out": arguments["out"].clone()})
    compiled(**arguments)
    assert torch.equal(arguments["out"], wanted)
    metas: Arguments = {name: x.to("meta") if isinstance(x, Tensor) else x for name, x in arguments.items()}
    assert barrow.k_grouped_fp8_gemm_nt(**metas) is metas["out"]


def test_other_sizes_of_k_are_compiled_once_more_and_then_never_again() -> None:
    torch.compiler.reset()
    counted = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(barrow.k_grouped_fp8_gemm_nt, fullgraph=True, backend=counted)
    for ks in ((300, 128), (5, 700), (130, 257), (1, 999)):
        parts = problems(ks, reference.integer_problem)
        arguments = side_by_side(parts)
        kept = arguments["out"].clone()
        compiled(**arguments)
        assert torch.equal(arguments["out"], kept + torch.stack([reference.product(p) for p in parts]).float())
    assert counted.frame_count == 2


@pytest.mark.parametrize("name", ["a_scale", "b", "b_scale", "out"])
def test_one_meta_tensor_among_real_ones(name: str) -> None:
    arguments = right()
    arguments[name] = arguments[name].to("meta")
    with pytest.raises(RuntimeError, match=f"{name} is on meta but a is on cpu; pass all tensors on one device"):
        barrow.k_grouped_fp8_gemm_nt(**arguments)
