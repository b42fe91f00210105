"""DTensor sharding rules of barrow's operators: which shards multiply to a shard of the result.

A rule is offered only where every shard starts at a scale block. A weight whose shards cut blocks is an error rather
than a gathering of the weight in every call; `column_parallel` and `row_parallel` split such layers exactly.
"""

from typing import Any

import torch
from torch.distributed.tensor import Partial, Replicate, Shard
from torch.distributed.tensor.experimental import register_sharding

from barrow.ops.layout import SCALE_BLOCK

# Outputs and inputs of an operator on one dimension of the mesh; None for what is no tensor.
Rule = tuple[list[Any], list[Any]]


def _shards(spec: Any, dim: int) -> int:
    """Over how many processes a dimension of a tensor is split; 1 if it is not."""
    count = 1
    for size, placement in zip(spec.mesh.shape, spec.placements, strict=True):
        if placement.is_shard(dim):
            count *= size
    return count


def _check_blocks(name: str, spec: Any, dim: int) -> bool:
    """Whether a dimension is split; raises where a shard would start inside a scale block."""
    count, size = _shards(spec, dim), spec.shape[dim]
    if count > 1 and size % (count * SCALE_BLOCK):
        raise RuntimeError(
            f"barrow: {name} has shape {tuple(spec.shape)} and is split in {count} along dimension {dim}, which cuts a "
            f"block of {SCALE_BLOCK} that has one scale; split it by barrow.parallel.column_parallel or row_parallel, "
            "or replicate it"
        )
    return count > 1


def _gemm(a: Any, a_scale: Any, b: Any, b_scale: Any, *options: Any) -> list[Rule]:
    whole, plain = Replicate(), [None] * len(options)
    rules: list[Rule] = [([whole], [whole, whole, whole, whole, *plain])]
    if _shards(a, 0) > 1:
        rules.append(([Shard(0)], [Shard(0), Shard(0), whole, whole, *plain]))
    if _check_blocks("b", b, 0):
        rules.append(([Shard(1)], [whole, whole, Shard(0), Shard(0), *plain]))
    if _check_blocks("b", b, 1) | _check_blocks("a", a, 1):
        rules.append(([Partial()], [Shard(1), Shard(1), Shard(1), Shard(1), *plain]))
    return rules


def _token_quant(x: Any, use_ue8m0: Any) -> list[Rule]:
    rules: list[Rule] = [([Replicate(), Replicate()], [Replicate(), None])]
    if _shards(x, 0) > 1:
        rules.append(([Shard(0), Shard(0)], [Shard(0), None]))
    if _check_blocks("x", x, 1):
        rules.append(([Shard(1), Shard(1)], [Shard(1), None]))
    return rules


def _block_quant(x: Any, use_ue8m0: Any) -> list[Rule]:
    rules: list[Rule] = [([Replicate(), Replicate()], [Replicate(), None])]
    rules += [([Shard(dim), Shard(dim)], [Shard(dim), None]) for dim in (0, 1) if _check_blocks("x", x, dim)]
    return rules


def register() -> None:
    """Register the rules with torch; called once, at import."""
    operators = torch.ops.barrow
    register_sharding(operators.fp8_gemm_nt.default)(_gemm)
    register_sharding(operators.per_token_group_quant_fp8.default)(_token_quant)
    register_sharding(operators.per_block_quant_fp8.default)(_block_quant)
