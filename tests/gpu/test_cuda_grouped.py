"""Grouped GEMM on the GPU: every kernel and layout exact in every bit, nothing written that is no group's."""

import itertools
import random
import re
from collections.abc import Callable

import pytest
import torch
from exact import OUT_LAYOUTS, SCALE_LAYOUTS
from gemm_kernels import Kernel, grouped_kernels
from grouped import KINDS, UNTOUCHED, GroupedCase, grouped_expected, grouped_fault, grouped_operands
from grouped_problem import TOLD, Grouped, Told, grouped_problem
from judge import judge
from reference import BLOCK, Problem, random_problem

import barrow
from barrow.ops import check_groups

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
    """Sizes around the tile and its parts, empty groups, one giant, none, many groups; layouts take turns."""
    m, n, part = kernel.block_m, kernel.block_n, kernel.part_rows
    drawn = random.Random(m * n)
    sizes = [
        (1,),
        (0, 1, m - 1, m, m + 1, 0, 7),
        (0, 0, 3 * m + 5, 0),
        (part - 1, part, part + 1, m + part, m + part + 1),
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
        GroupedCase(tuple(9_000 if i == 37 else i % 41 // 40 for i in range(300)), 2 * n, BLOCK + 16),
        GroupedCase(tuple(i % 7 for i in range(300)), n + 8, BLOCK, "indices", 4),
        GroupedCase((0,) * 300, n, BLOCK, spare=5),
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


@by_kernel
@pytest.mark.parametrize("name", TOLD)
def test_whatever_is_told(name: str, grouped: Kernel, device: torch.device) -> None:
    """Exact for every kernel, and nothing written that is no group's, with numbers that contradict each other too."""
    told = TOLD[name]
    for n, k, rows_adjacent in ((72, 208, True), (130, 300, False)):
        p = grouped_problem(told.total_rows(5), n, k, 5, device)
        a, a_scale, *others = told.operands(p)
        if rows_adjacent:
            padded = torch.nn.functional.pad(a_scale, (0, 0, 0, -told.rows % 4), value=float("nan"))
            a_scale = padded.mT.contiguous().mT[..., : told.rows, :]
        guard = torch.full((a.shape[:-1].numel() + 2, n), UNTOUCHED, device=device, dtype=torch.bfloat16)
        out = guard[1:-1].view(*a.shape[:-1], n)
        kind, index = KINDS.index(told.kind), grouped.index
        torch.ops.barrow.m_grouped_fp8_gemm_nt_with(a, a_scale, *others, kind, told.alignment, 0, index, out=out)
        assert told.wrong_rows(out, p, UNTOUCHED) == []
        assert (guard[[0, -1]] == UNTOUCHED).all()


@by_kernel
@pytest.mark.parametrize("where", ["one for all", "within each other's rows", "far apart"])
def test_slabs_and_matrices_in_any_place(where: str, grouped: Kernel, device: torch.device) -> None:
    """As maps see them: strides between slabs of zero, less than those between rows, and past 2^32 bytes."""
    told, n, k = TOLD["counts"], 72, 208

    def placed(x: torch.Tensor) -> torch.Tensor:
        count, rows, columns = x.shape
        if where == "one for all":
            return x[:1].expand(x.shape)
        if where == "within each other's rows":
            return x.view(torch.uint8).transpose(0, 1).contiguous().transpose(0, 1).view(x.dtype)
        pitch = 2**30 + 16
        storage = torch.empty((count - 1) * pitch + rows * columns, dtype=torch.uint8, device=device)
        far = storage.as_strided(x.shape, (pitch, columns, 1))
        far.copy_(x.view(torch.uint8))
        return far.view(x.dtype)

    plain = grouped_problem(told.total_rows(5), n, k, 5, device)
    a, a_scale, b, b_scale, numbers = told.operands(plain)
    a, b = placed(a), placed(b)
    if where == "one for all":
        a_scale, b_scale = a_scale[:1].expand(a_scale.shape), b_scale[:1].expand(b_scale.shape)
    p = Grouped(a.reshape(-1, k), a_scale.reshape(-1, a_scale.shape[2]), b, b_scale)
    out = torch.full((5, told.rows, n), UNTOUCHED, device=device, dtype=torch.bfloat16)
    if where == "within each other's rows":
        out = out.transpose(0, 1).contiguous().transpose(0, 1)
    torch.ops.barrow.m_grouped_fp8_gemm_nt_with(a, a_scale, b, b_scale, numbers, 2, 1, 0, grouped.index, out=out)
    assert told.wrong_rows(out, p, UNTOUCHED) == []


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
    shape, sizes = (264, 520), [(40, 10, 0, 30), (0, 61, 19, 0), (80, 0, 0, 0), (0, 0, 0, 80)]
    x, *others = (grouped_operands(GroupedCase(each, *shape), device, seed) for seed, each in enumerate(sizes))
    x.run()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x.run()
    for other in (*others, others[0]):
        for name in ("a", "a_scale", "b", "b_scale", "groups"):
            getattr(x, name).copy_(getattr(other, name))
        graph.replay()
        assert torch.equal(x.out, grouped_expected(other))


def test_the_host_never_waits(device: torch.device) -> None:
    calls = [grouped_operands(GroupedCase((40, 0, 30), 72, 200, kind), device) for kind in KINDS]
    for x in calls:
        x.run()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for x in calls:
            x.run()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _by_function(told: Told, p: Grouped, out: torch.Tensor) -> None:
    args = told.operands(p)
    if told.kind == "ends":
        barrow.m_grouped_fp8_gemm_nt(*args, alignment=told.alignment, out=out)
    elif told.kind == "indices":
        barrow.m_grouped_fp8_gemm_nt_indexed(*args, alignment=told.alignment, out=out)
    else:
        barrow.m_grouped_fp8_gemm_nt_masked(*args, out=out)


@pytest.mark.parametrize("name", TOLD)
def test_the_debug_mode_tells_what_is_wrong(name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of each is tested on the CPU; here, that a GPU's groups are read, and before anything is written."""
    told, n = TOLD[name], 72
    p = grouped_problem(told.total_rows(5), n, 200, 5, device)
    out = torch.full((told.total_rows(5), n), UNTOUCHED, device=device, dtype=torch.bfloat16)
    shaped = out.view(5, told.rows, n) if told.kind == "counts" else out
    checks: dict[str, Callable[[torch.Tensor], None]] = {
        "ends": lambda numbers: check_groups.check_group_ends(numbers, told.rows, told.alignment),
        "indices": lambda numbers: check_groups.check_m_indices(numbers, 5, told.alignment),
        "counts": lambda numbers: check_groups.check_masked_m(numbers, told.rows),
    }
    monkeypatch.setattr("barrow.ops.grouped._CHECK_GROUPS", True)
    try:
        checks[told.kind](torch.tensor(told.numbers))
    except RuntimeError as wrong:
        with pytest.raises(RuntimeError, match=re.escape(str(wrong))):
            _by_function(told, p, shaped)
        assert (out == UNTOUCHED).all()
    else:
        _by_function(told, p, shaped)
        assert told.wrong_rows(out, p, UNTOUCHED) == []


def test_the_debug_mode_cannot_look_into_a_capture(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    told = TOLD["ends"]
    p = grouped_problem(told.rows, 72, 200, 5, device)
    args = told.operands(p)
    out = torch.full((told.rows, 72), UNTOUCHED, device=device, dtype=torch.bfloat16)
    barrow.m_grouped_fp8_gemm_nt(*args, out=out)
    torch.cuda.synchronize()
    monkeypatch.setattr("barrow.ops.grouped._CHECK_GROUPS", True)
    with (
        pytest.raises(
            RuntimeError, match=r"cannot be checked while a CUDA graph is captured.*unset BARROW_CHECK_GROUPS"
        ),
        torch.cuda.graph(torch.cuda.CUDAGraph()),
    ):
        barrow.m_grouped_fp8_gemm_nt(*args, out=out)
    barrow.m_grouped_fp8_gemm_nt(*args, out=out)
    assert told.wrong_rows(out, p, UNTOUCHED) == []


def test_every_grouped_kernel_is_listed() -> None:
    assert GROUPED, "this barrow has no grouped kernels"
