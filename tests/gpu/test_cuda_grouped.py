"""Grouped GEMM on the GPU: every kernel and layout exact in every bit, nothing written that is no group's."""

import itertools
import random

import pytest
import torch
from exact import OUT_LAYOUTS, SCALE_LAYOUTS
from gemm_kernels import Kernel, grouped_kernels
from grouped import KINDS, GroupedCase, grouped_expected, grouped_fault, grouped_operands
from judge import judge
from reference import BLOCK, Problem, random_problem

import barrow

GROUPED = grouped_kernels()
by_kernel = pytest.mark.parametrize("grouped", GROUPED, ids=[kernel.name for kernel in GROUPED])


def _faults(kernel: Kernel, cases: list[GroupedCase], device: torch.device) -> str:
    faults = []
    for seed, case in enumerate(cases):
        x = grouped_operands(case, device, seed)
        x.run(kernel.index)
        if found := grouped_fault(x, grouped_expected(x)):
            faults.append(f"{case}: {found}")
    return f"{len(faults)} of {len(cases)} wrong\n" + "\n".join(faults[:12]) if faults else ""


def edge_cases(kernel: Kernel) -> list[GroupedCase]:
    """Sizes around the tile, empty groups, one giant, none at all, more groups than lanes; layouts take turns."""
    m, n = kernel.block_m, kernel.block_n
    drawn = random.Random(m * n)
    sizes = [
        (1,),
        (0, 1, m - 1, m, m + 1, 0, 7),
        (0, 0, 3 * m + 5, 0),
        (3, 2 * m + 1, 5, 1, 0, m + 3),
        (0, 0, 0),
        tuple(drawn.randint(0, 9) for _ in range(70)),
        tuple(drawn.choice((0, 0, 1, m, 2 * m + 3)) for _ in range(33)),
    ]
    ns = [1, 8, n - 1, n, n + 1, BLOCK + 8, 2 * n + 24]
    ring = BLOCK * kernel.stages
    ks = [1, 16, BLOCK - 1, BLOCK, 2 * BLOCK + 48, ring, 2 * ring + BLOCK + 16, 131]
    pads = [(0, 0, 0), (16, 0, 0), (5, 0, 3), (0, 1, 0), (3, 7, 16)]
    cases: list[GroupedCase] = []
    for i, (size, kind, alignment) in enumerate(itertools.product(sizes, KINDS, (1, 4, 16, BLOCK))):
        if kind == "counts" and alignment > 1:
            continue
        for _ in range(3):
            turn = len(cases)
            a_pad, a_offset, b_pad = pads[turn // 5 % 5]
            cases.append(
                GroupedCase(
                    size,
                    ns[turn % 7],
                    ks[(turn + i) % 8],
                    kind,
                    alignment,
                    (0, 1, 13)[turn % 3],
                    a_pad,
                    a_offset,
                    b_pad,
                    SCALE_LAYOUTS[turn // 2 % 7],
                    OUT_LAYOUTS[turn // 3 % 3],
                )
            )
    return cases


@by_kernel
def test_edges_of_groups(grouped: Kernel, device: torch.device) -> None:
    faults = _faults(grouped, edge_cases(grouped), device)
    assert not faults, faults


@by_kernel
def test_more_tiles_than_sms(grouped: Kernel, device: torch.device) -> None:
    m, n = grouped.block_m, grouped.block_n
    k = BLOCK * grouped.stages + 16
    cases = [
        GroupedCase((2 * m + 1, 0, 3, m), 40 * n + 8, k),
        GroupedCase((150 * m + 3, 5, 130 * m), n + 8, k, "indices", BLOCK),
        GroupedCase(tuple(range(1, 300)), 2 * n, 2 * BLOCK, "counts"),
        GroupedCase(tuple(i % 40 for i in range(300)), n + 16, 3 * BLOCK),
    ]
    faults = _faults(grouped, cases, device)
    assert not faults, faults


def test_what_the_caller_tells_wrongly_touches_no_foreign_memory(device: torch.device) -> None:
    """Counts and ends out of range are clamped, descending ends are empty groups, indices of no group are left out."""
    x = grouped_operands(GroupedCase((5, 9, 3), 72, 200, "counts", spare=2), device)
    x.groups.copy_(torch.tensor([-4, 2**31 - 1, 3]))
    x.run()
    rows = {0: 0, 1: x.out.shape[1], 2: 3}
    for group, count in rows.items():
        p = Problem(x.a[group], x.a_scale[group], x.b[group], x.b_scale[group])
        want = barrow.fp8_gemm_nt(*p.args)
        assert torch.equal(x.out[group, :count], want[:count])
        assert (x.out[group, count:] == 77).all()
    x = grouped_operands(GroupedCase((5, 9, 3), 72, 200, "ends", spare=4), device)
    x.groups.copy_(torch.tensor([9, 4, 10**9]))
    x.run()
    for group, first, end in ((0, 0, 9), (2, 4, 21)):
        p = Problem(x.a[first:end], x.a_scale[first:end], x.b[group], x.b_scale[group])
        want = barrow.fp8_gemm_nt(*p.args)
        # Rows that two groups claim may have either's result.
        sole = slice(0, 4) if group == 0 else slice(9, 21)
        assert torch.equal(x.out[sole], want[sole.start - first : sole.stop - first])
    x = grouped_operands(GroupedCase((128, 128), 72, 200, "indices", alignment=128), device)
    x.groups[:128] = 2
    x.groups[128:] = -(2**31)
    x.run()
    assert (x.out == 77).all()


@pytest.mark.parametrize("kind", KINDS)
def test_random_data_by_tile(kind: str, device: torch.device) -> None:
    sizes = (300, 0, 1, 70, 515, 12)
    case = GroupedCase(sizes, 520, 1000, kind, BLOCK if kind == "indices" else 1)  # type: ignore[arg-type]
    x = grouped_operands(case, device)
    for group, slab, first, end in x.runs:
        p = random_problem(end - first, case.n, case.k, seed=group, device=device)
        a, scale = (x.a[slab], x.a_scale[slab]) if kind == "counts" else (x.a, x.a_scale)
        a[first:end], scale[first:end], x.b[group], x.b_scale[group] = p.args
    for kernel in GROUPED:
        x.out.fill_(float("nan"))
        x.run(kernel.index)
        for group, slab, first, end in x.runs:
            if first == end:
                continue
            p = random_problem(end - first, case.n, case.k, seed=group, device=device)
            verdict = judge((x.out[slab] if kind == "counts" else x.out)[first:end], p)
            assert verdict.sound, f"{kernel.name}, group {group}: {verdict}"


def test_a_row_has_the_same_bits_wherever_it_lies(device: torch.device) -> None:
    p = random_problem(200, 264, 1500, device=device)
    b, b_scale = p.b[None].repeat(3, 1, 1), p.b_scale[None].repeat(3, 1, 1)
    alone, *others = (
        barrow.m_grouped_fp8_gemm_nt(p.a, p.a_scale, b, b_scale, torch.tensor(ends, dtype=torch.int32, device=device))
        for ends in ([200, 200, 200], [1, 2, 200], [67, 130, 200], [0, 0, 200])
    )
    for out in others:
        assert torch.equal(out, alone)


def test_a_graph_is_replayed_with_other_groups(device: torch.device) -> None:
    x = grouped_operands(GroupedCase((40, 10, 0, 30), 264, 520), device)
    y = grouped_operands(GroupedCase((0, 61, 19, 0), 264, 520), device)
    x.run()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x.run()
    for source in (y, x, y):
        for target, value in ((x.a, source.a), (x.a_scale, source.a_scale), (x.b, source.b)):
            target.copy_(value.clone())
        x.b_scale.copy_(source.b_scale.clone())
        x.groups.copy_(source.groups.clone())
        graph.replay()
        assert torch.equal(x.out, grouped_expected(source)) or source is x


def test_every_grouped_kernel_is_listed() -> None:
    assert GROUPED, "this barrow has no grouped kernels"
