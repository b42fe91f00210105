"""Launches of the kernels around a grouped GEMM, against a fake libcuda (fake_gpu/): geometry, and the right result."""

from typing import Any

import fake_driver
import pytest
from fake_driver import Run

from barrow.launcher import kernels

# The first CUDA driver that records a launch which overlaps in a graph.
OVERLAPS = 12030
SYMBOLS = {kernel["name"]: kernel["symbol"] for kernel in kernels() if kernel["kind"] == "aux"}

PREAMBLE = """
def both(op, *args):
    got, wanted = on_gpu(op.default, *args), op.default(*args)
    return [(g, w) for g, w in zip(got, wanted)] if isinstance(got, tuple) else [(got, wanted)]
def bits(t):
    return t.contiguous().view(torch.uint8) if t.dtype == FP8 else t.contiguous()
def layout(t):
    return [str(t.dtype), list(t.shape), list(t.stride())]
def same(pairs):
    return all(torch.equal(bits(g), bits(w)) and layout(g) == layout(w) for g, w in pairs)
"""


def aux(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    launches = [line for line in log if "kernel" in line]
    for line in launches:
        assert (line["cluster"], line["smem"], line["stream"]) == (1, 0, 77)
    return [{**line, "kernel": SYMBOLS[line["kernel"]]} for line in launches]


def test_sort(on_fake_gpu: Run) -> None:
    code = """
torch.manual_seed(0)
result = []
cases = (0, 8, 256), (3, 0, 5), (1, 8, 256), (70, 8, 256), (200, 8, 1024), (600, 3, 7), (5, 2, 1)
for tokens, top_k, experts in cases:
    for dtype in (torch.int32, torch.int64):
        ids = torch.randint(-1, experts + 1, (tokens, top_k + 1), dtype=dtype)[:, :top_k]
        for max_m in (None, 0, 2):
            result.append(same(both(ops.moe_sort, ids, experts, max_m)))
    result.append(same(both(ops.moe_sort, ids.T.contiguous().T, experts, None)))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 7 * 7
    launches = aux(log)
    assert [line["kernel"] for line in launches] == (["moe_sort_i32"] * 3 + ["moe_sort_i64"] * 4) * 7
    # Warps that walk the ids, as many as there are ids or counters for; a thread for each expert.
    expected = [(1, 256), (1, 32), (1, 256), (18, 576), (10, 1024), (32, 1024), (1, 32)]
    assert [(line["warps"], line["block"]) for line in launches[::7]] == expected
    assert {line["grid"] for line in launches} == {1}
    # Rows one id wider than top_k; a transposed tensor, whose ids of a token are a column apart.
    assert [line["id_gap"] for line in launches[21:28]] == [1] * 6 + [1 - 8 * 70]


def test_permute(on_fake_gpu: Run) -> None:
    code = """
torch.manual_seed(0)
result = []
for tokens, top_k, k in ((1, 8, 7168), (9, 3, 300), (5, 20, 1), (3, 1, 1024), (700, 2, 2048)):
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        x = torch.randn(tokens, k + 4).to(dtype)[:, 2:k + 2]
        # Every row is named, and two positions, one below and one above all rows, have none.
        positions = torch.randperm(tokens * top_k).int().view(tokens, top_k) - 1
        positions = positions.T.contiguous().T if tokens == 9 else positions
        result.append(same(both(ops.moe_permute_quant, x, positions, tokens * top_k - 2, tokens == 9)))
for tokens, top_k, k, rows in ((0, 3, 200, 4), (3, 0, 200, 4), (3, 2, 0, 4), (3, 2, 200, 0)):
    pairs = both(ops.moe_permute_quant, torch.ones(tokens, k), torch.zeros(tokens, top_k, dtype=torch.int32), rows)
    result.append(all(layout(g) == layout(w) for g, w in pairs))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 19
    launches = aux(log)
    assert [line["kernel"] for line in launches] == [f"moe_permute_quant_{d}" for d in ("bf16", "f16", "f32")] * 5
    # Strips of 1,024 columns for each token, until there are a few blocks for every place on the GPU.
    most = fake_driver.SMS * 40
    assert [line["grid"] for line in launches[::3]] == [7, 9, 5, 3, min(1400, most)]
    assert {line["block"] for line in launches} == {128}


def test_a_large_grid_ends_at_whole_strips(on_fake_gpu: Run) -> None:
    code = """
x = torch.randn(1, 8).bfloat16().expand(6000, 8)
positions = torch.arange(6000, dtype=torch.int32)[:, None]
result = same(both(ops.moe_permute_quant, x, positions, 6000))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result
    assert [line["grid"] for line in aux(log)] == [fake_driver.SMS * 40]


def test_silu(on_fake_gpu: Run) -> None:
    code = """
torch.manual_seed(0)
result = []
def close(pairs):
    (q, wanted_q), (scale, wanted_scale) = pairs
    # exp may differ in its last bit, and with it a rounding to e4m3, which is by an eighth at most.
    return (layout(q) == layout(wanted_q) and layout(scale) == layout(wanted_scale)
        and torch.allclose(scale, wanted_scale, rtol=1e-6, atol=0)
        and torch.allclose(q.float(), wanted_q.float(), rtol=0.13, atol=2**-9))
for shape in ((1, 8), (8, 4096), (13, 600), (3, 20, 300), (2, 1, 2)):
    x = torch.randn(*shape[:-1], shape[-1] + 3).bfloat16()[..., 1:-2] * 4
    result.append(close(both(ops.silu_mul_quant, x, None, shape[0] == 13)))
for shape in ((0, 8), (3, 0), (0, 3, 4), (2, 0, 4)):
    result.append(close(both(ops.silu_mul_quant, torch.ones(shape).bfloat16(), None)))
x = torch.randn(20, 600).bfloat16()
for groups in ([3, 13], [20, 7, 99], [-4]):
    ends = torch.tensor([groups, groups], dtype=torch.int32).T[:, 0]
    rows = min(max(groups[-1], 0), 20)
    pairs = both(ops.silu_mul_quant, x, ends)
    result.append(close([(g[:rows], w[:rows]) for g, w in pairs]))
x = torch.randn(3, 20, 600).bfloat16()
counts = torch.tensor([0, 17, 99], dtype=torch.int32)
pairs = both(ops.silu_mul_quant, x, counts)
result.append(all(close([(g[i, :rows], w[i, :rows]) for g, w in pairs]) for i, rows in enumerate((0, 17, 20))))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 13
    launches = aux(log)
    assert {(line["kernel"], line["block"]) for line in launches} == {("silu_mul_quant", 128)}
    # Eight rows of one group of 128 for each block.
    assert [line["grid"] for line in launches] == [1, 16, 6, 18, 2, 9, 9, 9, 27]


def test_unpermute(on_fake_gpu: Run) -> None:
    code = """
torch.manual_seed(0)
result = []
cases = (1, 8, 7168, 8), (9, 3, 300, 20), (5, 20, 1, 50), (700, 2, 1024, 900), (3, 0, 8, 5), (3, 2, 8, 0)
for tokens, top_k, n, rows in cases:
    y = torch.randn(rows, n + 5).bfloat16()[:, 3:n + 3]
    positions = torch.randint(-1, rows + 1, (top_k, tokens), dtype=torch.int32).T
    weights = torch.rand(tokens, 2 * top_k)[:, ::2]
    result.append(same(both(ops.moe_unpermute, y, positions, weights)))
for tokens, n in ((0, 8), (3, 0)):
    y, positions = torch.ones(4, n).bfloat16(), torch.zeros(tokens, 2, dtype=torch.int32)
    result.append(same(both(ops.moe_unpermute, y, positions, torch.ones(tokens, 2))))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 8
    launches = aux(log)
    assert {(line["kernel"], line["block"]) for line in launches} == {("moe_unpermute", 128)}
    assert [line["grid"] for line in launches] == [7, 9, 5, 700, 3, 3]


@pytest.mark.parametrize(("version", "overlap"), [(OVERLAPS - 10, 0), (OVERLAPS, 1)])
def test_each_starts_before_the_kernels_in_front_have_ended(on_fake_gpu: Run, version: int, overlap: int) -> None:
    code = """
groups, positions = on_gpu(ops.moe_sort.default, torch.zeros(3, 2, dtype=torch.int32), 4, None)
on_gpu(ops.moe_permute_quant.default, torch.ones(3, 8), positions, 6)
on_gpu(ops.silu_mul_quant.default, torch.ones(6, 8).bfloat16(), groups)
on_gpu(ops.moe_unpermute.default, torch.ones(6, 8).bfloat16(), positions, torch.ones(3, 2))
result = None
"""
    _, log = on_fake_gpu(code, FAKE_CUDA_VERSION=version)
    names = ["moe_sort_i32", "moe_permute_quant_f32", "silu_mul_quant", "moe_unpermute"]
    assert [(line["kernel"], line["overlap"]) for line in aux(log)] == [(name, overlap) for name in names]
