"""Every rule about arguments of grouped GEMMs: what breaks it is named, and what keeps it passes."""

from typing import Any

import pytest
import torch
from refusal import misaligned, refused
from torch import Tensor

import barrow  # noqa: F401  (registers the operators)

OPS = torch.ops.barrow
FP8 = torch.float8_e4m3fn
G, M, N, K = 3, 5, 200, 300
K_BLOCKS, N_BLOCKS = 3, 2
ENDS, INDICES, COUNTS = range(3)

Arguments = dict[str, Any]


def fp8(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.uint8).view(FP8)


def bf16(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.bfloat16)


def ints(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.int32)


def rows(**changes: Any) -> Arguments:
    """Arguments that are right, with groups told by ends or, when changed, by indices."""
    right = {
        "a": fp8(M, K),
        "a_scale": torch.ones(M, K_BLOCKS),
        "b": fp8(G, N, K),
        "b_scale": torch.ones(G, N_BLOCKS, K_BLOCKS),
        "groups": ints(G),
        "kind": ENDS,
        "alignment": 1,
        "expected_m": 0,
        "out": None,
    }
    return {**right, **changes}


def indexed(**changes: Any) -> Arguments:
    return rows(**{"groups": ints(M), "kind": INDICES, "alignment": 128, **changes})


def slabs(**changes: Any) -> Arguments:
    """The same with a slab of rows for each group."""
    return rows(**{"a": fp8(G, M, K), "a_scale": torch.ones(G, M, K_BLOCKS), "kind": COUNTS, **changes})


def check(arguments: Arguments) -> None:
    OPS.check_m_grouped_fp8_gemm_nt(**arguments)


LONG = fp8(1, K).expand(2**31, K)

BAD: dict[str, tuple[Any, ...]] = {
    "kind": (lambda: rows(kind=3), "kind is 3 but needs 0 (ends), 1 (indices) or 2 (counts)"),
    "negative kind": (lambda: rows(kind=-1), "kind is -1 but needs 0"),
    "alignment": (lambda: rows(alignment=0), "alignment is 0 but needs to be from 1 to 2^31 - 1; pass the rows"),
    "alignment too large": (lambda: indexed(alignment=2**31), "alignment is 2147483648 but needs to be from 1"),
    "expected_m": (lambda: slabs(expected_m=-1), "expected_m is -1 but needs to be at least 0; pass the mean"),
    "a rank": (lambda: rows(a=fp8(1, M, K)), "a has 3 dimensions but needs 2, [M, K]; see the layouts of groups"),
    "a rank of slabs": (lambda: slabs(a=fp8(M, K)), "a has 2 dimensions but needs 3, [G, max_m, K]"),
    "b rank": (lambda: rows(b=fp8(N, K)), "b has 2 dimensions but needs 3, [G, N, K]"),
    "a_scale rank": (lambda: rows(a_scale=torch.ones(1, M, K_BLOCKS)), "a_scale has 3 dimensions but needs 2"),
    "a_scale rank of slabs": (lambda: slabs(a_scale=torch.ones(M, K_BLOCKS)), "a_scale has 2 dimensions but needs 3"),
    "b_scale rank": (lambda: rows(b_scale=torch.ones(N_BLOCKS, K_BLOCKS)), "b_scale has 2 dimensions but needs 3"),
    "ends rank": (lambda: rows(groups=ints(G)[None]), "group_ends has 2 dimensions but needs 1, [G]; pass one number"),
    "indices rank": (lambda: indexed(groups=ints(M)[None]), "m_indices has 2 dimensions but needs 1, [M]"),
    "counts rank": (lambda: slabs(groups=ints(G)[None]), "masked_m has 2 dimensions but needs 1, [G]"),
    "out rank": (lambda: rows(out=bf16(1, M, N)), "out has 3 dimensions but needs 2, [M, N]"),
    "out rank of slabs": (lambda: slabs(out=bf16(M, N)), "out has 2 dimensions but needs 3, [G, max_m, N]"),
    "a dtype": (
        lambda: rows(a=bf16(M, K)),
        "a has dtype bfloat16 but needs float8_e4m3fn; quantize it with barrow.per_token_group_quant_fp8",
    ),
    "b dtype": (
        lambda: rows(b=fp8(G, N, K).view(torch.float8_e5m2)),
        "b has dtype float8_e5m2 but needs float8_e4m3fn; quantize each matrix with barrow.per_block_quant_fp8",
    ),
    "a_scale dtype": (lambda: rows(a_scale=bf16(M, K_BLOCKS)), "a_scale has dtype bfloat16 but needs float32"),
    "b_scale dtype": (
        lambda: rows(b_scale=torch.ones(G, N_BLOCKS, K_BLOCKS).double()),
        "b_scale has dtype float64 but needs float32",
    ),
    "ends dtype": (lambda: rows(groups=ints(G).long()), "group_ends has dtype int64 but needs int32; convert it with"),
    "counts dtype": (lambda: slabs(groups=ints(G).float()), "masked_m has dtype float32 but needs int32"),
    "out dtype": (lambda: rows(out=torch.zeros(M, N)), "out has dtype float32 but needs bfloat16"),
    "a last stride": (lambda: rows(a=fp8(M, 2 * K)[:, ::2]), "a has stride 2 along its last dimension but needs 1"),
    "b last stride": (lambda: rows(b=fp8(G, K, N).mT), "b has stride 200 along its last dimension but needs 1"),
    "ends stride": (lambda: rows(groups=ints(2 * G)[::2]), "group_ends has stride 2", "but needs 1; pass a copy"),
    "out last stride": (lambda: slabs(out=bf16(G, N, M).mT), "out has stride 5 along its last dimension but needs 1"),
    "K mismatch": (lambda: rows(b=fp8(G, N, K + 1)), "b has K = 301 but a has K = 300; pass b as [G, N, K]"),
    "slabs mismatch": (
        lambda: slabs(a=fp8(G + 1, M, K)),
        "a has 4 slabs but b has 3 matrices; pass one of each per group",
    ),
    "a_scale shape": (
        lambda: rows(a_scale=torch.ones(M, K_BLOCKS + 1)),
        "a_scale has shape [5, 4] but needs [M, ceil(K / 128)] = [5, 3]; pass the scales as the quantizers return them",
    ),
    "a_scale shape of slabs": (
        lambda: slabs(a_scale=torch.ones(G, M + 1, K_BLOCKS)),
        "a_scale has shape [3, 6, 3] but needs [G, max_m, ceil(K / 128)] = [3, 5, 3]",
    ),
    "a_scale slabs": (
        lambda: slabs(a_scale=torch.ones(G - 1, M, K_BLOCKS)),
        "a_scale has shape [2, 5, 3] but needs [G, max_m, ceil(K / 128)] = [3, 5, 3]",
    ),
    "b_scale shape": (
        lambda: rows(b_scale=torch.ones(G, N, K_BLOCKS)),
        "b_scale has shape [3, 200, 3] but needs [G, ceil(N / 128), ceil(K / 128)] = [3, 2, 3]",
    ),
    "b_scale matrices": (
        lambda: rows(b_scale=torch.ones(G + 1, N_BLOCKS, K_BLOCKS)),
        "b_scale has shape [4, 2, 3] but needs [G, ceil(N / 128), ceil(K / 128)] = [3, 2, 3]",
    ),
    "ends": (lambda: rows(groups=ints(M)), "group_ends has 5 elements but needs 3, one for each matrix of b"),
    "indices": (lambda: indexed(groups=ints(G)), "m_indices has 3 elements but needs 5, one for each row of a"),
    "counts": (lambda: slabs(groups=ints(M)), "masked_m has 5 elements but needs 3, one for each matrix of b"),
    "out shape": (lambda: rows(out=bf16(M + 1, N)), "out has shape [6, 200] but needs [M, N] = [5, 200]; pass one row"),
    "out shape of slabs": (
        lambda: slabs(out=bf16(G, M, N + 1)),
        "out has shape [3, 5, 201] but needs [G, max_m, N] = [3, 5, 200]",
    ),
    "out slabs": (lambda: slabs(out=bf16(G - 1, M, N)), "out has shape [2, 5, 200] but needs [G, max_m, N] = [3, 5"),
    "out rows overlap": (
        lambda: rows(out=bf16(M * N).as_strided((M, N), (N - 1, 1))),
        "out has strides [199, 1], which let its rows overlap one another; pass an out that was not expanded",
    ),
    "out slabs overlap": (
        lambda: slabs(out=bf16(G * M * N).as_strided((G, M, N), (M * N - 1, N, 1))),
        "out has strides [999, 200, 1], which let its rows overlap",
    ),
    "out expanded": (lambda: slabs(out=bf16(1, M, N).expand(G, M, N)), "out has strides [0, 200, 1], which let"),
    "a_scale misaligned": (lambda: rows(a_scale=misaligned(M, K_BLOCKS)), "a_scale starts at address 0x", "size, 4"),
    "b_scale misaligned": (lambda: rows(b_scale=misaligned(G, N_BLOCKS, K_BLOCKS)), "b_scale starts at address 0x"),
    "ends misaligned": (
        lambda: rows(groups=misaligned(G, dtype=torch.int32)),
        "group_ends starts at address 0x",
        "but needs a multiple of its element size, 4",
    ),
    "out misaligned": (lambda: rows(out=misaligned(M, N, dtype=torch.bfloat16)), "out starts at address 0x", "size, 2"),
    "a_scale device": (
        lambda: rows(a_scale=torch.ones(M, K_BLOCKS, device="meta")),
        "a_scale is on meta but a is on cpu; pass all tensors on one device",
    ),
    "b device": (lambda: rows(b=fp8(G, N, K).to("meta")), "b is on meta but a is on cpu"),
    "b_scale device": (
        lambda: rows(b_scale=torch.ones(G, N_BLOCKS, K_BLOCKS, device="meta")),
        "b_scale is on meta but a is on cpu",
    ),
    "indices device": (lambda: indexed(groups=ints(M).to("meta")), "m_indices is on meta but a is on cpu"),
    "out device": (lambda: rows(out=bf16(M, N).to("meta")), "out is on meta but a is on cpu"),
    "M too large": (lambda: rows(a=LONG), "a has M = 2147483648 but at most 2147483647 can be addressed; split"),
    "max_m too large": (lambda: slabs(a=LONG.expand(G, -1, -1)), "a has max_m = 2147483648 but at most 2147483647"),
    "N too large": (lambda: rows(b=LONG.expand(G, -1, -1)), "b has N = 2147483648 but at most 2147483647"),
    "G too large": (lambda: rows(b=fp8(1, N, K).expand(2**31, N, K)), "b has G = 2147483648 but at most 2147483647"),
    "K too large": (
        lambda: rows(
            a=torch.empty(1, 2**31, dtype=FP8, device="meta"), b=torch.empty(1, 1, 2**31, dtype=FP8, device="meta")
        ),
        "a has K = 2147483648 but at most 2147483647",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_argument_is_named(case: str) -> None:
    make, *texts = BAD[case]
    refused(lambda: check(make()), "barrow.m_grouped_fp8_gemm_nt: ", *texts)


@pytest.mark.parametrize("name", ["a", "a_scale", "b", "b_scale", "groups"])
def test_out_in_the_memory_of_an_input_is_refused(name: str) -> None:
    arguments = indexed()
    tensor = arguments[name]
    size = -(-tensor.nbytes // 2) * 2
    memory = torch.zeros(size + 2 * M * N, dtype=torch.uint8)
    shared = memory[: tensor.nbytes].view(tensor.dtype).view(tensor.shape)
    behind, crossing = (memory[at : at + 2 * M * N].view(torch.bfloat16).view(M, N) for at in (size, size - 2))
    check({**arguments, name: shared, "out": behind})
    refused(
        lambda: check({**arguments, name: shared, "out": crossing}),
        f"out overlaps {'m_indices' if name == 'groups' else name} in memory",
        "another out",
    )


GOOD = {
    "ends": lambda: rows(out=bf16(M, N)),
    "indices": lambda: indexed(out=bf16(M, N)),
    "counts": lambda: slabs(out=bf16(G, M, N)),
    "largest alignment and any expected_m": lambda: rows(alignment=2**31 - 1, expected_m=2**63 - 1),
    "in wider tensors": lambda: slabs(
        a=fp8(G, M + 2, K + 5)[:, 1:-1, 3 : K + 3],
        b=fp8(G, N + 2, K + 1)[:, 2:, 1:],
        out=bf16(G, M + 1, N + 3)[:, 1:, 2 : N + 2],
    ),
    "inputs expanded": lambda: slabs(
        a=fp8(1, M, K).expand(G, M, K),
        a_scale=torch.ones(1, 1, 1).expand(G, M, K_BLOCKS),
        b=fp8(1, N, K).expand(G, N, K),
        b_scale=torch.ones(1, 1, 1).expand(G, N_BLOCKS, K_BLOCKS),
    ),
    "scales transposed": lambda: slabs(
        a_scale=torch.ones(G, K_BLOCKS, M).mT, b_scale=torch.ones(K_BLOCKS, G, N_BLOCKS).permute(1, 2, 0)
    ),
    "one group told with any stride": lambda: rows(
        b=fp8(1, N, K), b_scale=torch.ones(1, N_BLOCKS, K_BLOCKS), groups=ints(5)[::5]
    ),
    "one row of out with any stride": lambda: rows(
        a=fp8(1, K), a_scale=torch.ones(1, K_BLOCKS), out=bf16(N).as_strided((1, N), (0, 1))
    ),
    "one slab of out with any stride": lambda: slabs(out=bf16(M * N).as_strided((1, M, N), (0, N, 1)), **ONE),
    "no rows": lambda: indexed(a=fp8(0, K), a_scale=torch.ones(0, K_BLOCKS), groups=ints(0), out=bf16(0, N)),
    "no columns": lambda: rows(b=fp8(G, 0, K), b_scale=torch.ones(G, 0, K_BLOCKS), out=bf16(M, 0)),
    "no K": lambda: rows(
        a=fp8(M, 0), b=fp8(G, N, 0), a_scale=torch.ones(M, 0), b_scale=torch.ones(G, N_BLOCKS, 0), out=bf16(M, N)
    ),
    "no groups": lambda: rows(
        b=fp8(0, N, K), b_scale=torch.ones(0, N_BLOCKS, K_BLOCKS), groups=ints(0), out=bf16(M, N)
    ),
    "more than 2^31 elements": lambda: rows(b=fp8(1, N, K).expand(2**20, N, K), **MANY),
}
# Arguments of one slab, and of very many groups.
ONE: Arguments = {
    "a": fp8(1, M, K),
    "a_scale": torch.ones(1, M, K_BLOCKS),
    "b": fp8(1, N, K),
    "b_scale": torch.ones(1, N_BLOCKS, K_BLOCKS),
    "groups": ints(1),
}
MANY: Arguments = {"b_scale": torch.ones(1, 1, 1).expand(2**20, N_BLOCKS, K_BLOCKS), "groups": ints(2**20)}


@pytest.mark.parametrize("case", GOOD)
def test_good_arguments_pass(case: str) -> None:
    check(GOOD[case]())


@pytest.mark.parametrize("make", [rows, indexed, slabs])
def test_the_operators_refuse_what_the_check_refuses(make: Any) -> None:
    bad = make(b=fp8(G, N, K + 1))
    del bad["out"]
    out = bf16(*bad["a"].shape[:-1], N).fill_(7)
    refused(lambda: OPS.m_grouped_fp8_gemm_nt.default(**bad), "b has K = 301 but a has K = 300")
    refused(lambda: OPS.m_grouped_fp8_gemm_nt.out(**bad, out=out), "b has K = 301 but a has K = 300")
    good = make(out=bf16(*out.shape[:-1], N + 1))
    refused(lambda: OPS.m_grouped_fp8_gemm_nt.out(**good), f"{M}, {N + 1}] but needs [")
    assert (out == 7).all()
