"""Bad input on CUDA: an exception that names the argument, what it got and what it needs. Never a wrong number."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exact import Case, Operands, expected, operands
from fresh import run_fresh

import barrow
from barrow import launcher

M, N, K = 40, 200, 300

Quantizer = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
Damage = Callable[[bytes], bytes | None]


@pytest.fixture
def x(device: torch.device) -> Operands:
    return operands(Case(M, N, K), torch.bfloat16, device)


def _refused(x: Operands, *parts: str, out: torch.Tensor | None = None) -> None:
    """The call raises RuntimeError whose text has all `parts` in this order, and leaves the GPU usable."""
    with pytest.raises(RuntimeError, match=".*".join(["barrow.fp8_gemm_nt", *map(re.escape, parts)])):
        barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=out)
    torch.cuda.synchronize()


@pytest.mark.parametrize("name", ["a", "b"])
def test_wrong_dtype_of_an_operand(x: Operands, name: str) -> None:
    _refused(replace(x, **{name: getattr(x, name).to(torch.bfloat16)}), name, "bfloat16", "float8_e4m3fn")


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_other_float8_is_not_taken_for_e4m3(x: Operands, name: str) -> None:
    _refused(replace(x, **{name: getattr(x, name).view(torch.float8_e5m2)}), name, "float8_e5m2", "float8_e4m3fn")


@pytest.mark.parametrize("name", ["a_scale", "b_scale"])
def test_wrong_dtype_of_a_scale(x: Operands, name: str) -> None:
    _refused(replace(x, **{name: getattr(x, name).double()}), name, "float64", "float32")


def test_wrong_dtype_of_out(x: Operands) -> None:
    _refused(x, "out has dtype", "float16", "bfloat16 or float32", out=x.out.half())


def test_wrong_out_dtype(x: Operands) -> None:
    with pytest.raises(
        RuntimeError, match=r"out_dtype is torch\.float16 but needs to be torch\.bfloat16 or torch\.float32"
    ):
        barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out_dtype=torch.float16)


@pytest.mark.parametrize("name", ["a_scale", "b", "b_scale"])
def test_an_input_on_another_device(x: Operands, name: str) -> None:
    _refused(replace(x, **{name: getattr(x, name).cpu()}), name, "cpu", "cuda")


def test_out_on_another_device(x: Operands) -> None:
    _refused(x, "out", "cpu", "cuda", out=x.out.cpu())


@pytest.mark.parametrize("name", ["a", "a_scale", "b", "b_scale"])
def test_wrong_rank(x: Operands, name: str) -> None:
    _refused(replace(x, **{name: getattr(x, name)[None]}), name, "3 dimensions", "needs 2")


def test_wrong_rank_of_out(x: Operands) -> None:
    _refused(x, "out", "3 dimensions", "needs 2", out=x.out[None])


def test_k_mismatch(x: Operands) -> None:
    _refused(replace(x, b=x.b[:, :256]), "b has K = 256", "a has K = 300")


@pytest.mark.parametrize(
    ("name", "rows", "blocks"),
    [("a_scale", M - 1, 3), ("a_scale", M, 2), ("b_scale", 1, 3), ("b_scale", 2, 4)],
)
def test_wrong_shape_of_a_scale(x: Operands, name: str, rows: int, blocks: int) -> None:
    scale = torch.ones(rows, blocks, device=x.a.device)
    needed = "[40, 3]" if name == "a_scale" else "[2, 3]"
    _refused(replace(x, **{name: scale}), name, f"[{rows}, {blocks}]", needed)


def test_wrong_shape_of_out(x: Operands) -> None:
    _refused(x, "out", "[200, 40]", "[40, 200]", out=x.out.t().contiguous())


@pytest.mark.parametrize("name", ["a", "b"])
def test_an_operand_whose_k_is_not_contiguous(x: Operands, name: str) -> None:
    transposed = getattr(x, name).view(torch.uint8).t().contiguous().t().view(torch.float8_e4m3fn)
    _refused(replace(x, **{name: transposed}), name, "stride", "needs 1")


def test_out_whose_rows_are_not_contiguous(x: Operands) -> None:
    _refused(x, "out", "stride", "needs 1", out=torch.empty(N, M, dtype=torch.bfloat16, device=x.a.device).t())


def test_out_whose_rows_overlap(x: Operands) -> None:
    _refused(x, "out", "strides [0, 1]", "overlap", out=x.out[:1].expand(M, N))


def test_a_scale_of_any_stride_is_taken(x: Operands) -> None:
    """Strides of scales are free: a stride is no reason to refuse, and gives the same bits."""
    storage = torch.zeros(5 * M, 7 * 3, device=x.a.device)
    strided = storage[::5, ::7]
    strided.copy_(x.a_scale)
    assert torch.equal(barrow.fp8_gemm_nt(x.a, strided, x.b, x.b_scale), expected(x))


def _between_elements(t: torch.Tensor) -> torch.Tensor:
    """Contiguous `t` at an odd address. torch's views never make one; tensors from DLPack or a blob can be so."""
    raw = torch.zeros(t.nbytes + 16, dtype=torch.uint8, device=t.device)
    storage: torch.UntypedStorage = raw.untyped_storage()[1 : 1 + t.nbytes]
    return torch.empty(0, dtype=t.dtype, device=t.device).set_(storage, 0, t.shape, t.stride())


def test_out_between_two_elements(x: Operands) -> None:
    _refused(x, "out", "address", "multiple of its element size", out=_between_elements(x.out.contiguous()))


@pytest.mark.parametrize("name", ["a_scale", "b_scale"])
def test_a_scale_between_two_elements(x: Operands, name: str) -> None:
    scale = _between_elements(getattr(x, name).contiguous())
    _refused(replace(x, **{name: scale}), name, "address", "multiple of its element size")


@pytest.mark.parametrize("offset", [1, 3, 8, 15])
def test_misaligned_operands_are_padded_not_misread(offset: int, device: torch.device) -> None:
    """The copy engine needs 16 bytes; a base address that has fewer costs a copy, never a wrong number."""
    x = operands(Case(M, N, K, a_offset=offset, b_offset=16 - offset), torch.bfloat16, device)
    assert x.a.data_ptr() % 16 == offset
    assert torch.equal(barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale), expected(x))


@pytest.mark.parametrize("name", ["a", "a_scale", "b", "b_scale"])
def test_out_overlapping_an_input(x: Operands, name: str) -> None:
    """`out` is the memory of the input, seen as bfloat16, with one element shared."""
    mine: torch.Tensor = getattr(x, name)
    size = mine.untyped_storage().nbytes()
    tail = ((size + 1) // 2 - 1) * 2
    raw = torch.zeros(tail + M * N * 2, dtype=torch.uint8, device=x.a.device)
    shared = raw[:size].view(mine.dtype).as_strided(mine.shape, mine.stride())
    shared.copy_(mine)
    out = raw[tail:].view(torch.bfloat16).view(M, N)
    _refused(replace(x, **{name: shared}), "out", name, out=out)


def test_requires_grad(x: Operands) -> None:
    x.a_scale.requires_grad_()
    _refused(x, "a_scale", "requires grad", "no_grad")
    with torch.no_grad():
        assert torch.equal(barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale), expected(x))


@pytest.mark.parametrize("quantize", [barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8])
def test_quantizers_refuse(quantize: Quantizer, device: torch.device) -> None:
    for bad, parts in (
        (torch.zeros(4, 4, device=device, dtype=torch.float64), "x.*float64.*bfloat16, float16 or float32"),
        (torch.zeros(4, device=device), "x.*1 dimensions.*needs 2"),
        (torch.zeros(4, 8, device=device).t(), "x.*stride.*needs 1"),
        (torch.zeros(4, 8, device=device, requires_grad=True), "x.*requires grad.*no_grad"),
    ):
        with pytest.raises(RuntimeError, match=parts):
            quantize(bad)


DAMAGED = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
import barrow
assert barrow.__file__.startswith(sys.argv[1]), f"imported {barrow.__file__} and not the copy"
x = torch.ones(64, 256, device="cuda")
for call in (
    lambda: barrow.per_token_group_quant_fp8(x),
    lambda: barrow.fp8_gemm_nt(
        torch.ones(64, 256, device="cuda").to(torch.float8_e4m3fn), torch.ones(64, 2, device="cuda"),
        torch.ones(96, 256, device="cuda").to(torch.float8_e4m3fn), torch.ones(1, 2, device="cuda")),
):
    try:
        call()
    except RuntimeError as error:
        print(str(error).splitlines()[0])
    else:
        print("ran")
# The failure harms nothing else.
assert float((x + 1).sum()) == 2 * 64 * 256
"""


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data[:7], "truncated"),
        (lambda data: b"", "truncated"),
        (lambda data: None, "kernels.pack"),
        # Past the header every byte of every kernel is wrong.
        (lambda data: data[:16] + bytes(byte ^ 0x55 for byte in data[16:]), "damaged"),
    ],
    ids=["half", "header cut", "empty", "missing", "flipped bits"],
)
def test_a_damaged_pack(damage: Damage, says: str, tmp_path: Path) -> None:
    """Truncated, empty, missing or altered: a RuntimeError that names the file, never a crash."""
    package = Path(barrow.__file__).parent
    shutil.copytree(package, tmp_path / "barrow")
    pack = tmp_path / "barrow" / Path(launcher.pack_path()).relative_to(package)
    data = damage(pack.read_bytes())
    pack.unlink()
    if data is not None:
        pack.write_bytes(data)
    for line in run_fresh(DAMAGED, str(tmp_path)).splitlines():
        assert "barrow" in line
        assert str(pack) in line
        assert says in line
