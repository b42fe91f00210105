"""References for the operators around a grouped GEMM for experts: plain, independent of barrow, on any device."""

import numpy
import torch
from reference import BLOCK, blocks
from torch import Tensor

# Below it exp(-gate) exceeds float32, and the product is defined to be zero.
LOWEST_GATE = -88.7
# Of the product before it is quantised: two units in the last place for exp and half a one for each operation.
PRODUCT_ERROR = 2.0**-20


def sort(ids: list[list[int]], num_experts: int, max_m: int | None) -> tuple[list[int], list[list[int]]]:
    """What `moe_sort` returns, told row by row."""
    counts = [sum(row.count(expert) for row in ids) for expert in range(num_experts)]
    ends = [sum(counts[: expert + 1]) for expert in range(num_experts)]
    seen = [0] * num_experts
    positions = []
    for row in ids:
        positions.append([-1] * len(row))
        for place, expert in enumerate(row):
            if not 0 <= expert < num_experts:
                continue
            rank = seen[expert]
            seen[expert] += 1
            if max_m is None:
                positions[-1][place] = ends[expert] - counts[expert] + rank
            elif rank < max_m:
                positions[-1][place] = expert * max_m + rank
    return ends if max_m is None else counts, positions


def unpermute(y: Tensor, positions: Tensor, weights: Tensor) -> Tensor:
    """What `moe_unpermute` returns, by numpy's float32 arithmetic: a fused multiply-add would show."""
    rows, places, factors = y.float().numpy(), positions.numpy(), weights.numpy()
    total = numpy.zeros((positions.shape[0], y.shape[1]), numpy.float32)
    with numpy.errstate(all="ignore"):
        for token in range(positions.shape[0]):
            for place in range(positions.shape[1]):
                if 0 <= places[token, place] < y.shape[0]:
                    total[token] += factors[token, place] * rows[places[token, place]]
    return torch.from_numpy(total).bfloat16()


def silu_mul(x: Tensor) -> Tensor:
    """silu(gate) * value of x [rows, 2 * I], calculated in float64; NaN where float32 has no finite product."""
    gate, value = x.double().tensor_split(2, dim=1)
    product = torch.where(gate < LOWEST_GATE, 0.0, gate / (1 + (-gate).exp())) * value
    product = product.float().double()  # or what underflows would count
    lost = ~gate.isfinite() | ~value.isfinite() | ~product.isfinite()
    return product.masked_fill(lost, torch.nan)


def _power_of_two(scale: Tensor) -> Tensor:
    """The least power of two that is not smaller."""
    return scale.log2().ceil().exp2()


def judge_silu_mul_quant(q: Tensor, scale: Tensor, x: Tensor, *, use_ue8m0: bool = False) -> None:
    """Bound what `silu_mul_quant` made of x [rows, 2 * I]: every scale, and every element by its scale.

    Raises:
        AssertionError: naming the first element that is wrong.
    """
    product = silu_mul(x)
    rows, columns = product.shape
    assert (q.shape, scale.shape) == ((rows, columns), (rows, blocks(columns)))
    padded = torch.nn.functional.pad(product.nan_to_num(0.0).abs(), (0, -columns % BLOCK))
    amax = padded.view(rows, blocks(columns), BLOCK).amax(2)
    wanted = torch.where(amax == 0, 1.0, (amax / 448).clamp_min(2.0**-126))
    least, most = ((1 + sign * PRODUCT_ERROR) * wanted for sign in (-1, 1))
    if use_ue8m0:
        least, most = (torch.where(amax == 0, 1.0, _power_of_two(each)) for each in (least, most))
        _assert_none(scale.double() != _power_of_two(scale.double()), scale, wanted)
    _assert_none((scale.double() < least) | (scale.double() > most), scale, wanted)

    quotient = product / scale.double().repeat_interleave(BLOCK, 1)[:, :columns]
    # Half of the distance of e4m3's neighbours: 2^-9 below 2^-6, and then an eighth of the power of two below.
    half_step = quotient.abs().nan_to_num(1.0).clamp_min(2.0**-6).log2().floor().exp2() / 16
    error = (q.double() - quotient).abs()
    right = torch.where(product.isnan(), q.float().isnan(), error <= half_step + 2 * PRODUCT_ERROR * quotient.abs())
    _assert_none(~right, q, quotient)


def _assert_none(wrong: Tensor, got: Tensor, wanted: Tensor) -> None:
    places = wrong.nonzero()
    if len(places):
        at = tuple(places[0].tolist())
        raise AssertionError(
            f"{len(places)} are off, the first at {at}: {got[at].item()}, expected {wanted[at].item()}"
        )
