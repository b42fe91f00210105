"""Launches that start before the kernels in front of them are done, and those that wait for their turn."""

from collections.abc import Sequence

import pytest
from fake_driver import Run, gemms
from test_launcher_launches import GEMMS, check_geometry
from test_launcher_launches_grouped import GROUPED, PREAMBLE

from barrow.launcher import GemmKernel, choose

# The first CUDA driver that records a launch which overlaps in a graph.
OVERLAPS = 12030


@pytest.mark.parametrize(("version", "overlap"), [(OVERLAPS - 10, 0), (OVERLAPS, 1)])
def test_a_gemm_overlaps_the_kernels_in_front_and_loads_b_early_where_it_may(
    on_fake_gpu: Run, version: int, overlap: int
) -> None:
    code = """
args = problem(5, 64, 128)
result = [wrong(gemm(*args, torch.bfloat16, prefetch), args) for prefetch in (False, True)]
# The copy engine cannot address rows 131 bytes apart: a kernel copies them, and the GEMM has to wait for it.
odd = problem(5, 64, 131)
result.append(wrong(gemm(*odd, torch.bfloat16, True), odd))
"""
    result, log = on_fake_gpu(code, FAKE_CUDA_VERSION=version)
    assert result == [0, 0, 0]
    launches = gemms(log)
    assert [line["overlap"] for line in launches] == [overlap] * 3
    # What the kernel is told: it waits for those in front before it loads B, or only before it loads A.
    assert [line["prefetch_b"] for line in launches] == [0, 1, 0]


def test_a_gemm_of_groups_loads_them_and_b_early_where_it_may(on_fake_gpu: Run) -> None:
    code = """
result = []
# Of 131 columns b is copied first.
for k, prefetch in ((128, False), (128, True), (131, True)):
    args = grouped(TOLD["ends that leave rows"], 24, k)
    want, out = blank(args), blank(args)
    ops.m_grouped_fp8_gemm_nt.out(*args, 0, out=want)
    on_gpu(ops.m_grouped_fp8_gemm_nt.out, *args, 0, prefetch, out=out)
    result.append(torch.equal(out, want))
"""
    result, log = on_fake_gpu(PREAMBLE + code, FAKE_CUDA_VERSION=OVERLAPS)
    assert result == [True] * 3
    assert [(line["overlap"], line["prefetch_b"]) for line in gemms(log)] == [(1, 0), (1, 1), (1, 0)]


def test_the_quantizer_of_few_tokens_overlaps_the_kernels_in_front(on_fake_gpu: Run) -> None:
    """It waits for them before it reads x. That of weights does not, nor do blocks that would crowd an SM."""
    code = """
token, block = ops.per_token_group_quant_fp8, ops.per_block_quant_fp8
for op, rows in ((token, 64), (token, 65), (block, 5)):
    on_gpu(op.default, torch.randn(rows, 200), False)
result = None
"""
    _, log = on_fake_gpu(code, FAKE_CUDA_VERSION=OVERLAPS)
    assert [line["overlap"] for line in log if "_quant_" in line.get("kernel", "")] == [1, 0, 0]


@pytest.mark.parametrize(("version", "overlap"), [(OVERLAPS - 10, 0), (OVERLAPS, 1)])
def test_neighbours_that_start_early_come_together(on_fake_gpu: Run, version: int, overlap: int) -> None:
    """CTAs come to the SMs in the order in which those are left, but those of a cluster beside each other."""
    alone = next(kernel for kernel in GEMMS if (kernel["cluster_k"], kernel["block_m"]) == (1, 64))
    split = next(kernel for kernel in GEMMS if (kernel["cluster_k"], kernel["block_m"]) == (3, 64))
    names = [kernel["name"] for kernel in (alone, split)]
    code = f"""
from barrow.launcher import kernels
index = {{kernel["name"]: i for i, kernel in enumerate(kernels())}}
result = []
for name in {names}:
    for m, n in ((64, 32), (192, 32), (65, 200)):
        args = problem(m, n, 3072)
        out = torch.empty(m, n, dtype=torch.bfloat16)
        on_gpu(ops.fp8_gemm_nt_with.default, *args, index[name], True, out=out)
        result.append(wrong(out, args))
"""
    result, log = on_fake_gpu(code, FAKE_CUDA_VERSION=version)
    assert result == [0] * 6
    launches = gemms(log)
    assert [launch["kernel"] for launch in launches] == [name for name in names for _ in range(3)]
    assert [launch["overlap"] for launch in launches] == [overlap] * 6
    for launch in launches:
        check_geometry(launch, launch["m"], launch["n"], 3072)
    assert [launch["cluster"] for launch in launches] == [1 + overlap] * 3 + [3] * 3
    # Of an odd number of tiles one CTA of a pair gets none.
    assert [launch["grid"] for launch in launches[:2]] == ([2, 4] if overlap else [1, 3])


def test_the_largest_tiles_are_dealt_out_evenly_and_in_the_same_rounds_wherever_they_start(on_fake_gpu: Run) -> None:
    """A tile's round decides in which order its K is summed up."""
    kernel = next(kernel for kernel in GEMMS if kernel["alternates"])
    code = f"""
from barrow.launcher import kernels
index = {{kernel["name"]: i for i, kernel in enumerate(kernels())}}["{kernel["name"]}"]
for prefetch in (False, True):
    for m, n in ((256, 128), (256 * 7, 128 * 15), (256 * 11, 128 * 12), (256 * 14, 128 * 19)):
        out = torch.empty(m, n, dtype=torch.bfloat16)
        on_gpu(ops.fp8_gemm_nt_with.default, *problem(m, n, 1), index, prefetch, out=out)
result = None
"""
    _, log = on_fake_gpu(code, FAKE_CUDA_VERSION=OVERLAPS)
    # Of 132 SMs: 1, 105, 132 and 266 tiles in 1, 1, 1 and 3 rounds.
    assert [launch["grid"] for launch in gemms(log)] == [2, 106, 132, 90] * 2


def rows_just_below(kernel: GemmKernel, us: float, groups: int) -> int:
    """The most rows of 8 columns and K = 8 that are predicted to take less time."""
    few, many = 1, 8_000_000
    while many - few > 1:
        rows = (few + many) // 2
        candidates = choose(rows, 8, 8, "bf16", 132, 3352, groups=groups)
        predicted = next(c["predicted_us"] for c in candidates if c["kernel"] == kernel["name"])
        few, many = (rows, many) if predicted < us else (few, rows)
    return few


def of_tile(kernels: Sequence[GemmKernel], block_m: int, block_n: int, cluster_n: int) -> GemmKernel:
    return next(k for k in kernels if (k["block_m"], k["block_n"], k["cluster_n"]) == (block_m, block_n, cluster_n))


def test_a_long_launch_of_tiles_that_gain_by_it_waits_for_its_turn(on_fake_gpu: Run) -> None:
    """Then all of its CTAs have their neighbours beside them, without clusters."""
    waits, never = of_tile(GEMMS, 192, 128, 1), of_tile(GEMMS, 256, 128, 1)
    below = rows_just_below(waits, 200, 0)
    code = f"""
from barrow.launcher import kernels
index = {{kernel["name"]: i for i, kernel in enumerate(kernels())}}
for name, m in {[(waits["name"], below), (waits["name"], below + 1), (never["name"], 2 * below)]}:
    args = torch.zeros(m, 8).to(FP8), torch.ones(m, 1), torch.zeros(8, 8).to(FP8), torch.ones(1, 1)
    out = torch.empty(m, 8, dtype=torch.bfloat16)
    on_gpu(ops.fp8_gemm_nt_with.default, *args, index[name], True, out=out)
result = None
"""
    _, log = on_fake_gpu(code, FAKE_CUDA_VERSION=OVERLAPS)
    assert [(launch["overlap"], launch["cluster"]) for launch in gemms(log)] == [(1, 2), (0, 1), (1, 2)]


def test_so_does_one_of_groups_with_tall_tiles(on_fake_gpu: Run) -> None:
    """By the rows that the host expects. Low tiles would gain nothing."""
    limits = {128: 30.0, 192: 100.0, 256: 100.0}
    tall = [kernel for kernel in GROUPED if kernel["block_m"] in limits]
    low = [kernel for kernel in GROUPED if kernel["block_m"] < 128]
    assert len(tall) + len(low) == len(GROUPED)
    below = {kernel["name"]: rows_just_below(kernel, limits[kernel["block_m"]], 1) for kernel in tall}
    most = max(below.values()) + 1
    asked = [(name, rows + more) for name, rows in below.items() for more in (0, 1)]
    asked += [(kernel["name"], most) for kernel in low]
    code = f"""
rows = {most}
out = torch.empty(1, rows, 8, dtype=torch.bfloat16)
args = [torch.zeros(1, rows, 8).to(FP8), torch.ones(1, 1, rows).mT, torch.zeros(1, 8, 8).to(FP8), torch.ones(1, 1, 1)]
args += [torch.tensor([5], dtype=torch.int32), KINDS.index("counts"), 1]
index = {{kernel["name"]: i for i, kernel in enumerate(kernels())}}
for name, expected_m in {asked}:
    on_gpu(ops.m_grouped_fp8_gemm_nt_with.default, *args, expected_m, index[name], out=out)
result = None
"""
    _, log = on_fake_gpu(PREAMBLE + code, FAKE_CUDA_VERSION=OVERLAPS)
    assert [launch["overlap"] for launch in gemms(log)] == [1, 0] * len(tall) + [1] * len(low)
