"""Judges a product of random data by element and by tile of 128 x 128 against float64.

The yardstick of an element is E = sqrt(sum_k (a_k b_k)^2): the size that a sum of these products has if their signs are
independent. What a sound kernel may lose, in units of E:

- Hopper's tensor cores align the products of one FP8 wgmma step (32 of K) and the accumulator to the largest of them
  and cut what lies below 13 fraction bits (DeepSeek-V3 report, arXiv:2412.19437, section 3.5.2). A step thus cuts 33
  terms, each by up to 2^-13 of a power of two that is about 8 times a typical product: sqrt(33 / 3) * 2^-13 * 8 =
  0.0032 products. Four steps are summed before promotion to float32: 0.0065 products over an E of sqrt(128) of them,
  so 0.0006.
- Promoted sums are float32: nothing at this scale. A bfloat16 result is rounded by up to 2^-8 of its value, by 0.0016
  in the root mean square.

The limits are three times the root mean square over a tile, and twelve standard deviations for one element. One element
of a whole tile that is off by E moves the tile by 1/128 = 0.0078, so even that is seen; a tile of zeros moves it by 1.
"""

from dataclasses import dataclass

import torch
from reference import BLOCK, Problem, dequantize

CUT = 0.0006
BF16_ROUNDING_RMS = 0.0016
BF16_ROUNDING_MOST = 2.0**-8
TILE_MARGIN = 3.0
ELEMENT_MARGIN = 12.0
# Below so many elements a tile's root mean square is a matter of chance, and its elements are judged alone.
FEWEST_OF_A_TILE = 256
# An element at the very edge of float32 has no relative accuracy to speak of.
SMALLEST = 2.0**-120


@dataclass(frozen=True)
class Verdict:
    """`worst_tile` and `worst_element` in units of their limits: above 1 is a fault. NaN counts as infinite."""

    worst_tile: float
    worst_element: float
    tile: tuple[int, int]
    element: tuple[int, int]

    @property
    def sound(self) -> bool:
        return self.worst_tile <= 1.0 and self.worst_element <= 1.0

    def __str__(self) -> str:
        return (
            f"worst tile {self.tile} at {self.worst_tile:.3g} of its limit, "
            f"worst element {self.element} at {self.worst_element:.3g} of its limit"
        )


def tile_means(values: torch.Tensor) -> torch.Tensor:
    """Mean of every 128 x 128 tile; 0 for the partial tiles that are too small to judge."""
    m, n = values.shape
    rows, cols = -(-m // BLOCK), -(-n // BLOCK)
    padded = torch.nn.functional.pad(values, (0, cols * BLOCK - n, 0, rows * BLOCK - m))
    sums = padded.view(rows, BLOCK, cols, BLOCK).sum((1, 3))
    heights = torch.full((rows, 1), BLOCK, device=values.device)
    widths = torch.full((1, cols), BLOCK, device=values.device)
    heights[-1], widths[0, -1] = m - (rows - 1) * BLOCK, n - (cols - 1) * BLOCK
    counts = heights * widths
    return torch.where(counts >= FEWEST_OF_A_TILE, sums / counts, 0.0)


def _worst(values: torch.Tensor) -> tuple[float, tuple[int, int]]:
    values = values.nan_to_num(nan=float("inf"), posinf=float("inf"))
    flat = int(values.argmax())
    row, col = divmod(flat, values.shape[1])
    return float(values[row, col]), (row, col)


def judge(out: torch.Tensor, p: Problem) -> Verdict:
    """Compare `out`, not empty, with the float64 product of the dequantised operands."""
    a, b = dequantize(p.a, p.a_scale, 1), dequantize(p.b, p.b_scale, p.b_rows)
    want = a @ b.T
    yardstick = ((a * a) @ (b * b).T).sqrt().clamp(min=SMALLEST)
    error = (out.double() - want).abs() / yardstick
    bf16 = out.dtype is torch.bfloat16
    element_limit = ELEMENT_MARGIN * CUT + (BF16_ROUNDING_MOST * want.abs() / yardstick if bf16 else 0.0)
    tile_limit = TILE_MARGIN * (CUT + (BF16_ROUNDING_RMS if bf16 else 0.0))
    worst_tile, tile = _worst(tile_means(error * error).sqrt() / tile_limit)
    worst_element, element = _worst(error / element_limit)
    return Verdict(worst_tile, worst_element, tile, element)
