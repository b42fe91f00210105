"""Several layers on one input as one layer (gate and up; q, k and v; q_a and kv_a), and some of a layer's rows.

A scale covers 128 rows of W from a multiple of 128 on, so rows can be taken or joined exactly only in whole blocks:
what does not fit is multiplied along, and left out of the result.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from barrow.linear.layer import Fp8Linear
from barrow.ops.layout import SCALE_BLOCK, scale_blocks


class FusedFp8Linear(Fp8Linear):
    """Parts of layers that do not begin or end at a scale block, one after another in one weight.

    Where a part ends inside a block, the next one could not start there without sharing its scale, and no other scale
    would be exact. So every part starts a block of its own: up to 127 rows that belong to no part lie between. All
    parts still take one quantization of the input and one GEMM.

    Args:
        in_features: K.
        parts: features of each part.
        bias: whether there is one.
        leads: for each part, rows that lie before it in its first block; none if None.
        use_ue8m0, device, dtype, backends: see `Fp8Linear`.

    Attributes:
        spans: for each part, where it starts in the product and its features. `out_features` counts all rows.
    """

    def __init__(
        self,
        in_features: int,
        parts: Sequence[int],
        bias: bool = True,
        *,
        leads: Sequence[int] | None = None,
        use_ue8m0: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        backends: Sequence[str] | None = None,
    ) -> None:
        spans, rows = [], 0
        for lead, part in zip(leads or [0] * len(parts), parts, strict=True):
            start = scale_blocks(rows) * SCALE_BLOCK + lead
            spans.append((start, part))
            rows = start + part
        super().__init__(in_features, rows, bias, use_ue8m0=use_ue8m0, device=device, dtype=dtype, backends=backends)
        self.spans = tuple(spans)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all parts to x [..., in_features]; the result is [..., sum(parts)], part after part."""
        y = super().forward(x)
        pieces = [y.narrow(-1, start, size) for start, size in self.spans]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, -1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, parts={tuple(size for _, size in self.spans)}"


def _check(parts: Sequence[Fp8Linear]) -> None:
    if not parts:
        raise ValueError("barrow.fuse: there are no layers to fuse")
    first = parts[0]
    for i, part in enumerate(parts):
        for what in ("in_features", "use_ue8m0", "backends"):
            if getattr(part, what) != getattr(first, what):
                raise ValueError(
                    f"barrow.fuse: layer {i} has {what} = {getattr(part, what)}, the first {getattr(first, what)}; "
                    "fuse layers that agree"
                )
        if part.weight.device != first.weight.device or (part.bias is None) != (first.bias is None):
            raise ValueError(f"barrow.fuse: layer {i} differs from the first in device or in having a bias")
        if isinstance(part, FusedFp8Linear):
            raise ValueError(f"barrow.fuse: layer {i} is fused already; fuse all layers at once")


def fuse(parts: Sequence[Fp8Linear]) -> Fp8Linear:
    """Return one layer that computes `torch.cat([part(x) for part in parts], -1)`, exactly.

    A plain `Fp8Linear` where every part but the last has a multiple of 128 features (1536 + 576 is such a case), a
    `FusedFp8Linear` otherwise. No weight is widened or quantized again.

    Raises:
        ValueError: if there are no parts, or they differ in in_features, use_ue8m0, backends, device, or in having a
            bias.
    """
    _check(parts)
    return _join([(part, 0, part.out_features) for part in parts])


def take_rows(layer: Fp8Linear, ranges: Sequence[tuple[int, int]]) -> Fp8Linear:
    """Return a layer with some rows of another, exactly: `torch.cat([y[..., a:b] for a, b in ranges], -1)`.

    y is the product with all of W's rows. A range that starts inside a block keeps the rows of that block before it,
    with their scale.

    Args:
        layer: any; with a `FusedFp8Linear`, ranges count all its rows.
        ranges: first row and the one behind the last of each, at least one range; 0 <= first <= last <= out_features.

    Raises:
        ValueError: naming the range that is not within the layer; or if there is none.
    """
    if not ranges:
        raise ValueError("barrow.linear.take_rows: ranges is empty; pass at least one pair of rows (first, last)")
    for i, (first, last) in enumerate(ranges):
        if not 0 <= first <= last <= layer.out_features:
            raise ValueError(
                f"barrow.linear.take_rows: ranges[{i}] is ({first}, {last}) but needs 0 <= first <= last <= "
                f"{layer.out_features}, the layer's out_features; pass rows that it has"
            )
    return _join([(layer, first, last) for first, last in ranges])


def _join(pieces: Sequence[tuple[Fp8Linear, int, int]]) -> Fp8Linear:
    """One layer of rows `first` to `last` of several."""
    like = pieces[0][0]
    leads = [first % SCALE_BLOCK for _, first, _ in pieces]
    sizes = [last - first for _, first, last in pieces]
    options = {"use_ue8m0": like.use_ue8m0, "device": "meta", "backends": like.backends}
    joined: Fp8Linear
    if not any(leads) and all(size % SCALE_BLOCK == 0 for size in sizes[:-1]):
        joined = Fp8Linear(like.in_features, sum(sizes), False, **options)  # type: ignore[arg-type]
    else:
        joined = FusedFp8Linear(like.in_features, sizes, False, leads=leads, **options)  # type: ignore[arg-type]
    joined.weight = like.weight.new_zeros((joined.out_features, like.in_features))
    joined.bias = None if like.bias is None else like.bias.new_zeros(joined.out_features)
    start, scales = 0, []
    for (layer, _, last), lead, size in zip(pieces, leads, sizes, strict=True):
        rows = slice(last - size - lead, last)
        here = slice(start, start + lead + size)
        joined.weight[here].copy_(layer.weight[rows])
        if joined.bias is not None and layer.bias is not None:
            joined.bias[here].copy_(layer.bias[rows])
        scales.append(layer.weight_scale_inv[rows.start // SCALE_BLOCK : scale_blocks(last)])
        start += scale_blocks(lead + size) * SCALE_BLOCK
    joined.weight_scale_inv = torch.cat(scales)
    return joined.train(like.training)
