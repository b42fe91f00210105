"""Products that are added to a float32 result: every kernel once and no more, and the K-grouped GEMM upon it."""

import pytest
import torch
from edges import edge_cases, wave_cases
from exact import (
    OUT_LAYOUTS,
    Case,
    Operands,
    ScaleLayout,
    expected,
    fault,
    laid_out_scale,
    operands,
    touched_guard,
    wrong_values,
)
from gemm_kernels import Kernel, of_kind
from judge import judge
from reference import BLOCK, Problem, blocks, groups_of_k, integer_problem, product, random_problem

import barrow
from barrow.launcher import choose

STAGED = of_kind(torch.float32, row_scales_b=True)
FLOAT32 = [*of_kind(torch.float32), *STAGED]
by_kernel = pytest.mark.parametrize("adding", FLOAT32, ids=[kernel.name for kernel in FLOAT32])

KS = {
    "whole blocks": [128, 1024, 256],
    "empty groups": [0, 384, 0, 0, 640, 0],
    "all empty": [0, 0, 0],
    "no whole blocks": [16, 1, 131, 0, 1000],
    "one giant": [0, 128, 20_000, 128],
    "more than a launch takes": [256, 0, 128, 48, 1024, 640, 16, 128, 300, 128, 2048, 0, 128, 384, 128, 512],
}
# By the cost model these take every kernel.
SIZES = [(256, 384), (129, 200), (300, 520), (1000, 1480), (7, 1000), (1, 1)]


def filled(x: Operands, seed: int) -> torch.Tensor:
    """What `out` holds before, integers so that sums stay exact."""
    generator = torch.Generator(device=x.out.device).manual_seed(seed)
    before = torch.randint(-1000, 1000, x.out.shape, generator=generator, device=x.out.device).float()
    x.out.copy_(before)
    return before


def _faults(kernel: Kernel, cases: list[Case], device: torch.device) -> list[str]:
    faults = []
    for seed, case in enumerate(cases):
        x = operands(case, torch.float32, device, seed)
        want = filled(x, seed) + expected(x)
        kernel.run(x, accumulate=True)
        if found := wrong_values(x.out, want) or touched_guard(x):
            faults.append(f"{case}: {found}")
    return faults


@by_kernel
def test_edges(adding: Kernel, device: torch.device) -> None:
    """Around every boundary: where the last row of tiles reaches back, nothing may be added twice."""
    # Every pair of M and N, with one or two values of K.
    faults = _faults(adding, edge_cases(adding)[::3], device)
    assert not faults, "\n".join(faults[:12])


@pytest.mark.parametrize("staged", STAGED, ids=[kernel.name for kernel in STAGED])
def test_boxes_of_the_copy_engine(staged: Kernel, device: torch.device) -> None:
    """Stored and added: boxes that D cuts, that lie beyond it, and that hold rows which the tile before has added.

    The copy engine takes every fourth N in two of the layouts; the others go from registers.
    """
    m, n = staged.block_m, staged.block_n
    cases = [
        Case(rows, columns, BLOCK + 16, b_scale="k_block_major", out=out, row_scales_b=True)
        for rows in (1, 7, m - 1, m, m + 1, m + 60, m + 64, m + 68, 2 * m + 5)
        for columns in (4, 36, n - 4, n, n + 2, n + 4, 2 * n + 36)
        for out in OUT_LAYOUTS
    ]
    faults = _faults(staged, cases, device)
    for seed, case in enumerate(cases):
        x = operands(case, torch.float32, device, seed)
        staged.run(x)
        if found := fault(x, expected(x)):
            faults.append(f"{case}, stored: {found}")
    assert not faults, "\n".join(faults[:12])


@by_kernel
def test_more_tiles_than_sms(adding: Kernel, device: torch.device) -> None:
    num_sms = torch.cuda.get_device_properties(device).multi_processor_count
    faults = _faults(adding, wave_cases(adding, num_sms), device)
    assert not faults, "\n".join(faults[:12])


@by_kernel
def test_random_data_is_added_with_one_rounding(adding: Kernel, device: torch.device) -> None:
    """The product has the bits that it has alone, and an element gets it in one addition."""
    for m, n, k in ((3, 200, 1000), (300, 264, 1536)):
        p = random_problem(m, n, k, device=device, b_rows=1 if adding.row_scales_b else 128)
        alone = torch.empty(m, n, device=device)
        out = torch.randn(m, n, device=device) * 100
        before = out.clone()
        for accumulate, result in ((False, alone), (True, out)):
            torch.ops.barrow.fp8_gemm_nt_with(*p.args, adding.index, accumulate=accumulate, out=result)
        assert torch.equal(out, before + alone)


def test_by_the_operators_choice_and_in_graphs(device: torch.device) -> None:
    x = operands(Case(130, 200, 1000), torch.float32, device)
    before, want = filled(x, 1), expected(x)
    barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out, accumulate=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out, accumulate=True)
    assert torch.equal(x.out, before + want), "the capture itself must not run anything"
    for times in (2, 3, 4):
        graph.replay()
        assert torch.equal(x.out, before + times * want)


def test_what_is_refused(device: torch.device) -> None:
    x = operands(Case(5, 8, 128), torch.bfloat16, device)
    with pytest.raises(RuntimeError, match="out is bfloat16 but with accumulate needs float32"):
        barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out, accumulate=True)
    with pytest.raises(RuntimeError, match="accumulate is True but out is None"):
        barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out_dtype=torch.float32, accumulate=True)


Pair = tuple[torch.Tensor, torch.Tensor]


def side_by_side(parts: list[Problem], rows_adjacent: bool) -> tuple[Pair, Pair]:
    """a and b of `k_grouped_fp8_gemm_nt`, each with its scales."""
    a, a_scale, b, b_scale = groups_of_k(parts)
    layout: ScaleLayout = "k_block_major" if rows_adjacent else "row_major"
    return (a, laid_out_scale(a_scale, layout)), (b, laid_out_scale(b_scale, layout))


@pytest.mark.parametrize("rows_adjacent", [True, False])
@pytest.mark.parametrize("ks", KS)
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_k_grouped_is_exact(m: int, n: int, ks: str, rows_adjacent: bool, device: torch.device) -> None:
    parts = [integer_problem(m, n, k, seed=g, b_rows=1, device=device) for g, k in enumerate(KS[ks])]
    (a, a_scale), (b, b_scale) = side_by_side(parts, rows_adjacent)
    assert a_scale.shape == (m, sum(map(blocks, KS[ks])))
    wide = torch.randint(-1000, 1000, (len(parts), m + 1, n + 3), device=device).float()
    before, out = wide.clone(), wide[:, :m, 1 : n + 1]
    want = torch.stack([product(p) for p in parts]) + out.double()
    assert barrow.k_grouped_fp8_gemm_nt(a, a_scale, b, b_scale, KS[ks], out=out) is out
    assert torch.equal(out, want.float())
    out.copy_(before[:, :m, 1 : n + 1])
    assert torch.equal(wide, before), "wrote outside out"


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_k_grouped_adds_to_rows_of_all_groups_that_take_turns(m: int, n: int, device: torch.device) -> None:
    """The map of out then has slabs that are closer than rows."""
    ks = [128, 640, 0, 256]
    parts = [integer_problem(m, n, k, seed=g, b_rows=1, device=device) for g, k in enumerate(ks)]
    a, b = side_by_side(parts, True)
    wide = torch.zeros(m + 1, len(ks), n + 4, device=device)
    out = wide[:m, :, :n].transpose(0, 1)
    for times in (1, 2):
        barrow.k_grouped_fp8_gemm_nt(*a, *b, ks, out=out)
        assert torch.equal(out, times * torch.stack([product(p) for p in parts]).float())
    out.zero_()
    assert (wide == 0).all(), "wrote outside out"


def test_the_sizes_take_every_kernel(device: torch.device) -> None:
    gpu = torch.cuda.get_device_properties(device)
    # Every set of KS, all groups of which are in few launches.
    chosen = {
        choose(m * len(ks), n, -(-sum(ks) // len(ks)), "f32", gpu.multi_processor_count, row_scales_b=True)[0]["kernel"]
        for m, n in SIZES
        for ks in ([k for k in ks if k > 0][:13] for ks in KS.values())
        if ks
    }
    assert chosen == {kernel.name for kernel in STAGED}


def test_k_grouped_has_the_bits_of_single_products(device: torch.device) -> None:
    """Whatever the kernel and the launch: a sum is made block of K by block of K, and added once."""
    ks = [1000, 128, 0, 2500] * 5
    parts = [random_problem(300, 520, k, seed=g, b_rows=1, device=device) for g, k in enumerate(ks)]
    a, b = side_by_side(parts, True)
    out = torch.randn(len(ks), 300, 520, device=device)
    want = out.clone()
    for p, d in zip(parts, want, strict=True):
        barrow.fp8_gemm_nt(*p.args, out=d, accumulate=True)
    barrow.k_grouped_fp8_gemm_nt(*a, *b, ks, out=out)
    assert torch.equal(out, want)


def test_k_grouped_of_random_data_by_tile(device: torch.device) -> None:
    parts = [random_problem(300, 520, k, seed=k, b_rows=1, device=device) for k in (1000, 0, 128, 2500)]
    out = torch.zeros(4, 300, 520, device=device)
    a, b = side_by_side(parts, True)
    barrow.k_grouped_fp8_gemm_nt(*a, *b, [1000, 0, 128, 2500], out=out)
    for group, p in enumerate(parts):
        if group != 1:
            verdict = judge(out[group], p)
            assert verdict.sound, f"group {group}: {verdict}"
    assert (out[1] == 0).all()


def test_k_grouped_neither_waits_nor_hinders_a_graph(device: torch.device) -> None:
    ks = [128, 0, 300]
    parts = [integer_problem(64, 72, k, seed=g, b_rows=1, device=device) for g, k in enumerate(ks)]
    a, b = side_by_side(parts, True)
    want = torch.stack([product(p) for p in parts]).float()
    out = torch.zeros(3, 64, 72, device=device)
    barrow.k_grouped_fp8_gemm_nt(*a, *b, ks, out=out)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        barrow.k_grouped_fp8_gemm_nt(*a, *b, ks, out=out)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        barrow.k_grouped_fp8_gemm_nt(*a, *b, ks, out=out)
    graph.replay()
    assert torch.equal(out, 3 * want)
