"""Every launch, against a fake libcuda (fake_gpu/): maps, geometry, what is copied, and that the result is right."""

from typing import Any, Literal

import fake_driver
import pytest
from choice_probe import SHIPPED
from fake_driver import Run, gemms

from barrow.launcher import choose, kernels

OUTPUTS: tuple[Literal["bf16", "f32"], ...] = ("bf16", "f32")

GEMMS = [
    kernel
    for kernel in kernels()
    if kernel["kind"] == "gemm" and kernel["out"] == "bf16" and not kernel["row_scales_b"]
]

SHAPES = [(1, 1, 1), (1, 256, 512), (64, 128, 128), (65, 200, 300), (130, 17, 257), (3, 2, 16), (200, 1, 48)]


def check_geometry(launch: dict[str, Any], m: int, n: int, k: int) -> None:
    """Grid, block, cluster, shared memory, stream and the maps of A and B are those of the kernel and shape."""
    kernel = next(kernel for kernel in kernels() if kernel["name"] == launch["kernel"])
    assert kernel["kind"] == "gemm"
    assert (launch["m"], launch["n"], launch["k"], launch["stream"]) == (m, n, k, 77)
    size = kernel["cluster_k"]
    ctas = -(-m // kernel["block_m"]) * -(-n // kernel["block_n"]) * size
    if kernel["alternates"]:  # as many in each round, and an even number
        ctas = -(-ctas // -(-ctas // fake_driver.SMS) // 2) * 2
    # Clusters that split K have one tile each, and CTAs that are no cluster's come in pairs where they start early.
    cluster = max(size, 2) if launch["overlap"] else size
    assert launch["grid"] == -(-(ctas if kernel["cluster_k"] > 1 else min(ctas, fake_driver.SMS)) // cluster) * cluster
    assert launch["cluster"] == cluster
    assert (launch["block"], launch["smem"]) == (kernel["threads"], kernel["smem_bytes"])
    assert launch["a_box_rows"] == min(m, kernel["part_rows"])
    for name, rows, box_rows in (("a", m, min(m, kernel["part_rows"])), ("b", n, kernel["block_n"])):
        operand = launch[name]
        assert (operand["cols"], operand["rows"], operand["box"]) == (k, rows, [128, box_rows])
        assert (operand["element_bytes"], operand["swizzle"]) == (1, 3)
    # The quantizer's scales have adjacent rows and K blocks at multiples of 16 bytes: the copy engine takes them.
    scales = [("a_scale", m, kernel["block_m"])]
    if kernel["row_scales_b"]:
        scales.append(("b_scale", n, kernel["block_n"]))
    else:
        assert launch["b_scale"] is None
    for name, rows, block in scales:
        scale = launch[name]
        assert (scale["cols"], scale["rows"]) == (rows, -(-k // 128))
        assert scale["box"] == [min(-(-rows // 4) * 4, block), 1]
        assert (scale["element_bytes"], scale["swizzle"]) == (4, 0)


@pytest.mark.parametrize("make", ["problem", "problem_rows"])
def test_every_shape_computes_by_the_chosen_kernel(make: str, on_fake_gpu: Run) -> None:
    code = f"""
result = []
for m, n, k in {SHAPES}:
    args = {make}(m, n, k)
    for dtype in (torch.bfloat16, torch.float32):
        got = gemm(*args, dtype)
        result.append([wrong(got, args, dtype), str(got.dtype), list(got.shape), list(got.stride())])
"""
    result, log = on_fake_gpu(code)
    shapes = [(shape, out) for shape in SHAPES for out in OUTPUTS]
    torch_name = {"bf16": "torch.bfloat16", "f32": "torch.float32"}
    assert result == [[False, torch_name[out], [m, n], [n, 1]] for (m, n, _), out in shapes]
    launches = gemms(log)
    for ((m, n, k), out), launch in zip(shapes, launches, strict=True):
        # Scales of one row are those of one block.
        rows = make == "problem_rows" and n > 1
        assert launch["kernel"] == choose(m, n, k, out, fake_driver.SMS, fake_driver.GB_S, rows)[0]["kernel"]
        check_geometry(launch, m, n, k)


def test_a_measured_choice_is_what_runs(on_fake_gpu: Run) -> None:
    gpus = [
        gpu for gpu in SHIPPED if (gpu.num_sms, gpu.memory_gb_s) == (fake_driver.SMS, fake_driver.GB_S) and gpu.choices
    ]
    if not gpus:
        pytest.skip("no table of measured choices is shipped for the fake GPU")
    plain = [choice for choice in gpus[0].choices if choice.groups == 0]
    smallest = min(plain, key=lambda c: (c.m * c.n * c.k, c.kernel))
    dtype = "bfloat16" if "_bf16_" in smallest.kernel else "float32"
    shape = f"{smallest.m}, {smallest.n}, {smallest.k}"
    _, log = on_fake_gpu(f"result = str(gemm(*problem({shape}), torch.{dtype}).shape)")
    (launch,) = gemms(log)
    assert launch["kernel"] == smallest.kernel


def test_every_kernel_can_be_named(on_fake_gpu: Run) -> None:
    names = [kernel["name"] for kernel in kernels() if kernel["kind"] == "gemm"]
    code = """
from barrow.launcher import kernels
kinds, result = (problem(130, 136, 144), problem_rows(130, 136, 144)), []
for index, kernel in enumerate(kernels()):
    if kernel["kind"] == "gemm":
        args = kinds[kernel["row_scales_b"]]
        dtype = torch.bfloat16 if kernel["out"] == "bf16" else torch.float32
        out = torch.empty(130, 136, dtype=dtype)
        on_gpu(ops.fp8_gemm_nt_with.default, *args, index, out=out)
        result.append(wrong(out, args, dtype))
out = torch.empty(130, 136)
for index in (-1, len(kernels()), 0 if kernels()[0]["out"] == "bf16" else -2):
    result.append(caught(lambda: on_gpu(ops.fp8_gemm_nt_with.default, *args, index, out=out)))
"""
    result, log = on_fake_gpu(code)
    assert result[: len(names)] == [False] * len(names)
    launches = [line for line in log if "kernel" in line]
    assert [launch["kernel"] for launch in launches] == names
    for launch in launches:
        check_geometry(launch, 130, 136, 144)
    last = sum(kernel["kind"] != "aux" for kernel in kernels()) - 1
    assert f"kernel is -1 but needs to be from 0 to {last}" in result[-3]
    assert f"kernel is {len(kernels())} but needs to be from 0 to {last}" in result[-2]
    assert "does not write the dtype of out" in result[-1]


def test_what_tma_cannot_address_is_copied_and_nothing_else(on_fake_gpu: Run) -> None:
    code = """
m, n, k = 20, 40, 96
a, a_scale, b, b_scale = problem(m, n, k)
def wide(x, columns, offset=0):
    y = torch.zeros(x.shape[0], columns, dtype=torch.uint8).view(FP8)
    y[:, offset:offset + x.shape[1]].copy_(x)
    return y[:, offset:offset + x.shape[1]]
cases = {
    "none": (a, a_scale, b, b_scale),
    "aligned stride": (wide(a, 112), a_scale, wide(b, 128), b_scale),
    "odd stride of a": (wide(a, 97), a_scale, b, b_scale),
    "odd stride of b": (a, a_scale, wide(b, 100), b_scale),
    "odd base of a": (wide(a, 112, 1), a_scale, b, b_scale),
    "aligned base of b": (a, a_scale, wide(b, 128, 16), b_scale),
    "a expanded": (a[:1].expand(m, k), a_scale[:1].expand(m, 1), b, b_scale),
    "b rows overlap": (a, a_scale, b.flatten().as_strided((n, k), (16, 1)), b_scale),
    "one row with odd stride": (wide(a, 97)[:1], a_scale[:1], b, b_scale),
    "one row with odd base": (wide(a, 112, 3)[:1], a_scale[:1], b, b_scale),
    "K of 90": (wide(a[:, :90], 96), a_scale, wide(b[:, :90], 96), b_scale),
    "scales transposed and expanded": (a, a_scale.T.contiguous().T, b, b_scale[:, :1].expand(1, 1)),
}
result = {}
for name, args in cases.items():
    open(__import__("os").environ["FAKE_CUDA_LOG"], "a").write(json.dumps({"case": name}) + "\\n")
    result[name] = wrong(gemm(*args), args)
"""
    result, log = on_fake_gpu(code)
    assert not any(result.values()), result
    copies: dict[str, list[int]] = {}
    for line in log:
        if "case" in line:
            case = copies.setdefault(line["case"], [])
        elif line.get("kernel", "").startswith("pad_rows"):
            assert line["dst_stride"] == -(-line["row_bytes"] // 16) * 16
            assert (line["grid"], line["block"]) == (line["rows"], 256)
            case.append(line["rows"])
    assert copies == {
        "none": [],
        "aligned stride": [],
        "odd stride of a": [20],
        "odd stride of b": [40],
        "odd base of a": [20],
        "aligned base of b": [],
        "a expanded": [20],
        "b rows overlap": [40],
        "one row with odd stride": [],
        "one row with odd base": [1],
        "K of 90": [],
        "scales transposed and expanded": [],
    }


def test_d_goes_by_bulk_stores_where_it_can(on_fake_gpu: Run) -> None:
    code = """
m, n, k = 20, 40, 128
args, result = problem(m, n, k), []
for rows, columns, offset, stride in (
    (m, n, 0, 40), (m, n, 0, 64), (m, n, 8, 48), (m, n, 0, 41), (m, n, 1, 40), (1, n, 0, 41), (1, n, 3, 40),
    (m, 37, 0, 40), (1, 37, 0, 40), (m, 32, 0, 40),
):
    base = torch.full((m * 64 + 16,), 7.0, dtype=torch.bfloat16)
    out = base.as_strided((rows, columns), (stride, 1), offset)
    some = [args[0][:rows], args[1][:rows], args[2][:columns], args[3]]
    on_gpu(ops.fp8_gemm_nt.out, *some, out=out)
    wrong_product = wrong(out, some)
    out.fill_(7)
    result.append(wrong_product or bool((base != 7).any()))
wide = torch.empty(m, n)
on_gpu(ops.fp8_gemm_nt.out, *args, out=wide)
result.append(wrong(wide, args, torch.float32))
"""
    result, log = on_fake_gpu(code)
    assert result == [False] * 11, "a wrong product, or a write outside of out"
    launches = [line for line in log if "d_by_tma" in line]
    assert [line["d_by_tma"] for line in launches] == [1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0]
    for line in launches:
        if line["d_by_tma"]:
            columns = line["d"]["box"][0]
            kernel = next(kernel for kernel in kernels() if kernel["name"] == line["kernel"])
            assert kernel["kind"] == "gemm"
            assert line["d"]["box"] == [kernel["store_columns"], kernel["store_rows"]]
            assert (line["d"]["element_bytes"], 16 << line["d"]["swizzle"]) == (2, 2 * columns)


def test_float32_goes_by_bulk_stores_where_each_row_of_b_has_a_scale(on_fake_gpu: Run) -> None:
    code = """
m, n, k = 20, 40, 128
args, result = problem_rows(m, n, k), []
for accumulate in (False, True):
    for rows, columns, offset, stride in (
        (m, n, 0, 40), (m, n, 4, 44), (m, n, 0, 42), (m, n, 2, 40), (1, n, 0, 41), (1, n, 3, 40),
        (m, 38, 0, 40), (1, 37, 0, 40), (m, 36, 0, 40),
    ):
        base = torch.full((m * 64 + 16,), 7.0)
        out = base.as_strided((rows, columns), (stride, 1), offset)
        a, a_scale, b, b_scale = args
        some = [a[:rows], a_scale[:rows], b[:columns], b_scale[:columns]]
        on_gpu(ops.fp8_gemm_nt.out, *some, False, accumulate, out=out)
        wrong_product = wrong(out - 7 if accumulate else out, some, torch.float32)
        out.fill_(7)
        result.append(wrong_product or bool((base != 7).any()))
"""
    result, log = on_fake_gpu(code)
    assert result == [False] * 18, "a wrong product, or a write outside of out"
    launches = [line for line in log if "d_by_tma" in line]
    assert [line["accumulate"] for line in launches] == [0] * 9 + [1] * 9
    assert [line["d_by_tma"] for line in launches] == [1, 1, 0, 0, 1, 0, 0, 0, 1] * 2
    for line in launches:
        assert line["kernel"].endswith("_rows")
        if line["d_by_tma"]:
            d = line["d"]
            kernel = next(kernel for kernel in kernels() if kernel["name"] == line["kernel"])
            assert kernel["kind"] == "gemm"
            box = [kernel["store_columns"], kernel["store_rows"]]
            assert (d["box"], d["element_bytes"], d["swizzle"]) == (box, 4, 0)


def test_scales_of_a_go_by_the_copy_engine_where_it_can(on_fake_gpu: Run) -> None:
    code = """
m, n, k = 20, 40, 384
a, a_scale, b, b_scale = problem(m, n, k)
def strided(offset, row_stride, k_stride, rows=m, blocks=3):
    buffer = torch.zeros(4096)
    view = buffer.as_strided((rows, blocks), (row_stride, k_stride), offset)
    return view.copy_(a_scale[:rows, :blocks]) if row_stride and k_stride else a_scale[0, 0].expand(rows, blocks)
cases = [
    (a, a_scale), (a, strided(0, 1, 24)), (a, strided(4, 1, 20)),
    (a, strided(0, 1, 21)), (a, strided(1, 1, 24)), (a, strided(0, 3, 1)), (a, strided(0, 0, 0)),
    (a[:1], strided(0, 5, 8, rows=1)), (a[:1], strided(0, 3, 1, rows=1)),
]
result = []
for x, scale in cases:
    args = x, scale, b, b_scale
    result.append(wrong(gemm(*args), args))
# One block of K: its stride is never used.
args = a[:, :128], strided(0, 1, 7, blocks=1), b[:, :128], b_scale[:, :1]
result.append(wrong(gemm(*args), args))
"""
    result, log = on_fake_gpu(code)
    assert result == [False] * 10
    launches = gemms(log)
    assert [line["a_scale"] is not None for line in launches] == [True] * 3 + [False] * 4 + [True, False, True]


def test_a_kernel_for_other_scales_of_b_is_refused(on_fake_gpu: Run) -> None:
    code = """
from barrow.launcher import kernels
gemms = [(i, kernel) for i, kernel in enumerate(kernels()) if kernel["kind"] == "gemm"]
def run(n, make, index, kernel):
    args = make(3, n, 208)
    out = torch.empty(3, n, dtype=torch.bfloat16 if kernel["out"] == "bf16" else torch.float32)
    return caught(lambda: on_gpu(ops.fp8_gemm_nt_with.default, *args, index, out=out) or wrong(out, args, out.dtype))
refused = [run(2, problem if kernel["row_scales_b"] else problem_rows, i, kernel) for i, kernel in gemms]
either = [run(1, make, i, kernel) for make in (problem, problem_rows) for i, kernel in gemms]
result = [refused, either]
"""
    (refused, either), log = on_fake_gpu(code)
    gemms = [kernel for kernel in kernels() if kernel["kind"] == "gemm"]
    for kernel, text in zip(gemms, refused, strict=True):
        takes, has = ("row", "128 rows") if kernel["row_scales_b"] else ("128 rows", "row")
        assert text == (
            f"RuntimeError: barrow.fp8_gemm_nt_with: kernel {kernel['name']} takes one scale of b per {takes} but "
            f"b_scale has one per {has}; choose another"
        )
    # One row of b has one scale for each 128 of K either way.
    assert either == ["False"] * len(gemms) * 2
    assert [line["kernel"] for line in log if "kernel" in line] == [kernel["name"] for kernel in gemms] * 2


def test_scales_of_both_rows_go_by_the_copy_engine_or_are_copied(on_fake_gpu: Run) -> None:
    code = """
m, n, k = 20, 40, 384
a, a_scale, b, b_scale = problem_rows(m, n, k)
def laid_out(scale, offset, row_stride, k_stride):
    return torch.zeros(4096).as_strided(scale.shape, (row_stride, k_stride), offset).copy_(scale)
good, odd_base, odd_stride, row_major = (0, 1, 64), (1, 1, 64), (0, 1, 65), (0, 3, 1)
cases = [
    (good, good), (good, (4, 1, 40)), (good, odd_base), (odd_base, good), (good, odd_stride),
    (good, row_major), (row_major, good), (row_major, row_major),
]
result = []
for of_a, of_b in cases:
    args = a, laid_out(a_scale, *of_a), b, laid_out(b_scale, *of_b)
    result.append(wrong(gemm(*args), args))
# Rows that share one scale, and one block of K, whose stride is never used.
args = a, a_scale, b, b_scale[:1].expand(n, 3)
result.append(wrong(gemm(*args), args))
args = a[:, :128], a_scale[:, :1], b[:, :128], laid_out(b_scale[:, :1], 0, 1, 7)
result.append(wrong(gemm(*args), args))
"""
    result, log = on_fake_gpu(code)
    assert result == [False] * 10
    launches = gemms(log)
    assert [line["b_scale"] is not None for line in launches] == [True] * 2 + [False] * 7 + [True]
    for line in launches:
        assert (line["a_scale"] is None) == (line["b_scale"] is None)
        assert line["kernel"].endswith("_rows")


def test_nothing_is_launched_for_nothing(on_fake_gpu: Run) -> None:
    code = """
result = []
for m, n, k in ((0, 8, 8), (8, 0, 8), (0, 0, 0), (8, 8, 0)):
    scales = torch.ones(m, -(-k // 128)), torch.ones(-(-n // 128), -(-k // 128))
    a, b = (torch.zeros(rows, k, dtype=torch.uint8).view(FP8) for rows in (m, n))
    out = torch.full((m, n), 7.0)
    on_gpu(ops.fp8_gemm_nt.out, a, scales[0], b, scales[1], out=out)
    result.append([list(out.shape), out.sum().item()])
for shape in ((0, 300), (3, 0)):
    for op in (ops.per_token_group_quant_fp8, ops.per_block_quant_fp8):
        result.append([list(t.shape) for t in on_gpu(op.default, torch.ones(shape), False)])
"""
    result, log = on_fake_gpu(code)
    assert result[:4] == [[[0, 8], 0.0], [[8, 0], 0.0], [[0, 0], 0.0], [[8, 8], 0.0]]
    assert result[4:] == [[[0, 300], [0, 3]], [[0, 300], [0, 3]], [[3, 0], [3, 0]], [[3, 0], [1, 0]]]
    assert log == []


def test_quantizers_are_launched_as_the_kernels_expect(on_fake_gpu: Run) -> None:
    code = """
result = []
for dtype in (torch.bfloat16, torch.float16, torch.float32):
    x = torch.randn(70, 310).to(dtype)[:, :300]
    x[0, 0], x[1, 1], x[2], x[3] = float("inf"), float("nan"), 0, x[3] * 1e-7
    for op in (ops.per_token_group_quant_fp8, ops.per_block_quant_fp8):
        q, scale = on_gpu(op.default, x, dtype == torch.float16)
        wanted_q, wanted_scale = op.default(x, dtype == torch.float16)
        assert torch.equal(q.view(torch.uint8), wanted_q.view(torch.uint8)) and torch.equal(scale, wanted_scale)
        result.append([str(q.dtype), list(q.shape), list(q.stride()), list(scale.shape), list(scale.stride())])
"""
    result, log = on_fake_gpu(code)
    launches = [line for line in log if "kernel" in line]
    token = {"grid": 9, "scale_stride_m": 1, "scale_stride_k": 72}
    block = {"grid": 3, "scale_stride_m": 3, "scale_stride_k": 1}
    common = {
        "block": 256,
        "cluster": 1,
        "overlap": 0,
        "smem": 0,
        "stream": 77,
        "device": 0,
        "m": 70,
        "k": 300,
        "x_stride_m": 310,
        "q_stride_m": 300,
    }
    symbols = {kernel["name"]: kernel["symbol"] for kernel in kernels() if kernel["kind"] == "aux"}
    expected = [
        {"kernel": f"{symbol}_{dtype}", "use_ue8m0": int(dtype == "f16"), **common, **own}
        for dtype in ("bf16", "f16", "f32")
        for symbol, own in (("per_token_group_quant", token), ("per_block_quant", block))
    ]
    assert [{**line, "kernel": symbols[line["kernel"]]} for line in launches] == expected
    shapes = ["torch.float8_e4m3fn", [70, 300], [300, 1]]
    assert result == [[*shapes, [70, 3], [1, 72]], [*shapes, [1, 3], [3, 1]]] * 3
