"""The reference that every test of the operators judges against: float64, plain, independent of barrow.

Two tiers. `integer_problem` has an exact answer, which finds indexing faults. `random_problem` is judged by element and
by tile of 128 x 128 (`judge`): over a whole matrix, one wrong tile drowns in the average.
"""

import math
import unittest.mock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BLOCK = 128
E4M3 = torch.float8_e4m3fn

# What float32 sums in any order stay below, relative to sum_k |a| |b|.
ACCUMULATION = 2.0**-20
# Half a unit in the last place: 8 significant bits in bfloat16, 24 in float32.
ROUNDING = {torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24}


@dataclass(frozen=True)
class Problem:
    """Arguments of `fp8_gemm_nt`: a [M, K], a_scale [M, K/128], b [N, K], b_scale [N/128 or N, K/128], rounded up."""

    a: Tensor
    a_scale: Tensor
    b: Tensor
    b_scale: Tensor

    @property
    def b_rows(self) -> int:
        """Rows of b that one scale covers: 128, or 1 where b has a scale per row."""
        return 1 if self.b_scale.shape[0] == self.b.shape[0] else BLOCK

    @property
    def args(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.a, self.a_scale, self.b, self.b_scale


def blocks(size: int) -> int:
    return -(-size // BLOCK)


def _problem(
    m: int,
    n: int,
    k: int,
    elements: Sequence[float],
    scales: Sequence[float],
    seed: int,
    device: str | torch.device,
    b_rows: int,
) -> Problem:
    """Draw elements and scales from the given values. Drawn on the CPU, so that a seed means the same everywhere."""
    generator = torch.Generator().manual_seed(seed)

    def draw(shape: tuple[int, int], values: Sequence[float]) -> Tensor:
        picks = torch.randint(len(values), shape, generator=generator, dtype=torch.int16).int()
        return torch.tensor(values)[picks].to(device)

    return Problem(
        draw((m, k), elements).to(E4M3),
        draw((m, blocks(k)), scales),
        draw((n, k), elements).to(E4M3),
        draw((-(-n // b_rows), blocks(k)), scales),
    )


def integer_problem(
    m: int, n: int, k: int, *, seed: int = 0, device: str | torch.device = "cpu", b_rows: int = BLOCK
) -> Problem:
    """Small integers and scales that are powers of two: every sum is exact, in tensor cores too.

    Elements reach 2, so 128 products sum to at most 512, 10 bits of the 13 a wgmma keeps; scales reach 4, so float32
    holds the total while K <= 2^18.
    """
    return _problem(m, n, k, (-2.0, -1.0, 0.0, 1.0, 2.0), (1.0, 2.0, 4.0), seed, device, b_rows)


def random_problem(
    m: int, n: int, k: int, *, seed: int = 0, device: str | torch.device = "cpu", b_rows: int = BLOCK
) -> Problem:
    """Normally distributed elements and scales that differ by up to 8x, as quantized weights and activations do."""
    generator = torch.Generator().manual_seed(seed)

    def elements(rows: int) -> Tensor:
        return (torch.randn((rows, k), generator=generator) * 96).clamp(-448, 448).to(device).to(E4M3)

    def scales(rows: int) -> Tensor:
        return (torch.rand((rows, blocks(k)), generator=generator) * 3 - 9).exp2().to(device)

    return Problem(elements(m), scales(m), elements(n), scales(-(-n // b_rows)))


def dequantize(q: Tensor, scale: Tensor, group_rows: int) -> Tensor:
    """q times its scales in float64, one scale for `group_rows` x 128 elements."""
    wide = scale.double().repeat_interleave(group_rows, 0).repeat_interleave(BLOCK, 1)
    return q.double() * wide[: q.shape[0], : q.shape[1]]


def groups_of_k(parts: Sequence[Problem]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """a, a_scale, b and b_scale of `k_grouped_fp8_gemm_nt`: matrices one after another, scales side by side."""
    a, b = torch.cat([p.a.flatten() for p in parts]), torch.cat([p.b.flatten() for p in parts])
    return a, torch.cat([p.a_scale for p in parts], 1), b, torch.cat([p.b_scale for p in parts], 1)


def product(p: Problem) -> Tensor:
    """The product in float64 (exact for an integer problem)."""
    return dequantize(p.a, p.a_scale, 1) @ dequantize(p.b, p.b_scale, p.b_rows).T


def assert_exact(out: Tensor, p: Problem) -> None:
    """Compare with the exact product, rounded once to the dtype of `out`."""
    expected = product(p).float().to(out.dtype)
    assert out.shape == expected.shape, f"shape {tuple(out.shape)}, expected {tuple(expected.shape)}"
    wrong = (out != expected).nonzero()
    if wrong.shape[0]:
        i, j = wrong[0].tolist()
        raise AssertionError(
            f"{wrong.shape[0]} of {out.numel()} elements differ, the first at [{i}, {j}]: "
            f"{out[i, j].item()}, expected {expected[i, j].item()}; wrong tiles {_tiles(wrong)}"
        )


def judge(out: Tensor, p: Problem) -> None:
    """Bound a product in float32 arithmetic, rounded to the dtype of `out`: every element, and every 128 x 128 tile.

    Tensor cores keep fewer bits; tests/gpu/judge.py has their bounds.

    Raises:
        AssertionError: naming the worst tile.
    """
    a, b = dequantize(p.a, p.a_scale, 1), dequantize(p.b, p.b_scale, p.b_rows)
    expected = a @ b.T
    assert out.shape == expected.shape, f"shape {tuple(out.shape)}, expected {tuple(expected.shape)}"
    error = (out.double() - expected).abs()
    rounding = ROUNDING[out.dtype]
    accumulated = ACCUMULATION * (a.abs() @ b.abs().T)
    # Written so that a NaN counts as wrong.
    wrong = (~(error <= rounding * (expected.abs() + accumulated) + accumulated)).nonzero()
    if wrong.shape[0]:
        i, j = wrong[0].tolist()
        raise AssertionError(
            f"{wrong.shape[0]} of {out.numel()} elements are off, the first at [{i}, {j}]: "
            f"{out[i, j].item()}, expected {expected[i, j].item()}; tiles {_tiles(wrong)}"
        )
    for row in range(0, out.shape[0], BLOCK):
        for column in range(0, out.shape[1], BLOCK):
            tile = (slice(row, row + BLOCK), slice(column, column + BLOCK))
            # Over many elements, rounding errors average to less than half of their bound and sums to less still.
            spread = error[tile].numel() ** -0.5
            limit = min(1.0, 0.5 + spread) * rounding * expected[tile].norm()
            limit += min(1.0, 0.25 + spread) * accumulated[tile].norm()
            assert error[tile].norm() <= limit, (
                f"tile at [{row}, {column}]: error {error[tile].norm().item():.3g}, at most {limit.item():.3g}"
            )


def _tiles(indices: Tensor) -> list[tuple[int, int]]:
    """The first few 128 x 128 tiles that hold one of the [count, 2] indices."""
    tiles = {(row // BLOCK, column // BLOCK) for row, column in indices.tolist()}
    return sorted(tiles)[:8]


def _e4m3_values() -> list[float]:
    """The finite values of e4m3 from 0 up, by their bit pattern (OCP 8-bit floating point specification, 1.0)."""
    subnormal = [mantissa * 2.0**-9 for mantissa in range(8)]
    normal = [(8 + mantissa) * 2.0 ** (exponent - 10) for exponent in range(1, 16) for mantissa in range(8)]
    return (subnormal + normal)[:127]


def round_e4m3(values: Tensor) -> Tensor:
    """Round to e4m3, ties to even, saturating: the nearest of all values rather than bit arithmetic."""
    table = torch.tensor(_e4m3_values(), dtype=torch.float64)
    magnitude = values.double().abs().cpu().nan_to_num().clamp(max=448.0)
    above = torch.searchsorted(table, magnitude).clamp(min=1)
    up, down = table[above] - magnitude, magnitude - table[above - 1]
    bits = torch.where((up < down) | ((up == down) & (above % 2 == 0)), above, above - 1)
    bits = torch.where(values.cpu().signbit(), bits + 128, bits).masked_fill(values.isnan().cpu(), 127)
    return bits.to(torch.uint8).view(E4M3).to(values.device)


def quantize(x: Tensor, group_rows: int, use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    """Quantize with one scale per `group_rows` x 128, group by group in IEEE float32. Returns (q, scale)."""
    value = x.float().cpu()
    rows, k = value.shape
    q = torch.empty((rows, k), dtype=E4M3)
    scale = torch.empty((-(-rows // group_rows), blocks(k)))
    for i in range(scale.shape[0]):
        for j in range(scale.shape[1]):
            at = (slice(i * group_rows, (i + 1) * group_rows), slice(j * BLOCK, (j + 1) * BLOCK))
            group = value[at]
            finite = group[group.isfinite()]
            amax = finite.abs().max().item() if finite.numel() else 0.0
            # Rounding a float64 quotient of two float32 to float32 gives the float32 quotient.
            s = torch.tensor(amax / 448.0, dtype=torch.float64).float().item()
            if use_ue8m0 and s > 0.0:
                mantissa, exponent = math.frexp(s)
                s = math.ldexp(1.0, exponent - (mantissa == 0.5))
            scale[i, j] = 1.0 if amax == 0.0 else max(s, 2.0**-126)
            quotient = (group.double() / scale[i, j].double()).float()
            q[at] = round_e4m3(quotient.masked_fill(~group.isfinite(), math.nan))
    return q.to(x.device), scale.to(x.device)


def same_bits(x: Tensor, y: Tensor) -> bool:
    """Equality of bit patterns, where NaN equals NaN of either sign and 0.0 differs from -0.0."""
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    integer = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[x.element_size()]
    wide_x, wide_y = x.float(), y.float()
    both_nan = wide_x.isnan() & wide_y.isnan()
    equal = x.contiguous().view(integer) == y.contiguous().view(integer)
    return bool((equal | both_nan).all())


def opcheck(op: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> None:
    """`torch.library.opcheck`, which compares tensors by `torch.allclose`: that lacks float8."""
    allclose = torch.allclose

    def allclose_float8(x: Tensor, y: Tensor, **tolerances: Any) -> bool:
        if x.dtype == E4M3:
            x, y = x.float(), y.float()
        return allclose(x, y, **tolerances)

    with unittest.mock.patch("torch.allclose", allclose_float8):
        torch.library.opcheck(op, tuple(args), dict(kwargs or {}))
