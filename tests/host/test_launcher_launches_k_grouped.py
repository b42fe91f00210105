"""Launches of the GEMM over groups of K against a fake libcuda (fake_gpu/): maps, geometry, exact results."""

from pathlib import Path

import fake_driver
import pytest
from fake_driver import Run, copies, gemms

from barrow.launcher import choose, kernels

MOST = 13  # groups of a launch
GEMMS = {kernel["name"]: kernel for kernel in kernels() if kernel["kind"] == "gemm"}
PREAMBLE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from reference import groups_of_k, integer_problem, product
def rows_adjacent(scale):
    "Columns of scales begin 16 bytes apart, as the copy engine asks for."
    return torch.nn.functional.pad(scale, (0, 0, 0, -scale.shape[0] % 4)).T.contiguous().T[: scale.shape[0]]
def k_grouped(m, n, ks, of_scale=rows_adjacent):
    "Arguments of the operator but out, and the products."
    parts = [integer_problem(m, n, k, seed=g, b_rows=1) for g, k in enumerate(ks)]
    # A group without elements, put first, adds to none of the operands.
    a, a_scale, b, b_scale = groups_of_k([integer_problem(m, n, 0, b_rows=1), *parts])
    products = torch.stack([torch.zeros(m, n), *(product(p).float() for p in parts)])[1:]
    return [a, of_scale(a_scale), b, of_scale(b_scale), list(ks)], products
def adds(m, n, ks, out=None, **options):
    "Whether the operator adds the products to out, and nothing else to what out is a view of."
    args, products = k_grouped(m, n, ks, **options)
    if out is None:
        out = torch.empty(len(ks), m, n)
    out.copy_(torch.arange(len(ks) * m * n).view(len(ks), m, n) % 1000)
    want = out + products
    on_gpu(ops.k_grouped_fp8_gemm_nt.default, *args, out=out)
    return torch.equal(out, want)
"""


@pytest.mark.parametrize(
    "ks", [(128,), (128, 0, 48, 304, 0), (0, 256), (16,) * 13, (16, 0) * 13, (16,) * 14, (48,) * 16, (128, 16) * 14]
)
def test_a_launch_takes_as_many_groups_as_fit(on_fake_gpu: Run, ks: tuple[int, ...]) -> None:
    m, n = 20, 136
    result, log = on_fake_gpu(f"{PREAMBLE}\nresult = adds({m}, {n}, {ks})")
    assert result
    launches = gemms(log)
    groups = [group for launch in launches for group in launch["groups"]]
    slabs = [slab for slab, k in enumerate(ks) if k > 0]
    assert [group["slab"] for group in groups] == slabs
    assert len(launches) == -(-len(slabs) // MOST)
    sizes = [len(launch["groups"]) for launch in launches]
    assert max(sizes) - min(sizes) <= 1
    for group in groups:
        k = ks[group["slab"]]
        assert group["k_blocks"] == -(-k // 128)
        assert group["first_block"] == sum(-(-before // 128) for before in ks[: group["slab"]])
        for operand, rows in (("a", m), ("b", n)):
            found = group[operand]
            assert (found["cols"], found["rows"], found["slabs"], found["stride"]) == (k, rows, 0, k)
            assert (found["element_bytes"], found["swizzle"]) == (1, 3)
    for launch in launches:
        of_launch = [ks[group["slab"]] for group in launch["groups"]]
        count = len(of_launch)
        chosen = choose(m * count, n, -(-sum(of_launch) // count), "f32", fake_driver.SMS, fake_driver.GB_S, True)[0]
        kernel = GEMMS[launch["kernel"]]
        assert kernel["name"] == chosen["kernel"]
        tiles = -(-m // kernel["block_m"]) * -(-n // kernel["block_n"]) * count
        assert (launch["grid"], launch["cluster"]) == (min(tiles, fake_driver.SMS), 1)
        assert (launch["block"], launch["smem"]) == (kernel["threads"], kernel["smem_bytes"])
        assert (launch["m"], launch["n"], launch["accumulate"], launch["prefetch_b"]) == (m, n, 1, 0)
        assert launch["a_box_rows"] == m
        assert {tuple(group["a"]["box"]) for group in launch["groups"]} == {(128, m)}
        assert {tuple(group["b"]["box"]) for group in launch["groups"]} == {(128, kernel["block_n"])}
        # The scales of all groups, and all of out.
        blocks = sum(-(-k // 128) for k in ks)
        for name, rows, block in (("a_scale", m, kernel["block_m"]), ("b_scale", n, kernel["block_n"])):
            scale = launch[name]
            assert (scale["cols"], scale["rows"], scale["slabs"]) == (rows, blocks, 0)
            assert scale["box"] == [min(rows, block), 1]
        d = launch["d"]
        assert (launch["d_by_tma"], d["cols"], d["rows"], d["slabs"]) == (1, n, m, len(ks))
        assert d["box"] == [kernel["store_columns"], kernel["store_rows"]]
        if len(ks) > 1:
            assert d["slab_stride"] == m * n * 4
    assert copies(log) == []


def test_what_the_copy_engine_cannot_address_is_copied(on_fake_gpu: Run) -> None:
    """Rows of 300 bytes, and what then begins off a multiple of 16; a single row needs its address alone."""
    code = """
result = [
    adds(20, 136, (300, 128)),
    adds(5, 16, (16, 1, 16)),
    adds(1, 4, (16, 20, 32)),
    adds(20, 136, (256,), of_scale=lambda scale: scale),
    adds(20, 136, (256, 128), of_scale=lambda scale: scale),
]
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 5
    assert copies(log) == [20, 136, 5, 16, 5, 4, 1]
    launches = gemms(log)
    assert [launch["a_scale"] is None for launch in launches] == [False] * 3 + [True] * 2
    assert [launch["b_scale"] is None for launch in launches] == [False] * 3 + [True] * 2


def test_out_may_have_any_strides(on_fake_gpu: Run) -> None:
    code = """
m, n, ks = 20, 136, (128, 0, 300)
result = []
for shape, strides, offset in (
    ((3, m, n), (m * n, n, 1), 0),
    ((3, m, n), (m * (n + 4), n + 4, 1), 4),
    ((3, m, n), (m * (n + 3), n + 3, 1), 0),
    ((3, m, n), (m * n + 2, n, 1), 0),
    ((3, m, n), (n, 3 * n, 1), 0),
    ((3, m, n), (m * n, n, 1), 1),
    ((3, m, 134), (m * n, n, 1), 0),
):
    base = torch.full((4 * m * (n + 4),), 7.0)
    out = base.as_strided(shape, strides, offset)
    good = adds(*shape[1:], ks, out)
    out.fill_(7)
    result.append(good and bool((base == 7).all()))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 7
    launches = gemms(log)
    assert [launch["d_by_tma"] for launch in launches] == [1, 1, 0, 0, 1, 0, 0]
    assert [(launch["d"]["stride"], launch["d"]["slab_stride"]) for launch in launches if launch["d_by_tma"]] == [
        (136 * 4, 20 * 136 * 4),
        (140 * 4, 20 * 140 * 4),
        (3 * 136 * 4, 136 * 4),
    ]


def test_nothing_to_add_launches_nothing(on_fake_gpu: Run) -> None:
    code = """
result = [adds(20, 136, ks) for ks in ((), (0,), (0, 0))]
result += [adds(0, 136, (128, 48)), adds(20, 0, (128, 48))]
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 5
    assert log == []


@pytest.mark.parametrize(("version", "overlap"), [(12020, 0), (12030, 1)])
def test_it_overlaps_the_kernels_in_front(on_fake_gpu: Run, version: int, overlap: int) -> None:
    """The driver of CUDA 12.3 is the first one that records such a launch in a graph."""
    result, log = on_fake_gpu(f"{PREAMBLE}\nresult = adds(8, 8, (128, 48))", FAKE_CUDA_VERSION=version)
    assert result
    assert [(launch["overlap"], launch["cluster"]) for launch in gemms(log)] == [(overlap, 1 + overlap)]
