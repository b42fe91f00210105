"""Groups of rows as a mixture of experts has them: how many rows each gets, and operands for them."""

from dataclasses import dataclass
from random import Random

import torch

from barrow.bench.measure import reference
from barrow.bench.providers import DEVICE, Activation
from barrow.bench.timing import copies_for
from barrow.ops.layout import scale_blocks, token_scale_strides

# Rows of a group differ by so much from the mean, as in DeepGEMM's tests.
SPREAD = 0.3
# Of fewer rows a group has what chance gives it.
FEW = 4
DRAWN_AT_ONCE = 1 << 26


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
class Quantised:
    """e4m3 with float32 scales: a matrix [rows, K] or one per group [G, rows, K]."""

    q: torch.Tensor
    scale: torch.Tensor

    def __getitem__(self, index: int | slice) -> "Quantised":
        """Some rows with a scale each, or a group."""
        return Quantised(self.q[index], self.scale[index])

    @property
    def pair(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.q, self.scale


def expert_weights(groups: int, n: int, k: int, rotate: bool = True) -> list[Quantised]:
    """B [G, N, K] with a scale per 128 x 128 block: as many copies as it takes to keep the L2 cache cold, or one."""
    return [drawn_weights(groups, n, k) for _ in range(copies_for(groups * n * k) if rotate else 1)]


def drawn_weights(groups: int, n: int, k: int) -> Quantised:
    return Quantised(drawn(groups, n, k), drawn_scales(groups, scale_blocks(n), scale_blocks(k)))


def drawn_rows(*shape: int) -> Quantised:
    """[..., rows, K] with a scale per row and 128 of K, rows adjacent, as the quantizer leaves them."""
    *groups, rows, k = shape
    _, padded = token_scale_strides(rows)
    scale = drawn_scales(*groups, scale_blocks(k), padded).mT
    return Quantised(drawn(*shape), scale[..., :rows, :])


def drawn(*shape: int) -> torch.Tensor:
    """Random e4m3. Drawn in FP8: quantising experts would take longer than all that is timed."""
    q = torch.empty(shape, device=DEVICE, dtype=torch.float8_e4m3fn)
    # Part by part, since the numbers that they are rounded from take several times their memory.
    for part in q.view(-1).split(DRAWN_AT_ONCE):
        part.copy_(torch.randn(part.shape, device=DEVICE, dtype=torch.bfloat16) * 64)
    return q


def drawn_scales(*shape: int) -> torch.Tensor:
    return torch.rand(shape, device=DEVICE) * 0.01 + 0.001


def spans(sizes: list[int], alignment: int = 1) -> list[slice]:
    """The rows of each group, which begins at a multiple of `alignment`."""
    found, begin = [], 0
    for size in sizes:
        found.append(slice(begin, begin + size))
        begin += -(-size // alignment) * alignment
    return found


def grouped_reference(a: Activation, b: Quantised, sizes: list[int]) -> torch.Tensor:
    """The float32 product of the dequantised operands, [M, N]."""
    rows = Quantised(a.q, a.scale)
    return torch.cat([reference(rows[span], b[group]) for group, span in enumerate(spans(sizes))])
