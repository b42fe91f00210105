"""Operands whose block-scaled product float32 holds exactly, in every memory layout the operator accepts.

A and B are integers from -2 to 2 and the scales are 1/2, 1 or 2. A product of two scaled values is then a multiple of
1/4 of at most 16, so sums over K up to 2^17 stay below 2^24 quarters: every order of summation gives the same float32,
and a kernel is either right in every bit (the sign of a zero aside) or wrong.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from reference import Problem, blocks, product

# An e4m3 NaN in the gaps of A and B, a float NaN in those of the scales: whoever reads a gap shows it in the result.
E4M3_NAN = 0x7F
# `out` starts as NaN, so that an element nobody wrote shows; what lies around it as this value, exact in every dtype.
GUARD = -12288.0
GUARD_ROWS = 2

# The first two are what the copy engine can address: rows adjacent, base and pitch in multiples of 16 bytes.
ScaleLayout = Literal[
    "k_block_major", "k_block_major_wide", "k_block_major_odd", "row_major", "row_major_padded", "per_row", "per_tensor"
]
OutLayout = Literal["contiguous", "aligned", "odd", "bare"]

SCALE_LAYOUTS: tuple[ScaleLayout, ...] = get_args(ScaleLayout)
OUT_LAYOUTS: tuple[OutLayout, ...] = ("contiguous", "aligned", "odd")


@dataclass(frozen=True)
class Case:
    """A shape and the memory layout of each tensor: `pad` bytes between rows, `offset` bytes before the first."""

    m: int
    n: int
    k: int
    a_pad: int = 0
    a_offset: int = 0
    b_pad: int = 0
    b_offset: int = 0
    a_scale: ScaleLayout = "k_block_major"
    b_scale: ScaleLayout = "row_major"
    out: OutLayout = "contiguous"
    row_scales_b: bool = False

    def __str__(self) -> str:
        plain = Case(self.m, self.n, self.k)
        extras = [f"{f}={getattr(self, f)}" for f in self.__dataclass_fields__ if getattr(self, f) != getattr(plain, f)]
        return ", ".join([f"M={self.m} N={self.n} K={self.k}", *extras])


@dataclass(frozen=True)
class Operands:
    """Arguments of one call; `guard` is the whole storage that `out` is a view of."""

    a: torch.Tensor
    a_scale: torch.Tensor
    b: torch.Tensor
    b_scale: torch.Tensor
    out: torch.Tensor
    guard: torch.Tensor

    def to(self, device: torch.device) -> "Operands":
        """The same bytes, strides and gaps on another device."""
        guard = self.guard.to(device)
        out = guard.as_strided(self.out.shape, self.out.stride(), self.out.storage_offset())
        a, a_scale, b, b_scale = (moved(t, device) for t in (self.a, self.a_scale, self.b, self.b_scale))
        return Operands(a, a_scale, b, b_scale, out, guard)


def moved(t: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The same bytes, strides and gaps on another device."""
    storage = t.as_strided((t.untyped_storage().nbytes() // t.element_size(),), (1,), 0)
    return storage.to(device).as_strided(t.shape, t.stride(), t.storage_offset())


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def extent(rows: int, cols: int, pitch: int) -> int:
    """Elements from the first to the last one of a matrix: no storage beyond them, so that an overrun is an overrun."""
    return (rows - 1) * pitch + cols if rows and cols else 0


def fp8_rows(values: torch.Tensor, pad: int = 0, offset: int = 0) -> torch.Tensor:
    """`values` as e4m3 with `pad` NaN bytes between rows and `offset` before the first."""
    rows, cols = values.shape
    pitch = cols + pad
    storage = torch.full((offset + extent(rows, cols, pitch),), E4M3_NAN, dtype=torch.uint8, device=values.device)
    # The copy goes through uint8 because its strided view of the storage needs no float8 kernel.
    storage.as_strided((rows, cols), (pitch, 1), offset).copy_(values.to(torch.float8_e4m3fn).view(torch.uint8))
    return storage.view(torch.float8_e4m3fn).as_strided((rows, cols), (pitch, 1), offset)


def laid_out_scale(values: torch.Tensor, layout: ScaleLayout) -> torch.Tensor:
    """`values` [rows, K blocks] float32 in the layout named; the expanded layouts repeat the first row or value."""
    rows, blocks = values.shape
    if layout == "row_major":
        return values.contiguous()
    if layout == "per_row":
        return values[:, :1].contiguous().expand(rows, blocks) if blocks else values
    if layout == "per_tensor":
        return values[:1, :1].contiguous().expand(rows, blocks) if rows and blocks else values
    whole = ceil_div(rows, 4) * 4
    pitch, offset = {
        "k_block_major": (whole, 0),
        "k_block_major_wide": (whole + 8, 4),
        "k_block_major_odd": (whole + 1, 1),
        "row_major_padded": (blocks + 3, 1),
    }[layout]
    outer, strides = (rows, (pitch, 1)) if layout == "row_major_padded" else (blocks, (1, pitch))
    storage = torch.full((offset + outer * pitch,), float("nan"), device=values.device)
    view = storage.as_strided((rows, blocks), strides, offset)
    view.copy_(values)
    return view


def guarded_out(
    m: int, n: int, dtype: torch.dtype, layout: OutLayout, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """`out` and the storage around it, poisoned. "aligned" and "odd" leave guard columns; all but "bare" guard rows."""
    step = 16 // dtype.itemsize
    pitch, left = {
        "bare": (n, 0),
        "contiguous": (n, 0),
        "aligned": (ceil_div(n, step) * step + step, 0),
        "odd": (n + 3, 1),
    }[layout]
    rows = 0 if layout == "bare" else GUARD_ROWS
    # Whole steps before the first row, or guard rows alone would misalign an out that should be aligned.
    offset = ceil_div(rows * pitch, step) * step + left
    guard = torch.full((offset + (m + rows) * pitch,), GUARD, dtype=dtype, device=device)
    return guard.as_strided((m, n), (pitch, 1), offset).fill_(float("nan")), guard


def operands(case: Case, out_dtype: torch.dtype, device: torch.device, seed: int = 0) -> Operands:
    """Fresh exact operands for `case`, drawn on `device`."""
    g = torch.Generator(device=device).manual_seed(seed)
    powers = torch.tensor([0.5, 1.0, 2.0], device=device)

    def integers(rows: int) -> torch.Tensor:
        return torch.randint(-2, 3, (rows, case.k), generator=g, device=device, dtype=torch.float32)

    def scales(rows: int) -> torch.Tensor:
        return powers[torch.randint(0, 3, (rows, blocks(case.k)), generator=g, device=device)]

    out, guard = guarded_out(case.m, case.n, out_dtype, case.out, device)
    return Operands(
        fp8_rows(integers(case.m), case.a_pad, case.a_offset),
        laid_out_scale(scales(case.m), case.a_scale),
        fp8_rows(integers(case.n), case.b_pad, case.b_offset),
        laid_out_scale(scales(case.n if case.row_scales_b else blocks(case.n)), case.b_scale),
        out,
        guard,
    )


def expected(x: Operands) -> torch.Tensor:
    """The one right result for exact operands, rounded once to out's dtype."""
    # Exact in float32, so the only rounding is the last one, to nearest even, as in the kernels.
    return product(Problem(x.a, x.a_scale, x.b, x.b_scale)).float().to(x.out.dtype)


def wrong_values(out: torch.Tensor, want: torch.Tensor) -> str | None:
    """None where all values are equal; else how many differ, where first, what stands there, and in which rectangle."""
    # != is true for NaN, so an element that nobody wrote counts.
    bad = (out != want).nonzero()
    if not len(bad):
        return None
    (r0, c0), (r1, c1) = bad.amin(0).tolist(), bad.amax(0).tolist()
    r, c = bad[0].tolist()
    return (
        f"{len(bad)} of {out.numel()} wrong, first [{r}, {c}]: got {out[r, c].item()}, want {want[r, c].item()}; "
        f"all within rows {r0}..{r1}, columns {c0}..{c1}"
    )


def touched_guard(x: Operands) -> str | None:
    """None if every element around `out` still has its first value."""
    around = x.guard.clone()
    around.as_strided(x.out.shape, x.out.stride(), x.out.storage_offset()).fill_(GUARD)
    touched = (around != GUARD).nonzero()
    if not len(touched):
        return None
    first = int(touched[0]) - x.out.storage_offset()
    return f"wrote {len(touched)} elements outside out, first at {first:+d} from its first element"


def fault(x: Operands, want: torch.Tensor) -> str | None:
    """What is wrong with a call's result, or None."""
    return wrong_values(x.out, want) or touched_guard(x)
