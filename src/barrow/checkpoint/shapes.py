"""The linear layers of a model by shape, split over GPUs: from the headers of a checkpoint."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from barrow.checkpoint.errors import CheckpointError
from barrow.checkpoint.files import TensorInfo
from barrow.checkpoint.plan import FP8, PLAIN

Split = Literal["column", "row", "none"]

# Layers by the last part of their name: split along K, kept whole, or not worth FP8 (routers, embeddings, heads).
# Everything else is split along N.
_ROW = {"o_proj", "down_proj", "w2", "out_proj", "fc2", "dense_4h_to_h", "wo"}
_WHOLE = {"q_a_proj", "kv_a_proj_with_mqa", "fused_qkv_a_proj"}
_NOT_FP8 = {"lm_head", "embed_tokens", "gate", "router", "wte", "wpe"}
_EXPERT = re.compile(r"(?:^|\.)experts\.(\d+)\.")


@dataclass(frozen=True)
class LayerShape:
    """Linear layers of one shape.

    Attributes:
        name: with * for the numbers of layers and experts.
        count: how many there are, on one GPU.
        n, k: out_features and in_features, on one GPU.
        split: along N, along K or not at all under tensor parallelism.
        experts: how many of its kind a mixture has, over all GPUs; 0 outside of mixtures.
    """

    name: str
    count: int
    n: int
    k: int
    split: Split
    experts: int = 0


def split_of(name: str) -> Split:
    """How a layer is split under tensor parallelism, by its name."""
    last = name.rpartition(".")[2]
    return "row" if last in _ROW else "none" if last in _WHOLE else "column"


def divide(layer: LayerShape, tp: int, ep: int) -> LayerShape:
    """The part of one GPU among `tp`; experts are dealt out whole over `ep`, or split like the rest if ep is 1.

    Raises:
        CheckpointError: naming the layer that does not divide.
    """

    def part(size: int, parts: int, what: str) -> int:
        if size % parts:
            raise CheckpointError(f"barrow.checkpoint: {layer.name}: {what} = {size} does not divide by {parts}")
        return size // parts

    if layer.experts and ep > 1:
        return replace(layer, count=layer.count * part(layer.experts, ep, "the number of experts") // layer.experts)
    if layer.split == "column":
        return replace(layer, n=part(layer.n, tp, "N"))
    if layer.split == "row":
        return replace(layer, k=part(layer.k, tp, "K"))
    return layer


def layers_of_headers(tensors: Mapping[str, TensorInfo]) -> list[LayerShape]:
    """The linear layers of a checkpoint: those in FP8, or if none is, those that quantizing would take."""
    weights = [info for name, info in tensors.items() if name.endswith(".weight") and len(info.shape) == 2]
    chosen = [info for info in weights if info.dtype == FP8]
    if not chosen:
        chosen = [info for info in weights if info.dtype in PLAIN and _last(info.name) not in _NOT_FP8]
    experts = len({found.group(1) for info in chosen if (found := _EXPERT.search(info.name))})
    return merge(
        LayerShape(
            name=re.sub(r"(?<=\.)\d+(?=\.)", "*", info.name.removesuffix(".weight")),
            count=1,
            n=info.shape[0],
            k=info.shape[1],
            split=split_of(info.name.removesuffix(".weight")),
            experts=experts if _EXPERT.search(info.name) else 0,
        )
        for info in chosen
    )


def _last(weight: str) -> str:
    return weight.removesuffix(".weight").rpartition(".")[2]


def merge(layers: Iterable[LayerShape]) -> list[LayerShape]:
    """Count layers that are alike but for their number, in the order in which they come."""
    counts: dict[LayerShape, int] = {}
    for layer in layers:
        key = replace(layer, count=0)
        counts[key] = counts.get(key, 0) + layer.count
    return [replace(layer, count=count) for layer, count in counts.items()]
