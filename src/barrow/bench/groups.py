"""Groups of rows as a mixture of experts has them: how many rows each gets, and operands for them."""

from dataclasses import dataclass
from random import Random

import torch

from barrow.bench.providers import DEVICE, Activation
from barrow.bench.timing import copies_for

# Rows of a group differ by so much from the mean, as in DeepGEMM's tests.
SPREAD = 0.3
# Of fewer rows a group has what chance gives it.
FEW = 4


def uneven(rows: int, groups: int, seed: int = 0) -> list[int]:
    """`rows` over `groups`, each within SPREAD of the mean, or by chance where there are few; the same for a seed."""
    random = Random(seed)
    if rows < FEW * groups:
        return counted(random.choices(range(groups), k=rows), groups)
    shares = [random.uniform(1 - SPREAD, 1 + SPREAD) for _ in range(groups)]
    sizes = [int(rows * share / sum(shares)) for share in shares]
    for group in random.sample(range(groups), rows - sum(sizes)):
        sizes[group] += 1
    return sizes


def zipf(rows: int, groups: int, exponent: float = 1.0) -> list[int]:
    """`rows` over `groups`, the i-th with a share of 1 / i^exponent: a few experts that everybody asks for."""
    shares = [(i + 1) ** -exponent for i in range(groups)]
    ends = [round(rows * sum(shares[: i + 1]) / sum(shares)) for i in range(groups)]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def counted(choices: list[int], groups: int) -> list[int]:
    return [choices.count(group) for group in range(groups)]


def ends_of(sizes: list[int]) -> torch.Tensor:
    """[G] int32: where each group ends."""
    return torch.tensor(sizes, device=DEVICE).cumsum(0).to(torch.int32)


@dataclass(frozen=True)
class ExpertWeights:
    """One copy of B [G, N, K]: e4m3 with a float32 scale per 128 x 128 block."""

    q: torch.Tensor
    scale: torch.Tensor


def expert_weights(groups: int, n: int, k: int) -> list[ExpertWeights]:
    """As many copies as it takes to keep the L2 cache cold. Drawn in FP8: quantising them would take longer than all
    that is timed."""
    return [_draw(groups, n, k) for _ in range(copies_for(groups * n * k))]


def _draw(groups: int, n: int, k: int) -> ExpertWeights:
    q = torch.empty(groups, n, k, device=DEVICE, dtype=torch.float8_e4m3fn)
    for matrix in q:
        matrix.copy_(torch.randn(n, k, device=DEVICE, dtype=torch.bfloat16) * 64)
    return ExpertWeights(q, torch.rand(groups, -(-n // 128), -(-k // 128), device=DEVICE) * 0.01 + 0.001)


def grouped_reference(a: Activation, b: ExpertWeights, sizes: list[int]) -> torch.Tensor:
    """The float32 product of the dequantised operands, [M, N]."""
    out = torch.empty(a.q.shape[0], b.q.shape[1], device=DEVICE)
    first = 0
    left = a.q.float() * a.scale.repeat_interleave(128, 1)[:, : a.q.shape[1]]
    for group, size in enumerate(sizes):
        wide = b.scale[group].repeat_interleave(128, 0)[: b.q.shape[1]]
        right = b.q[group].float() * wide.repeat_interleave(128, 1)[:, : b.q.shape[2]]
        out[first : first + size] = left[first : first + size] @ right.t()
        first += size
    return out
