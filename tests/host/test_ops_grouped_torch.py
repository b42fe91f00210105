"""Grouped GEMMs inside torch: opcheck, meta tensors, torch.compile with dynamic M, autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
from compiles_once import check_compiles_once
from torch import Tensor

import barrow

OPS = torch.ops.barrow
N, K, GROUPS = 200, 300, 3
KINDS = ("ends", "indices", "counts")

Arguments = tuple[Any, ...]


def arguments(kind: str, m: int, n: int = N, k: int = K) -> Arguments:
    """Arguments of the operator with rows for every group, so that no row of a new result is undefined."""
    rows = m * GROUPS if kind == "counts" else m
    p = reference.random_problem(rows, n, k)
    others = [reference.random_problem(0, n, k, seed=group) for group in range(GROUPS)]
    b, b_scale = torch.stack([q.b for q in others]), torch.stack([q.b_scale for q in others])
    a, a_scale = p.a, p.a_scale
    if kind == "counts":
        a, a_scale = a.view(GROUPS, m, k), a_scale.view(GROUPS, m, reference.blocks(k))
    groups = {"ends": [m // 3, m // 3, m], "indices": [2] * m, "counts": [m] * GROUPS}[kind]
    return a, a_scale, b, b_scale, torch.tensor(groups, dtype=torch.int32), KINDS.index(kind), 1, 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "n", "k"), [(33, 129, 300), (1, 1, 1), (0, 5, 7), (5, 0, 7), (5, 6, 0)])
def test_opcheck(kind: str, m: int, n: int, k: int) -> None:
    args = arguments(kind, m, n, k)
    reference.opcheck(OPS.m_grouped_fp8_gemm_nt.default, args)
    out = torch.zeros((*args[0].shape[:-1], n), dtype=torch.bfloat16)
    reference.opcheck(OPS.m_grouped_fp8_gemm_nt.out, args, {"out": out})
    reference.opcheck(OPS.checked_groups.default, (*args, None))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "n", "k"), [(33, 129, 300), (1, 1, 1), (0, 5, 7), (5, 0, 7), (5, 6, 0)])
def test_meta_tensors_have_the_shapes_dtypes_and_strides_of_real_ones(kind: str, m: int, n: int, k: int) -> None:
    args = arguments(kind, m, n, k)
    real = OPS.m_grouped_fp8_gemm_nt.default(*args)
    meta = OPS.m_grouped_fp8_gemm_nt.default(*(x.to("meta") if isinstance(x, Tensor) else x for x in args))
    assert meta.device.type == "meta"
    assert (meta.shape, meta.dtype, meta.stride()) == (real.shape, real.dtype, real.stride())


def functions(kind: str) -> Callable[..., Tensor]:
    found: dict[str, Callable[..., Tensor]] = {
        "ends": barrow.m_grouped_fp8_gemm_nt,
        "indices": barrow.m_grouped_fp8_gemm_nt_indexed,
        "counts": barrow.m_grouped_fp8_gemm_nt_masked,
    }
    return found[kind]


NAMES = ("a", "a_scale", "b", "b_scale", "groups")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NAMES[1:], "out"])
def test_one_meta_tensor_among_real_ones(kind: str, name: str) -> None:
    args = dict(zip(NAMES, arguments(kind, 4), strict=False))
    args["out"] = torch.empty((*args["a"].shape[:-1], N), dtype=torch.bfloat16)
    args[name] = args[name].to("meta")
    with pytest.raises(RuntimeError, match=f"{name} is on meta but a is on cpu; pass all tensors on one device"):
        functions(kind)(*(args[each] for each in NAMES), out=args["out"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a_scale", "b_scale", "out"])
def test_what_requires_grad_is_refused(kind: str, name: str) -> None:
    args = dict(zip(NAMES, arguments(kind, 4), strict=False))
    args["out"] = torch.empty((*args["a"].shape[:-1], N), dtype=torch.bfloat16)
    args[name].requires_grad_()

    def call() -> Tensor:
        return functions(kind)(*(args[each] for each in NAMES), out=args["out"])

    with pytest.raises(RuntimeError, match=rf"barrow.m_grouped_fp8_gemm_nt: {name} requires grad.*torch.no_grad\(\)"):
        call()
    with torch.no_grad():
        assert call() is args["out"]


def by_ends(x: Tensor, b: Tensor, b_scale: Tensor) -> Tensor:
    a, a_scale = barrow.per_token_group_quant_fp8(x * 2)
    ends = torch.tensor([1, 1, 2], dtype=torch.int32) * (x.shape[0] // 2) + x.shape[0] % 2
    return barrow.m_grouped_fp8_gemm_nt(a, a_scale, b, b_scale, ends).relu()


def by_indices(x: Tensor, b: Tensor, b_scale: Tensor) -> Tensor:
    a, a_scale = barrow.per_token_group_quant_fp8(x * 2)
    indices = torch.arange(x.shape[0], dtype=torch.int32) % GROUPS
    return barrow.m_grouped_fp8_gemm_nt_indexed(a, a_scale, b, b_scale, indices, alignment=1).relu()


def by_counts(x: Tensor, b: Tensor, b_scale: Tensor) -> Tensor:
    a, a_scale = barrow.per_token_group_quant_fp8(x * 2)
    a, a_scale = a.expand(GROUPS, -1, -1), a_scale.expand(GROUPS, -1, -1)
    out = torch.ones((GROUPS, x.shape[0], b.shape[1]), dtype=torch.bfloat16)
    counts = torch.tensor([0, 1, 2], dtype=torch.int32)
    barrow.m_grouped_fp8_gemm_nt_masked(a, a_scale, b, b_scale, counts, expected_m=1 + x.shape[0] // 2, out=out)
    return out + 1


@pytest.mark.parametrize("function", [by_ends, by_indices, by_counts])
@pytest.mark.parametrize("backend", ["inductor", "aot_eager"])
def test_compile_fullgraph_with_dynamic_m_compiles_once(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], backend: str
) -> None:
    _, _, b, b_scale, *_ = arguments("ends", 0)
    check_compiles_once(function, backend, K, b, b_scale)
