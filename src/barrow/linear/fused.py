"""Several layers on one input as one layer: gate and up, q, k and v, q_a and kv_a."""

from collections.abc import Sequence

import torch
from torch import Tensor

from barrow.linear.layer import Fp8Linear
from barrow.ops.layout import SCALE_BLOCK, scale_blocks


class FusedFp8Linear(Fp8Linear):
    """Layers whose rows do not end at a scale block, one after another in one weight.

    A scale covers 128 rows of W from a multiple of 128 on. Where a part ends inside a block, the next one could not
    start there without sharing its scale, and no other scale would be exact. So every part starts a block of its own:
    up to 127 rows of zeros lie between, are multiplied along, and are left out of the result. All parts still take one
    quantization of the input and one GEMM.

    Attributes:
        parts: features of each part. `out_features` counts the rows of zeros as well.
    """

    def __init__(
        self,
        in_features: int,
        parts: Sequence[int],
        bias: bool = True,
        *,
        use_ue8m0: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        backends: Sequence[str] | None = None,
    ) -> None:
        rows = sum(scale_blocks(part) for part in parts) * SCALE_BLOCK
        super().__init__(in_features, rows, bias, use_ue8m0=use_ue8m0, device=device, dtype=dtype, backends=backends)
        self.parts = tuple(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all parts to x [..., in_features]; the result is [..., sum(parts)], part after part."""
        y = super().forward(x)
        pieces, start = [], 0
        for part in self.parts:
            pieces.append(y.narrow(-1, start, part))
            start += scale_blocks(part) * SCALE_BLOCK
        return torch.cat(pieces, -1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, parts={self.parts}"


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
    first = parts[0]
    sizes = [part.out_features for part in parts]
    aligned = all(size % SCALE_BLOCK == 0 for size in sizes[:-1])
    options = {"use_ue8m0": first.use_ue8m0, "device": "meta", "backends": first.backends}
    layer: Fp8Linear
    if aligned:
        layer = Fp8Linear(first.in_features, sum(sizes), False, **options)  # type: ignore[arg-type]
    else:
        layer = FusedFp8Linear(first.in_features, sizes, False, **options)  # type: ignore[arg-type]
    rows = [size if aligned else scale_blocks(size) * SCALE_BLOCK for size in sizes]
    layer.weight = first.weight.new_zeros((sum(rows), first.in_features))
    for start, part in zip(_starts(rows), parts, strict=True):
        layer.weight[start : start + part.out_features].copy_(part.weight)
    layer.weight_scale_inv = torch.cat([part.weight_scale_inv for part in parts])
    if first.bias is not None:
        layer.bias = first.bias.new_zeros(sum(rows))
        for start, part in zip(_starts(rows), parts, strict=True):
            if part.bias is not None:
                layer.bias[start : start + part.out_features].copy_(part.bias)
    return layer.train(first.training)


def _starts(rows: Sequence[int]) -> list[int]:
    return [sum(rows[:i]) for i in range(len(rows))]
