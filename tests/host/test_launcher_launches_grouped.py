"""Launches of grouped GEMMs and of added products against a fake libcuda (fake_gpu/): maps, geometry, exact results."""

from pathlib import Path
from typing import Any

import fake_driver
import pytest
from fake_driver import Run, gemms
from grouped_problem import TOLD

from barrow.launcher import choose, kernels

GROUPED = [kernel for kernel in kernels() if kernel["kind"] == "grouped_gemm"]
F32 = [kernel for kernel in kernels() if kernel["kind"] == "gemm" and kernel["out"] == "f32"]

PREAMBLE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from barrow.launcher import kernels
from grouped_problem import KINDS, TOLD, Told, grouped_problem
from reference import integer_problem, product
KEEP = 77.0
def grouped(told, n, k, groups=5):
    "Arguments of the operator but expected_m, with scales as the quantizer lays them out."
    p = grouped_problem(told.total_rows(groups), n, k, groups)
    a, a_scale, b, b_scale, numbers = told.operands(p)
    padded = torch.nn.functional.pad(a_scale, (0, 0, 0, -told.rows % 4))
    a_scale = padded.mT.contiguous().mT[..., :told.rows, :]
    return [a, a_scale, b, b_scale, numbers, KINDS.index(told.kind), told.alignment]
def blank(args):
    return torch.full((*args[0].shape[:-1], args[2].shape[1]), KEEP, dtype=torch.bfloat16)
def exact(args, out, expected_m=0, kernel=None):
    "Whether the launch writes into out what the CPU implementation does."
    want = blank(args)
    ops.m_grouped_fp8_gemm_nt.out(*args, 0, out=want)
    if kernel is None:
        on_gpu(ops.m_grouped_fp8_gemm_nt.out, *args, expected_m, out=out)
    else:
        on_gpu(ops.m_grouped_fp8_gemm_nt_with.default, *args, expected_m, kernel, out=out)
    return torch.equal(out, want)
"""


def check_geometry(launch: dict[str, Any], name: str, n: int, k: int, groups: int = 5) -> None:
    """Grid, block, shared memory and maps are those of the kernel and of TOLD's groups."""
    kernel = next(kernel for kernel in GROUPED if kernel["name"] == launch["kernel"])
    told = TOLD[name]
    slabs = groups if told.kind == "counts" else 1
    assert (launch["m"], launch["n"], launch["k"], launch["groups"]) == (told.rows, n, k, groups)
    cluster = kernel["cluster_n"]
    assert (launch["cluster"], launch["stream"]) == (cluster, 77)
    assert (launch["block"], launch["smem"]) == (kernel["threads"], kernel["smem_bytes"])
    assert launch["kind"] == ("ends", "indices", "counts").index(told.kind)
    assert launch["alignment"] == told.alignment
    assert launch["blocks"] == (-(-told.rows // told.alignment) if told.kind == "indices" else groups)
    # CTAs for all tiles there can be, or as many as run at once.
    block_m, columns = kernel["block_m"], -(-n // (cluster * kernel["block_n"]))
    rows_of_tiles = slabs * -(-told.rows // block_m) + (0 if told.kind == "counts" else 2 * groups)
    resident = fake_driver.SMS * kernel["ctas_per_sm"] // cluster
    assert launch["grid"] == min(rows_of_tiles * columns, resident) * cluster
    # Of a tile that CTAs load together, or that is tall, a part.
    box_rows = min(told.rows, kernel["part_rows"])
    assert launch["a_box_rows"] == box_rows
    for operand, rows, matrices, box in (("a", told.rows, slabs, box_rows), ("b", n, groups, kernel["block_n"])):
        found = launch[operand]
        assert (found["cols"], found["rows"], found["slabs"], found["box"]) == (k, rows, matrices, [128, box])
        assert (found["element_bytes"], found["swizzle"]) == (1, 3)
    scale = launch["a_scale"]
    assert (scale["cols"], scale["rows"], scale["slabs"]) == (told.rows, -(-k // 128), slabs)
    assert scale["box"] == [min(-(-told.rows // 4) * 4, block_m), 1]
    assert (scale["element_bytes"], scale["swizzle"]) == (4, 0)
    assert launch["d_by_tma"] == (n % 8 == 0)
    if launch["d_by_tma"]:
        d = launch["d"]
        assert (d["cols"], d["rows"], d["slabs"]) == (n, told.rows, slabs)
        assert d["box"] == [kernel["store_columns"], kernel["store_rows"]]
        assert (d["element_bytes"], 16 << d["swizzle"]) == (2, 2 * d["box"][0])


def test_every_layout_computes_by_the_chosen_kernel(on_fake_gpu: Run) -> None:
    code = """
result = []
for told in TOLD.values():
    for n, k in ((1, 16), (136, 48), (24, 300)):
        args = grouped(told, n, k)
        new = on_gpu(ops.m_grouped_fp8_gemm_nt.default, *args, 0)
        out = blank(args)
        result.append([exact(args, out), str(new.dtype), list(new.shape) == list(out.shape), new.is_contiguous()])
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    cases = [(name, n, k) for name in TOLD for n, k in ((1, 16), (136, 48), (24, 300))]
    assert result == [[True, "torch.bfloat16", True, True]] * len(cases)
    launches = gemms(log)
    assert len(launches) == 2 * len(cases)
    for (name, n, k), new, into in zip(cases, launches[::2], launches[1::2], strict=True):
        rows = TOLD[name].rows * (5 if TOLD[name].kind == "counts" else 1)
        chosen = choose(rows, n, k, "bf16", fake_driver.SMS, fake_driver.GB_S, groups=5)[0]["kernel"]
        for launch in (new, into):
            assert launch["kernel"] == chosen
            check_geometry(launch, name, n, k)


def test_every_grouped_kernel_can_be_named_and_no_other(on_fake_gpu: Run) -> None:
    names = ["ends that leave rows", "indices of no group", "counts"]
    code = f"""
rows = kernels()
index = [i for i, kernel in enumerate(rows) if kernel["kind"] == "grouped_gemm"]
result = []
for told in map(TOLD.get, {names}):
    args = grouped(told, 136, 144)
    result += [exact(args, blank(args), kernel=kernel) for kernel in index]
dense = next(i for i, kernel in enumerate(rows) if kernel["kind"] == "gemm")
aux = next(i for i, kernel in enumerate(rows) if kernel["kind"] == "aux")
for other in (-1, len(rows), dense, aux):
    result.append([other, caught(lambda: exact(args, blank(args), kernel=other))])
p = problem(5, 8, 128)
out = torch.empty(5, 8, dtype=torch.bfloat16)
result += [caught(lambda: on_gpu(ops.fp8_gemm_nt_with.default, *p, kernel, out=out)) for kernel in index]
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    count = len(GROUPED)
    assert result[: 3 * count] == [True] * (3 * count)
    launched = [(name, kernel["name"]) for name in names for kernel in GROUPED]
    for launch, (name, kernel_name) in zip(gemms(log), launched, strict=True):
        assert launch["kernel"] == kernel_name
        check_geometry(launch, name, 136, 144)
    for other, text in result[3 * count : 3 * count + 4]:
        assert text == (
            f"RuntimeError: barrow.m_grouped_fp8_gemm_nt_with: kernel is {other} but needs to be a row of "
            "barrow.launcher.kernels() of kind grouped_gemm"
        )
    for kernel, text in zip(GROUPED, result[3 * count + 4 :], strict=True):
        assert text == (
            f"RuntimeError: barrow.fp8_gemm_nt_with: kernel {kernel['name']} is for groups of rows; choose a row of "
            "kind gemm"
        )


def test_the_grid_ends_at_what_runs_at_once(on_fake_gpu: Run) -> None:
    code = """
result = []
for kernel, row in enumerate(kernels()):
    if row["kind"] != "grouped_gemm":
        continue
    told = Told("ends", (5, 5, 9), 9)
    for columns in (1, 60):
        args = grouped(told, columns * row["block_n"], 1, groups=3)
        result.append(exact(args, blank(args), kernel=kernel))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert all(result)
    launches = gemms(log)
    for kernel, few, many in zip(GROUPED, launches[::2], launches[1::2], strict=True):
        # Three groups of nine rows end and begin inside of tiles.
        assert few["grid"] == (-(-9 // kernel["block_m"]) + 2 * 3) * kernel["cluster_n"]
        assert many["grid"] == fake_driver.SMS * kernel["ctas_per_sm"]


def test_any_expected_m_is_right_and_only_chooses(on_fake_gpu: Run) -> None:
    # Four times the second last is four, in 64 bits.
    max_m, asked = 512, [1, 64, 512, 2**31, 2**63 - 1, 2**62 + 1, 0]
    rows = [4 * min(expected_m, max_m) or 4 * max_m for expected_m in asked]

    def chosen(n: int, k: int) -> list[str]:
        gpu = fake_driver.SMS, fake_driver.GB_S
        return [choose(m, n, k, "bf16", *gpu, groups=4)[0]["kernel"] for m in rows]

    shapes = [(n, k) for n in (64, 128, 512, 1024, 2048) for k in (128, 512, 2048)]
    n, k = next((n, k) for n, k in sorted(shapes, key=lambda nk: nk[0] * nk[1]) if chosen(n, k)[0] != chosen(n, k)[-1])
    code = f"""
args = grouped(Told("counts", (3, 0, 2, 1), {max_m}), {n}, {k}, groups=4)
result = [exact(args, blank(args), expected_m) for expected_m in {asked}]
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * len(asked)
    assert [launch["kernel"] for launch in gemms(log)] == chosen(n, k)


def test_what_tma_cannot_address_is_copied_and_nothing_else(on_fake_gpu: Run) -> None:
    code = """
def laid_out(x, row_stride, slab_stride=0, offset=0):
    "The values of x with other strides and offset, or one slab for all where that is 0."
    shape = x.shape
    strides = (slab_stride, row_stride, 1)[3 - len(shape):]
    y = torch.zeros(20000, dtype=torch.uint8).view(FP8).as_strided(shape, strides, offset)
    (y if slab_stride or len(shape) < 3 else y[:1]).copy_(x if slab_stride or len(shape) < 3 else x[:1])
    return y
def mark(name):
    open(__import__("os").environ["FAKE_CUDA_LOG"], "a").write(json.dumps({"case": name}) + "\\n")
rows, slabs = grouped(TOLD["ends that leave rows"], 24, 96), grouped(TOLD["counts"], 24, 96)
result = {}
for name, args, of_a, of_b in (
    ("none", slabs, (96, 672), (96, 2304)),
    ("aligned strides", slabs, (112, 784), (128, 3088)),
    ("odd rows of a", slabs, (97, 688), (96, 2304)),
    ("odd slabs of a", slabs, (96, 680), (96, 2304)),
    ("odd base of a", slabs, (96, 672, 3), (96, 2304)),
    ("one slab of a for all", slabs, (96, 0), (96, 2304)),
    ("slabs of a within its rows", slabs, (560, 96), (96, 2304)),
    ("odd rows of b", rows, (96,), (100, 2400)),
    ("odd slabs of b", rows, (96,), (96, 2305)),
    ("odd base of b", rows, (96,), (96, 2304, 8)),
    ("one matrix of b for all", rows, (96,), (96, 0)),
    ("odd rows of a and b", rows, (101,), (101, 2424)),
):
    mark(name)
    args = [laid_out(args[0], *of_a), args[1], laid_out(args[2], *of_b), *args[3:]]
    result[name] = exact(args, blank(args))
for name, n, k in (("one row of each matrix", 1, 90), ("K of 90", 24, 90)):
    mark(name)
    args = grouped(TOLD["ends that leave rows"], n, k)
    result[name] = exact(args, blank(args))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert all(result.values()), result
    copied: dict[str, list[int]] = {}
    for line in log:
        if "case" in line:
            case = copied.setdefault(line["case"], [])
        elif line.get("kernel", "").startswith("pad_rows"):
            case.append(line["rows"])
    # Slab by slab: a has seven rows in each, or 40, and b 24.
    of_b, slabs_of_a = [24] * 5, [7] * 5
    assert copied == {
        "none": [],
        "aligned strides": [],
        "odd rows of a": slabs_of_a,
        "odd slabs of a": slabs_of_a,
        "odd base of a": slabs_of_a,
        "one slab of a for all": [],
        "slabs of a within its rows": [],
        "odd rows of b": of_b,
        "odd slabs of b": of_b,
        "odd base of b": of_b,
        "one matrix of b for all": [],
        "odd rows of a and b": [40, *of_b],
        "one row of each matrix": [40, *[1] * 5],
        "K of 90": [40, *of_b],
    }


def test_scales_of_a_go_by_the_copy_engine_where_it_can(on_fake_gpu: Run) -> None:
    code = """
def laid_out(x, strides, offset=0):
    whole = [slice(None) if stride else slice(1) for stride in strides]
    y = torch.full((9000,), float("nan")).as_strided(x.shape, strides, offset)
    y[tuple(whole)] = x[tuple(whole)]
    return y
rows, slabs = grouped(TOLD["ends that leave rows"], 24, 300), grouped(TOLD["counts"], 24, 300)
result = []
for args, strides, offset in (
    (rows, (1, 40), 0), (rows, (1, 44), 4), (rows, (1, 41), 0), (rows, (1, 40), 2), (rows, (3, 1), 0),
    (rows, (0, 0), 0), (slabs, (24, 1, 8), 0), (slabs, (8, 1, 40), 0), (slabs, (0, 1, 8), 0), (slabs, (26, 1, 8), 0),
    (slabs, (24, 1, 8), 1), (slabs, (30, 1, 10), 0), (slabs, (21, 3, 1), 0), (slabs, (0, 0, 0), 0),
):
    args = [args[0], laid_out(args[1], strides, offset), *args[2:]]
    result.append(exact(args, blank(args)))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 14
    by_tma = [launch["a_scale"] is not None for launch in gemms(log)]
    assert by_tma == [True] * 2 + [False] * 4 + [True] * 3 + [False] * 5


def test_d_goes_by_bulk_stores_where_it_can(on_fake_gpu: Run) -> None:
    code = """
rows, slabs = grouped(TOLD["ends that leave rows"], 24, 96), grouped(TOLD["counts"], 24, 96)
result = []
for args, strides, offset in (
    (rows, (24, 1), 0), (rows, (64, 1), 8), (rows, (25, 1), 0), (rows, (24, 1), 1),
    (slabs, (168, 24, 1), 0), (slabs, (320, 32, 1), 8), (slabs, (169, 24, 1), 0), (slabs, (182, 26, 1), 0),
    (slabs, (168, 24, 1), 4),
):
    base = torch.full((4000,), KEEP, dtype=torch.bfloat16)
    out = base.as_strided(blank(args).shape, strides, offset)
    right = exact(args, out)
    out.fill_(KEEP)
    result.append(right and bool((base == KEEP).all()))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 9, "a wrong product, or a write outside of the groups"
    assert [launch["d_by_tma"] for launch in gemms(log)] == [1, 1, 0, 0, 1, 1, 0, 0, 0]


def test_rows_of_slabs_of_out_may_take_turns(on_fake_gpu: Run) -> None:
    code = """
result = []
for n in (40, 41):
    args = grouped(TOLD["counts"], n, 200)
    out = blank(args).transpose(0, 1).contiguous().transpose(0, 1)
    result += [exact(args, out), out.is_contiguous()]
"""
    result, _ = on_fake_gpu(PREAMBLE + code)
    assert result == [True, False] * 2


def test_nothing_is_launched_for_nothing(on_fake_gpu: Run) -> None:
    code = """
result = []
for kind in KINDS:
    for m, n, k, groups in ((0, 8, 8, 2), (8, 0, 8, 2), (8, 8, 8, 0), (8, 8, 0, 2), (8, 8, 0, 0)):
        told = Told(kind, (0,) * (m if kind == "indices" else groups), m)
        rows = m * (groups if kind == "counts" else 1)
        a, a_scale = torch.zeros(rows, k).to(FP8), torch.ones(rows, -(-k // 128))
        if kind == "counts":
            a, a_scale = a.view(groups, m, k), a_scale.view(groups, m, -(-k // 128))
        b, b_scale = torch.zeros(groups, n, k).to(FP8), torch.ones(groups, -(-n // 128), -(-k // 128))
        args = [a, a_scale, b, b_scale, torch.tensor(told.numbers, dtype=torch.int32), KINDS.index(kind), 1]
        out = blank(args)
        on_gpu(ops.m_grouped_fp8_gemm_nt.out, *args, 0, out=out)
        result.append(bool((out == (0 if k == 0 else KEEP)).all()))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result == [True] * 15
    assert log == []


@pytest.mark.parametrize(("version", "overlap"), [(12020, 0), (12030, 1)])
def test_it_overlaps_the_kernels_in_front(on_fake_gpu: Run, version: int, overlap: int) -> None:
    """The driver of CUDA 12.3 is the first one that records such a launch in a graph."""
    code = """
args = grouped(TOLD["ends"], 8, 128)
result = exact(args, blank(args))
"""
    result, log = on_fake_gpu(PREAMBLE + code, FAKE_CUDA_VERSION=version)
    assert result
    assert [launch["overlap"] for launch in gemms(log)] == [overlap]


def test_every_float32_kernel_adds_to_out(on_fake_gpu: Run) -> None:
    code = """
result = []
for index, kernel in enumerate(kernels()):
    if kernel["kind"] != "gemm" or kernel["out"] != "f32":
        continue
    p = integer_problem(130, 136, 144, b_rows=1 if kernel["row_scales_b"] else 128)
    out = torch.arange(130 * 136).view(130, 136).float()
    want = out + product(p).float()
    on_gpu(ops.fp8_gemm_nt_with.default, *p.args, index, False, True, out=out)
    result.append(torch.equal(out, want))
p = integer_problem(3, 4, 5)
out = torch.full((3, 4), KEEP, dtype=torch.bfloat16)
result.append(caught(lambda: on_gpu(ops.fp8_gemm_nt.out, *p.args, False, True, out=out)))
p = integer_problem(3, 4, 0)
out = torch.full((3, 4), KEEP)
on_gpu(ops.fp8_gemm_nt.out, *p.args, False, True, out=out)
result.append(bool((out == KEEP).all()))
"""
    result, log = on_fake_gpu(PREAMBLE + code)
    assert result[:-2] == [True] * len(F32)
    assert "out is bfloat16 but with accumulate needs float32" in result[-2]
    assert result[-1]
    assert [(launch["kernel"], launch["accumulate"]) for launch in gemms(log)] == [(k["name"], 1) for k in F32]
