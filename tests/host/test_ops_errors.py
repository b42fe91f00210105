"""Bad input: every refusal names the argument, what it got, what it needs."""

from typing import Any

import pytest
import reference
import torch

import barrow

M, N, K = 6, 200, 300


def arguments(**changed: Any) -> dict[str, Any]:
    p = reference.integer_problem(M, N, K)
    return {"a": p.a, "a_scale": p.a_scale, "b": p.b, "b_scale": p.b_scale, **changed}


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def fp8(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.float8_e4m3fn)


def misaligned(*shape: int) -> torch.Tensor:
    """Float32 that starts one byte past a multiple of four."""
    count = torch.Size(shape).numel()
    return torch.frombuffer(bytearray(count * 4 + 1), dtype=torch.float32, offset=1, count=count).view(shape)


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "a dtype": ({"a": zeros(M, K)}, r"a has dtype float32 but needs float8_e4m3fn"),
    "a e5m2": ({"a": zeros(M, K).to(torch.float8_e5m2)}, r"a has dtype float8_e5m2 but needs float8_e4m3fn"),
    "b dtype": ({"b": zeros(N, K).bfloat16()}, r"b has dtype bfloat16 but needs float8_e4m3fn"),
    "a_scale dtype": ({"a_scale": zeros(M, 3).half()}, r"a_scale has dtype float16 but needs float32"),
    "b_scale dtype": ({"b_scale": zeros(2, 3).double()}, r"b_scale has dtype float64 but needs float32"),
    "a rank": ({"a": fp8(2, 3, K)}, r"a has 3 dimensions but needs 2"),
    "b rank": ({"b": fp8(K)}, r"b has 1 dimensions but needs 2"),
    "a_scale rank": ({"a_scale": zeros(M)}, r"a_scale has 1 dimensions but needs 2"),
    "b_scale rank": ({"b_scale": zeros()}, r"b_scale has 0 dimensions but needs 2"),
    "K mismatch": ({"b": fp8(N, 128)}, rf"b has K = 128 but a has K = {K}; pass b as \[N, K\] with a's K"),
    "a_scale rows": ({"a_scale": zeros(M + 1, 3)}, r"a_scale has shape \[7, 3\] but needs \[6, 3\]"),
    "a_scale blocks": ({"a_scale": zeros(M, 2)}, r"a_scale has shape \[6, 2\] but needs \[6, 3\]"),
    "a_scale per tensor": ({"a_scale": zeros(1, 1)}, r"a_scale has shape \[1, 1\] but needs \[6, 3\]"),
    "b_scale rows": ({"b_scale": zeros(1, 3)}, r"b_scale has shape \[1, 3\] but needs \[2, 3\]"),
    "b_scale transposed": ({"b_scale": zeros(3, 2)}, r"b_scale has shape \[3, 2\] but needs \[2, 3\]"),
    "a stride": ({"a": fp8(K, M).T}, r"a has stride 6 along its last dimension but needs 1"),
    "b stride": ({"b": fp8(N, 2 * K)[:, ::2]}, r"b has stride 2 along its last dimension but needs 1"),
    "a_scale address": ({"a_scale": misaligned(M, 3)}, r"a_scale starts at address 0x.* multiple of .*, 4"),
    "b_scale address": ({"b_scale": misaligned(2, 3)}, r"b_scale starts at address 0x.* multiple of .*, 4"),
    "out_dtype": ({"out_dtype": torch.float16}, r"out_dtype is float16 but needs bfloat16 or float32"),
    "out dtype": ({"out": zeros(M, N).half()}, r"out_dtype is float16 but needs bfloat16 or float32"),
    "out shape": ({"out": zeros(N, M)}, r"out has shape \[200, 6\] but needs \[M, N\] = \[6, 200\]"),
    "out rank": ({"out": zeros(M * N)}, r"out has 1 dimensions but needs 2"),
    "out stride": ({"out": zeros(N, M).T}, r"out has stride 6 along its last dimension but needs 1"),
    "out expanded": ({"out": zeros(1, N).expand(M, N)}, r"out has row stride 0 but needs at least N = 200"),
    "out address": ({"out": misaligned(M, N)}, r"out starts at address 0x.* multiple of .*, 4"),
}


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")
@pytest.mark.parametrize("case", CASES)
def test_gemm(case: str) -> None:
    changed, message = CASES[case]
    with pytest.raises(RuntimeError, match=f"barrow.fp8_gemm_nt: {message}"):
        barrow.fp8_gemm_nt(**arguments(**changed))


@pytest.mark.parametrize("name", ["a", "b", "a_scale", "b_scale"])
def test_out_overlapping_an_input(name: str) -> None:
    given = arguments()
    tensor = given[name].contiguous()
    memory = torch.zeros(M * N * 4 + tensor.nbytes, dtype=torch.uint8)
    # The input's last row shares bytes with out's first.
    given[name] = memory[: tensor.nbytes].view(tensor.dtype).view(tensor.shape).copy_(tensor)
    start = (tensor.nbytes - 4) // 4 * 4
    out = memory[start : start + M * N * 4].view(torch.float32).view(M, N)
    with pytest.raises(RuntimeError, match=f"barrow.fp8_gemm_nt: out overlaps {name} in memory"):
        barrow.fp8_gemm_nt(**given, out=out)


@pytest.mark.parametrize("quantizer", [barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 4, dtype=torch.float64), r"x has dtype float64 but needs bfloat16, float16 or float32"),
        (torch.zeros(3, 4, dtype=torch.int32), r"x has dtype int32 but needs bfloat16, float16 or float32"),
        (torch.zeros(3), r"x has 1 dimensions but needs 2"),
        (torch.zeros(2, 3, 4), r"x has 3 dimensions but needs 2"),
        (torch.zeros(4, 3).T, r"x has stride 3 along its last dimension but needs 1"),
        (misaligned(3, 4), r"x starts at address 0x.* multiple of .*, 4"),
    ],
    ids=["float64", "int32", "1-D", "3-D", "transposed", "misaligned"],
)
def test_quantizers(quantizer: Any, x: torch.Tensor, message: str) -> None:
    with pytest.raises(RuntimeError, match=f"barrow.*: {message}"):
        quantizer(x)


def test_a_sparse_tensor() -> None:
    with pytest.raises(NotImplementedError, match=r"per_token_group_quant_fp8.*Sparse"):
        barrow.per_token_group_quant_fp8(torch.zeros(3, 4).to_sparse())
