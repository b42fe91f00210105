"""Rules about arguments of the operators around a grouped GEMM: what breaks one is named, what keeps them passes."""

from typing import Any

import pytest
import torch
from refusal import misaligned, refused
from torch import Tensor

import barrow  # noqa: F401  (registers the operators)

OPS = torch.ops.barrow
T, TOP_K, K, ROWS = 5, 3, 200, 15


def ids(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def places(*shape: int) -> Tensor:
    return ids(*shape, dtype=torch.int32)


def bf16(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.bfloat16)


# Arguments that are right, by operator; the tests change one or two.
RIGHT: dict[str, dict[str, Any]] = {
    "moe_sort": {"topk_ids": ids(T, TOP_K), "num_experts": 8, "max_m": None},
    "moe_permute_quant": {"x": bf16(T, K), "positions": places(T, TOP_K), "rows": ROWS},
    "silu_mul_quant": {"x": bf16(ROWS, 2 * K), "groups": places(8)},
    "moe_unpermute": {"y": bf16(ROWS, K), "positions": places(T, TOP_K), "weights": torch.ones(T, TOP_K)},
}

WIDE = torch.empty(1, 2**31, device="meta", dtype=torch.bfloat16)
LONG = bf16(1, 4).expand(2**31, 4)

BAD: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("moe_sort", {"topk_ids": ids(4)}, ("topk_ids has 1 dimensions but needs 2, [T, top_k]",)),
    ("moe_sort", {"topk_ids": torch.zeros(2, 2)}, ("topk_ids has dtype float32 but needs int32 or int64",)),
    ("moe_sort", {"topk_ids": misaligned(2, 2, dtype=torch.int64)}, ("topk_ids starts at address 0x", "size, 8")),
    ("moe_sort", {"num_experts": 0}, ("num_experts is 0 but needs to be from 1 to 1024",)),
    ("moe_sort", {"num_experts": 1025}, ("num_experts is 1025 but needs to be from 1 to 1024",)),
    ("moe_sort", {"max_m": -1}, ("max_m is -1 but needs to be from 0 to 268435455",)),
    ("moe_sort", {"max_m": 2**28}, ("max_m is 268435456 but needs to be from 0 to 268435455", "8 experts")),
    (
        "moe_sort",
        {"topk_ids": ids(1, 1).expand(2**20, 2**11)},
        ("topk_ids has 1048576 x 2048 ids but at most 2147483647",),
    ),
    ("moe_permute_quant", {"x": bf16(K)}, ("x has 1 dimensions but needs 2",)),
    ("moe_permute_quant", {"x": bf16(T, K).double()}, ("x has dtype float64 but needs bfloat16, float16 or float32",)),
    ("moe_permute_quant", {"x": bf16(K, T).T}, ("x has stride 5 along its last dimension but needs 1",)),
    ("moe_permute_quant", {"x": misaligned(T, K)}, ("x starts at address 0x",)),
    ("moe_permute_quant", {"x": LONG}, ("x has rows = 2147483648 but at most 2147483647",)),
    ("moe_permute_quant", {"x": WIDE}, ("x has K = 2147483648 but at most 2147483647",)),
    ("moe_permute_quant", {"positions": places(T)}, ("positions has 1 dimensions but needs 2, [T, top_k]",)),
    ("moe_permute_quant", {"positions": ids(T, TOP_K)}, ("positions has dtype int64 but needs int32", "moe_sort")),
    (
        "moe_permute_quant",
        {"positions": misaligned(T, TOP_K, dtype=torch.int32)},
        ("positions starts at address 0x",),
    ),
    ("moe_permute_quant", {"positions": places(T, TOP_K).to("meta")}, ("positions is on meta but x is on cpu",)),
    (
        "moe_permute_quant",
        {"positions": places(T + 1, TOP_K)},
        ("positions has 6 rows but x has 5; pass positions as",),
    ),
    ("moe_permute_quant", {"positions": places(1, 1).expand(T, 2**31)}, ("positions has top_k = 2147483648",)),
    ("moe_permute_quant", {"rows": -1}, ("rows is -1 but needs to be from 0 to 2147483647",)),
    ("moe_permute_quant", {"rows": 2**31}, ("rows is 2147483648 but needs to be from 0 to 2147483647",)),
    ("silu_mul_quant", {"x": bf16(4)}, ("x has 1 dimensions but needs 2, [M, 2 * I], or 3, [G, max_m, 2 * I]",)),
    ("silu_mul_quant", {"x": bf16(1, 1, 1, 4)}, ("x has 4 dimensions but needs 2",)),
    ("silu_mul_quant", {"x": bf16(3, 4).float()}, ("x has dtype float32 but needs bfloat16",)),
    ("silu_mul_quant", {"x": bf16(3, 5)}, ("x has 5 columns but needs an even number",)),
    ("silu_mul_quant", {"x": bf16(4, 6).T}, ("x has stride 6 along its last dimension but needs 1",)),
    ("silu_mul_quant", {"x": bf16(8, 2, 4, 10).mT[:, 0]}, ("x has stride 10 along its last dimension but needs 1",)),
    ("silu_mul_quant", {"x": misaligned(3, 4, dtype=torch.bfloat16)}, ("x starts at address 0x",)),
    ("silu_mul_quant", {"x": LONG}, ("x has rows = 2147483648",)),
    ("silu_mul_quant", {"x": WIDE}, ("x has 2 * I = 2147483648",)),
    ("silu_mul_quant", {"x": bf16(1, 1, 4).expand(2**31, 1, 4)}, ("x has groups = 2147483648",)),
    ("silu_mul_quant", {"groups": places(8, 1)}, ("groups has 2 dimensions but needs 1, [G]",)),
    ("silu_mul_quant", {"groups": ids(8)}, ("groups has dtype int64 but needs int32",)),
    ("silu_mul_quant", {"groups": places(8).to("meta")}, ("groups is on meta but x is on cpu",)),
    ("silu_mul_quant", {"groups": misaligned(8, dtype=torch.int32)}, ("groups starts at address 0x",)),
    ("silu_mul_quant", {"x": bf16(7, 2, 4)}, ("groups has 8 counts but x has 7 groups",)),
    ("silu_mul_quant", {"groups": places(0)}, ("groups is empty but needs an end",)),
    ("moe_unpermute", {"y": bf16(K)}, ("y has 1 dimensions but needs 2, [R, N]",)),
    ("moe_unpermute", {"y": bf16(ROWS, K).half()}, ("y has dtype float16 but needs bfloat16",)),
    ("moe_unpermute", {"y": bf16(K, ROWS).T}, ("y has stride 15 along its last dimension but needs 1",)),
    ("moe_unpermute", {"y": misaligned(3, 4, dtype=torch.bfloat16)}, ("y starts at address 0x",)),
    ("moe_unpermute", {"y": LONG}, ("y has R = 2147483648",)),
    ("moe_unpermute", {"y": WIDE}, ("y has N = 2147483648",)),
    ("moe_unpermute", {"positions": places(T)}, ("positions has 1 dimensions but needs 2",)),
    ("moe_unpermute", {"positions": ids(T, TOP_K)}, ("positions has dtype int64 but needs int32",)),
    ("moe_unpermute", {"positions": places(T, TOP_K).to("meta")}, ("positions is on meta but y is on cpu",)),
    ("moe_unpermute", {"weights": torch.ones(T)}, ("weights has 1 dimensions but needs 2, [T, top_k]",)),
    ("moe_unpermute", {"weights": bf16(T, TOP_K)}, ("weights has dtype bfloat16 but needs float32",)),
    ("moe_unpermute", {"weights": misaligned(T, TOP_K)}, ("weights starts at address 0x",)),
    ("moe_unpermute", {"weights": torch.ones(T, TOP_K).to("meta")}, ("weights is on meta but y is on cpu",)),
    ("moe_unpermute", {"weights": torch.ones(T, 2)}, ("weights has shape [5, 2] but positions has [5, 3]",)),
    ("moe_unpermute", {"weights": torch.ones(4, TOP_K)}, ("weights has shape [4, 3] but positions has [5, 3]",)),
]


@pytest.mark.parametrize(("op", "changes", "texts"), BAD, ids=[f"{op}: {texts[0]}" for op, _, texts in BAD])
def test_a_bad_argument_is_named(op: str, changes: dict[str, Any], texts: tuple[str, ...]) -> None:
    check = getattr(OPS, f"check_{op}")
    refused(lambda: check(**{**RIGHT[op], **changes}), f"barrow.{op}: ", *texts)
    if not any(isinstance(value, Tensor) and value.is_meta for value in changes.values()):
        refused(lambda: getattr(OPS, op)(**{**RIGHT[op], **changes}), f"barrow.{op}: ", *texts)


GOOD: list[tuple[str, dict[str, Any]]] = [
    ("moe_sort", {}),
    ("moe_sort", {"topk_ids": ids(T, TOP_K, dtype=torch.int32)}),
    ("moe_sort", {"topk_ids": ids(TOP_K, T).T, "num_experts": 1024}),
    ("moe_sort", {"topk_ids": ids(0, TOP_K), "num_experts": 1, "max_m": 2**31 - 1}),
    ("moe_sort", {"topk_ids": ids(T, 0), "max_m": 0}),
    ("moe_sort", {"topk_ids": ids(1, 1).expand(2**31 - 1, 1), "max_m": 2**28 - 1}),
    ("moe_permute_quant", {}),
    ("moe_permute_quant", {"x": bf16(T, K + 7)[:, 3 : K + 3].half()}),
    ("moe_permute_quant", {"x": bf16(T, 0).float(), "positions": places(TOP_K, T).T, "rows": 0}),
    ("moe_permute_quant", {"x": bf16(0, K), "positions": places(0, TOP_K), "rows": 2**31 - 1}),
    ("moe_permute_quant", {"positions": places(T, 0)}),
    ("silu_mul_quant", {}),
    ("silu_mul_quant", {"groups": None}),
    ("silu_mul_quant", {"groups": places(16)[::2]}),
    ("silu_mul_quant", {"x": bf16(ROWS, 0)}),
    ("silu_mul_quant", {"x": bf16(8, 6, 8)[:, 1:4, 2:6]}),
    ("silu_mul_quant", {"x": bf16(8, 0, 4), "groups": None}),
    ("silu_mul_quant", {"x": bf16(0, 3, 4), "groups": places(0)}),
    ("moe_unpermute", {}),
    ("moe_unpermute", {"y": bf16(0, K + 2)[:, 1:-1]}),
    ("moe_unpermute", {"positions": places(TOP_K, T).T, "weights": torch.ones(1, 1).expand(T, TOP_K)}),
    ("moe_unpermute", {"positions": places(0, TOP_K), "weights": torch.ones(0, TOP_K)}),
]


@pytest.mark.parametrize(("op", "changes"), GOOD)
def test_good_arguments_pass(op: str, changes: dict[str, Any]) -> None:
    getattr(OPS, f"check_{op}")(**{**RIGHT[op], **changes})
