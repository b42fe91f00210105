"""Every rule about arguments: what breaks it is named, with what it got and what it needs; what keeps it passes."""

from typing import Any

import pytest
import torch
from refusal import misaligned, refused
from torch import Tensor

import barrow  # noqa: F401  (registers the operators)

FP8 = torch.float8_e4m3fn
M, N, K = 5, 200, 300
K_BLOCKS, N_BLOCKS = 3, 2

Arguments = dict[str, Any]


def fp8(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.uint8).view(FP8)


def arguments(**changes: Any) -> Arguments:
    """Arguments of fp8_gemm_nt that are right, with changes."""
    right = {
        "a": fp8(M, K),
        "a_scale": torch.ones(M, K_BLOCKS),
        "b": fp8(N, K),
        "b_scale": torch.ones(N_BLOCKS, K_BLOCKS),
        "out": None,
    }
    return {**right, **changes}


def check(arguments: Arguments) -> None:
    torch.ops.barrow.check_fp8_gemm_nt(**arguments)


def out_inside(tensor: Tensor, rows: int, columns: int) -> Tensor:
    """float32 in the memory of another tensor."""
    storage = tensor.untyped_storage()
    return torch.empty(0, dtype=torch.float32).set_(storage, 0, (rows, columns), (columns, 1))


BAD_GEMM: dict[str, tuple[Any, ...]] = {
    "a rank": (lambda: arguments(a=fp8(1, M, K)), "a has 3 dimensions but needs 2, [M, K]"),
    "b rank": (lambda: arguments(b=fp8(K)), "b has 1 dimensions but needs 2, [N, K]"),
    "a_scale rank": (lambda: arguments(a_scale=torch.ones(M)), "a_scale has 1 dimensions but needs 2"),
    "b_scale rank": (lambda: arguments(b_scale=torch.ones(1, 1, 1)), "b_scale has 3 dimensions but needs 2"),
    "out rank": (lambda: arguments(out=torch.empty(M).bfloat16()), "out has 1 dimensions but needs 2, [M, N]"),
    "a dtype": (lambda: arguments(a=torch.zeros(M, K)), "a has dtype float32 but needs float8_e4m3fn"),
    "b dtype": (
        lambda: arguments(b=torch.zeros(N, K, dtype=torch.uint8).view(torch.float8_e5m2)),
        "b has dtype float8_e5m2 but needs float8_e4m3fn",
    ),
    "a_scale dtype": (
        lambda: arguments(a_scale=torch.ones(M, K_BLOCKS).double()),
        "a_scale has dtype float64 but needs float32",
    ),
    "b_scale dtype": (
        lambda: arguments(b_scale=torch.ones(N_BLOCKS, K_BLOCKS).bfloat16()),
        "b_scale has dtype bfloat16 but needs float32",
    ),
    "out dtype": (
        lambda: arguments(out=torch.empty(M, N).half()),
        "out has dtype float16 but needs bfloat16 or float32",
    ),
    "K mismatch": (
        lambda: arguments(b=fp8(N, K + 1)),
        "b has K = 301 but a has K = 300; pass b as [N, K] with a's K",
    ),
    "b transposed": (lambda: arguments(b=fp8(N, K).T), "b has stride 300 along its last dimension but needs 1"),
    "a last stride": (
        lambda: arguments(a=fp8(M, 2 * K)[:, ::2]),
        "a has stride 2 along its last dimension but needs 1",
    ),
    "a_scale rows": (
        lambda: arguments(a_scale=torch.ones(M + 1, K_BLOCKS)),
        "a_scale has shape [6, 3] but needs [5, 3], [M, ceil(K / 128)], for a of shape [5, 300]",
    ),
    "a_scale columns": (lambda: arguments(a_scale=torch.ones(M, 1)), "a_scale has shape [5, 1] but needs [5, 3]"),
    "b_scale rows": (
        lambda: arguments(b_scale=torch.ones(N - 1, K_BLOCKS)),
        "b_scale has shape [199, 3] but needs [2, 3], [ceil(N / 128), ceil(K / 128)], for b of shape [200, 300]; pass "
        "one scale per 128 rows of b, or per row, and 128 of K",
    ),
    "b_scale columns": (
        lambda: arguments(b_scale=torch.ones(N, K_BLOCKS + 1)),
        "b_scale has shape [200, 4] but needs [200, 3], [N, ceil(K / 128)], for b of shape [200, 300]",
    ),
    "b_scale transposed": (
        lambda: arguments(b_scale=torch.ones(K_BLOCKS, N_BLOCKS)),
        "b_scale has shape [3, 2] but needs [2, 3]",
    ),
    "out shape": (
        lambda: arguments(out=torch.empty(N, M).bfloat16()),
        "out has shape [200, 5] but needs [M, N] = [5, 200]",
    ),
    "out last stride": (
        lambda: arguments(out=torch.empty(N, M).bfloat16().T),
        "out has stride 5 along its last dimension but needs 1",
    ),
    "out expanded": (
        lambda: arguments(out=torch.empty(1, N).bfloat16().expand(M, N)),
        "out has strides [0, 1], which let its rows overlap one another; pass an out that was not expanded",
    ),
    "out rows overlap": (
        lambda: arguments(out=torch.empty(M * N).bfloat16().as_strided((M, N), (N - 1, 1))),
        "out has strides [199, 1], which let its rows overlap",
    ),
    "a_scale misaligned": (
        lambda: arguments(a_scale=misaligned(M, K_BLOCKS)),
        "a_scale starts at address 0x",
        "but needs a multiple of its element size, 4",
    ),
    "b_scale misaligned": (
        lambda: arguments(b_scale=misaligned(N_BLOCKS, K_BLOCKS)),
        "b_scale starts at address 0x",
    ),
    "out misaligned": (
        lambda: arguments(out=misaligned(M, N)),
        "out starts at address 0x",
    ),
    "a device": (lambda: arguments(a=fp8(M, K).to("meta")), "a_scale is on cpu but a is on meta"),
    "a_scale device": (
        lambda: arguments(a_scale=torch.ones(M, K_BLOCKS, device="meta")),
        "a_scale is on meta but a is on cpu; pass all tensors on one device",
    ),
    "b device": (lambda: arguments(b=fp8(N, K).to("meta")), "b is on meta but a is on cpu"),
    "b_scale device": (
        lambda: arguments(b_scale=torch.ones(N_BLOCKS, K_BLOCKS, device="meta")),
        "b_scale is on meta but a is on cpu",
    ),
    "out device": (
        lambda: arguments(out=torch.empty(M, N, device="meta").bfloat16()),
        "out is on meta but a is on cpu",
    ),
    "M too large": (
        lambda: arguments(a=fp8(1, K).expand(2**31, K)),
        "a has M = 2147483648 but at most 2147483647 can be addressed",
    ),
    "N too large": (lambda: arguments(b=fp8(1, K).expand(2**31, K)), "b has N = 2147483648 but at most 2147483647"),
    "K too large": (
        lambda: arguments(
            a=torch.empty(1, 2**31, dtype=FP8, device="meta"), b=torch.empty(1, 2**31, dtype=FP8, device="meta")
        ),
        "a has K = 2147483648 but at most 2147483647",
    ),
}


@pytest.mark.parametrize("case", BAD_GEMM)
def test_a_bad_argument_of_the_gemm_is_named(case: str) -> None:
    make, *texts = BAD_GEMM[case]
    refused(lambda: check(make()), "barrow.fp8_gemm_nt: ", *texts)


@pytest.mark.parametrize("name", ["a", "a_scale", "b", "b_scale"])
def test_out_in_the_memory_of_an_input_is_refused(name: str) -> None:
    # Large enough inputs that a whole out fits into each.
    m, n, k = 128, 128, 128 * 512
    inputs = {"a": fp8(m, k), "a_scale": torch.ones(m, 512), "b": fp8(n, k), "b_scale": torch.ones(n // 128, 512)}
    rows = 1 if name == "b_scale" else m
    if rows == 1:
        inputs["a"], inputs["a_scale"] = inputs["a"][:1], inputs["a_scale"][:1]
    out = out_inside(inputs[name], rows, n)
    refused(
        lambda: check({**inputs, "out": out}),
        f"out overlaps {name} in memory",
        "another out",
    )


def test_out_right_behind_an_input_is_no_overlap() -> None:
    buffer = torch.zeros(M * K + 2 * M * N + 4, dtype=torch.uint8)
    a = buffer[: M * K].view(M, K).view(FP8)
    out = buffer[M * K : M * K + 2 * M * N].view(torch.bfloat16).view(M, N)
    check(arguments(a=a, out=out))
    one_row_up = buffer[M * K - 2 : M * K - 2 + 2 * M * N].view(torch.bfloat16).view(M, N)
    refused(lambda: check(arguments(a=a, out=one_row_up)), "out overlaps a in memory")


GOOD_GEMM = {
    "plain": lambda: arguments(),
    "out": lambda: arguments(out=torch.empty(M, N).bfloat16()),
    "out in float32": lambda: arguments(out=torch.empty(M, N)),
    "out in a wider tensor": lambda: arguments(out=torch.empty(M, N + 7).bfloat16()[:, 3 : 3 + N]),
    "a expanded": lambda: arguments(a=fp8(1, K).expand(M, K)),
    "b rows overlap": lambda: arguments(b=fp8(N + K).as_strided((N, K), (1, 1))),
    "a in a wider tensor": lambda: arguments(a=fp8(M, K + 5)[:, 5:]),
    "a scale per row of b": lambda: arguments(b_scale=torch.ones(K_BLOCKS, N).T),
    "scales transposed": lambda: arguments(a_scale=torch.ones(K_BLOCKS, M).T, b_scale=torch.ones(K_BLOCKS, N_BLOCKS).T),
    "scales expanded": lambda: arguments(
        a_scale=torch.ones(1, 1).expand(M, K_BLOCKS), b_scale=torch.ones(1).expand(N_BLOCKS, K_BLOCKS)
    ),
    "one column with any stride": lambda: arguments(
        a=fp8(M, 9)[:, :1], b=fp8(N, 7)[:, :1], a_scale=torch.ones(M, 1), b_scale=torch.ones(N_BLOCKS, 1)
    ),
    "one output column with any stride": lambda: arguments(
        b=fp8(1, K), b_scale=torch.ones(1, K_BLOCKS), out=torch.empty(M, 1).bfloat16().as_strided((M, 1), (1, 3))
    ),
    "no rows": lambda: arguments(a=fp8(0, K), a_scale=torch.ones(0, K_BLOCKS), out=torch.empty(0, N).bfloat16()),
    "no columns": lambda: arguments(b=fp8(0, K), b_scale=torch.ones(0, K_BLOCKS), out=torch.empty(M, 0).bfloat16()),
    "no K": lambda: arguments(a=fp8(M, 0), b=fp8(N, 0), a_scale=torch.ones(M, 0), b_scale=torch.ones(N_BLOCKS, 0)),
    "more than 2^31 elements": lambda: arguments(
        a=fp8(1, K).expand(2**24, K), a_scale=torch.ones(1, 1).expand(2**24, K_BLOCKS)
    ),
    "largest dimension": lambda: arguments(
        a=fp8(1, K).expand(2**31 - 1, K), a_scale=torch.ones(1, 1).expand(2**31 - 1, K_BLOCKS)
    ),
}


@pytest.mark.parametrize("case", GOOD_GEMM)
def test_good_arguments_of_the_gemm_pass(case: str) -> None:
    check(GOOD_GEMM[case]())


BAD_QUANT: dict[str, tuple[Any, ...]] = {
    "rank": (lambda: torch.ones(3), "x has 1 dimensions but needs 2"),
    "dtype": (lambda: torch.ones(3, 3).double(), "x has dtype float64 but needs bfloat16, float16 or float32"),
    "last stride": (lambda: torch.ones(3, 4).T, "x has stride 4 along its last dimension but needs 1"),
    "misaligned": (lambda: misaligned(3, 4), "x starts at address 0x", "a multiple of its element size, 4"),
    "too large": (lambda: torch.ones(1, 4).expand(2**31, 4), "x has rows = 2147483648 but at most 2147483647"),
}


QUANTIZERS = ("per_token_group_quant_fp8", "per_block_quant_fp8")


@pytest.mark.parametrize("op", QUANTIZERS)
@pytest.mark.parametrize("case", BAD_QUANT)
def test_a_bad_argument_of_a_quantizer_is_named(case: str, op: str) -> None:
    make, *texts = BAD_QUANT[case]
    refused(lambda: getattr(torch.ops.barrow, f"check_{op}")(make()), f"barrow.{op}: ", *texts)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (3, 0), (3, 1)])
@pytest.mark.parametrize("op", QUANTIZERS)
def test_good_arguments_of_a_quantizer_pass(op: str, dtype: torch.dtype, shape: tuple[int, int]) -> None:
    check_op = getattr(torch.ops.barrow, f"check_{op}")
    check_op(torch.ones(shape, dtype=dtype))
    check_op(torch.ones(shape[0], shape[1] + 1, dtype=dtype)[:, : shape[1]])


def test_the_operator_itself_refuses_what_the_check_refuses() -> None:
    bad = arguments(b=fp8(N, K + 1), float32_out=False)
    del bad["out"]
    refused(lambda: torch.ops.barrow.fp8_gemm_nt.default(**bad), "b has K = 301 but a has K = 300")
