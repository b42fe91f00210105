"""`Fp8Linear` split over processes: along its rows (column-parallel) or its columns (row-parallel).

Scale blocks that a shard boundary cuts stay exact. Along N, a shard keeps the rows of its first block that belong to
the shard before it, and drops them from the result. Along K, its columns start at their place within the block, with
zeros before them in weight and input.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from barrow.experts import Fp8Experts
from barrow.linear import Fp8Linear, FusedFp8Linear, take_rows
from barrow.linear.arguments import check_model
from barrow.ops.layout import SCALE_BLOCK, scale_blocks
from barrow.ops.tensors import check_tensors
from barrow.parallel.experts import ExpertParallel, check_rank, experts_of, take_experts


def _check(layer: Fp8Linear, name: str, rank: int, world: int) -> None:
    if type(layer) not in (Fp8Linear, FusedFp8Linear):
        raise ValueError(f"barrow.parallel: {name} is a {type(layer).__name__}; pass a whole Fp8Linear")
    check_rank(rank, world)


def _part(size: int, rank: int, world: int, what: str) -> tuple[int, int]:
    if size % world:
        raise ValueError(
            f"barrow.parallel: {what} = {size} does not divide by {world} processes; use a number that divides it"
        )
    return size // world * rank, size // world * (rank + 1)


def column_parallel(
    layer: Fp8Linear, rank: int, world: int, *, parts: Sequence[int] | None = None, name: str = "layer"
) -> Fp8Linear:
    """Return the shard of a column-parallel layer: its results are this process's slice of the features.

    Args:
        layer: the whole layer; it is not changed, and the shard shares no memory with it.
        rank, world: which of how many.
        parts: features of the projections that the layer fuses, each of which is split (gate and up, q and k and v);
            if None, those of a `FusedFp8Linear`, or all features as one part.
        name: of the layer, for errors.

    Raises:
        ValueError: naming what does not divide or does not add up.
    """
    _check(layer, name, rank, world)
    if isinstance(layer, FusedFp8Linear):
        spans = list(layer.spans)
        sizes = [size for _, size in spans]
        if parts is not None and list(parts) != sizes:
            raise ValueError(f"barrow.parallel: parts = {list(parts)}, but {name} is made of {sizes}")
    else:
        sizes = [layer.out_features] if parts is None else list(parts)
        if sum(sizes) != layer.out_features:
            raise ValueError(f"barrow.parallel: parts = {sizes} of {name} do not add up to {layer.out_features}")
        spans = [(sum(sizes[:i]), size) for i, size in enumerate(sizes)]
    ranges = []
    for start, size in spans:
        first, last = _part(size, rank, world, f"the features of {name}")
        ranges.append((start + first, start + last))
    return take_rows(layer, ranges)


class RowParallelFp8Linear(Fp8Linear):
    """Some of a layer's columns; the products of all processes are added up, then the bias.

    Takes x [..., in_features] with this process's slice of the features and returns the whole layer's result on every
    process of `group`. Partial results are added in x's dtype, as serving engines do.

    Attributes:
        lead: zero columns before the slice, so that scale blocks lie as they did in the whole layer.
        features: of x here; `in_features` counts the zeros as well.
        group: the processes, None for all.
    """

    def __init__(self, features: int, out_features: int, lead: int, group: dist.ProcessGroup | None, layer: Fp8Linear):
        super().__init__(
            lead + features,
            out_features,
            False,
            use_ue8m0=layer.use_ue8m0,
            device="meta",
            backends=layer.backends,
        )
        self.lead, self.features, self.group = lead, features, group
        self.register_buffer("whole_bias", None if layer.bias is None else layer.bias.clone())
        self.whole_bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to x [..., features]."""
        try:
            fits = x.dim() > 0 and x.shape[-1] == self.features
        except AttributeError:
            fits = False
        if not fits:
            check_tensors("RowParallelFp8Linear", x=x)
            raise RuntimeError(
                f"barrow.RowParallelFp8Linear: x has shape {tuple(x.shape)}; pass this process's [..., {self.features}]"
            )
        y = super().forward(functional.pad(x, (self.lead, 0)) if self.lead else x)
        dist.all_reduce(y, group=self.group)
        return y if self.whole_bias is None else (y + self.whole_bias).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, features={self.features}, lead={self.lead}"


def row_parallel(
    layer: Fp8Linear, rank: int, world: int, *, group: dist.ProcessGroup | None = None, name: str = "layer"
) -> RowParallelFp8Linear:
    """Return the shard of a row-parallel layer: it takes this process's slice of the input.

    Args:
        layer: the whole layer; it is not changed, and the shard shares no memory with it.
        rank, world: which of how many, in `group`.
        group: the processes over which results are added; None for all.
        name: of the layer, for errors.

    Raises:
        ValueError: naming what does not divide.
    """
    _check(layer, name, rank, world)
    if isinstance(layer, FusedFp8Linear):
        raise ValueError(f"barrow.parallel: {name} is fused from several layers; split it by rows (column_parallel)")
    first, last = _part(layer.in_features, rank, world, f"the input features of {name}")
    lead = first % SCALE_BLOCK
    shard = RowParallelFp8Linear(last - first, layer.out_features, lead, group, layer)
    weight = layer.weight.new_zeros((layer.out_features, lead + last - first))
    weight[:, lead:].copy_(layer.weight[:, first:last])
    shard.weight = weight
    shard.weight_scale_inv = layer.weight_scale_inv[:, first // SCALE_BLOCK : scale_blocks(last)].clone()
    return shard.train(layer.training)


Kind = Literal["column", "row", "expert"]


def _shard(
    module: Fp8Linear | Fp8Experts, kind: Kind, pattern: str, name: str, group: dist.ProcessGroup | None
) -> nn.Module:
    """This process's part of a layer of the model."""
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    fitting = ("expert",) if isinstance(module, Fp8Experts) else ("column", "row")
    if kind not in fitting:
        raise ValueError(
            f"barrow.parallel: plan[{pattern!r}] is {kind!r}, but {name} is a {type(module).__name__}; pass "
            f"{' or '.join(map(repr, fitting))}"
        )
    if isinstance(module, Fp8Experts):
        mine = experts_of(module.num_experts, rank, world)
        # A model may have been loaded with these alone.
        return ExpertParallel(module if module.local == mine else take_experts(module, mine), group=group)
    if kind == "column":
        return column_parallel(module, rank, world, name=name)
    return row_parallel(module, rank, world, group=group, name=name)


def parallelize_(model: nn.Module, plan: Mapping[str, Kind], *, group: dist.ProcessGroup | None = None) -> list[str]:
    """Replace the `Fp8Linear` and `Fp8Experts` layers of `model` by their shards on this process, in place.

        parallelize_(model, {"*.gate_up_proj": "column", "*.down_proj": "row", "*.experts": "expert"})

    A fused layer is split part by part where it is a `FusedFp8Linear`; a plain layer that holds several projections
    is one part here, so keep such projections apart or call `column_parallel` with `parts`. Experts become an
    `ExpertParallel`, for processes that bring different tokens.

    Args:
        model: whole, the same on every process, but for experts that were loaded by their owners alone.
        plan: patterns (fnmatch) of qualified names, and how those layers are split; the first that matches counts.
        group: the processes; None for all.

    Returns:
        Names of the layers that were split.

    Raises:
        TypeError: if `model` is no module.
        ValueError: if a pattern matches no layer, or one cannot be split; the model is then unchanged. Or if `model` is
            itself such a layer, which cannot be replaced in place.
    """
    check_model("parallel", model)
    if isinstance(model, (Fp8Linear, Fp8Experts)):
        raise ValueError(
            "barrow.parallel: model is itself a layer and cannot be replaced in place; "
            "use column_parallel, row_parallel or ExpertParallel"
        )
    shards: dict[str, nn.Module] = {}
    # A layer that occurs under several names stays one layer, split as the first of them says.
    shard_of: dict[nn.Module, nn.Module] = {}
    matched: set[str] = set()
    for name, module in model.named_modules(remove_duplicate=False):
        pattern = next((each for each in plan if fnmatchcase(name, each)), None)
        if pattern is not None and isinstance(module, (Fp8Linear, Fp8Experts)):
            matched.add(pattern)
            if module not in shard_of:
                shard_of[module] = _shard(module, plan[pattern], pattern, name, group)
            shards[name] = shard_of[module]
    if unused := [pattern for pattern in plan if pattern not in matched]:
        quantized = any(isinstance(module, (Fp8Linear, Fp8Experts)) for module in model.modules())
        remedy = "correct it or leave it out" if quantized else "call barrow.quantize_ or barrow.checkpoint.load_ first"
        raise ValueError(f"barrow.parallel: {unused[0]!r} matches no Fp8Linear or Fp8Experts of the model; {remedy}")
    for name, shard in shards.items():
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, shard)
    return list(shards)
