"""Exact problems for grouped GEMM: rows of one A, a matrix of B per group, every product of both in float64, and who
owns which row, told in the plainest words."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from reference import Problem, integer_problem, product
from torch import Tensor


@dataclass(frozen=True)
class Grouped:
    """a [M, K] and a_scale [M, K/128]; b [G, N, K] and b_scale [G, N/128, K/128], rounded up."""

    a: Tensor
    a_scale: Tensor
    b: Tensor
    b_scale: Tensor

    def products(self) -> Tensor:
        """[G, M, N] float64: all rows of A times each matrix of B."""
        pairs = zip(self.b, self.b_scale, strict=True)
        return torch.stack([product(Problem(self.a, self.a_scale, b, b_scale)) for b, b_scale in pairs])


def grouped_problem(m: int, n: int, k: int, groups: int, device: str | torch.device = "cpu") -> Grouped:
    """Sums are exact, in tensor cores too: see `reference.integer_problem`."""
    problems = [integer_problem(m, n, k, seed=group, device=device) for group in range(groups)]
    b, b_scale = torch.stack([p.b for p in problems]), torch.stack([p.b_scale for p in problems])
    return Grouped(problems[0].a, problems[0].a_scale, b, b_scale)


Kind = Literal["ends", "indices", "counts"]
KINDS: tuple[Kind, ...] = ("ends", "indices", "counts")


@dataclass(frozen=True)
class Told:
    """Groups as a caller tells them, rightly or not, for `rows` rows of A, or of each slab of it."""

    kind: Kind
    numbers: tuple[int, ...]
    rows: int
    alignment: int = 1

    def owners(self, groups: int) -> list[tuple[int, ...]]:
        """The groups that claim each row, slab after slab: none, one, or, where the numbers contradict, several."""
        m, step = self.rows, self.alignment
        if self.kind == "counts":
            return [(g,) if row < self.numbers[g] else () for g in range(groups) for row in range(m)]
        if self.kind == "indices":
            first = [self.numbers[row - row % step] for row in range(m)]
            return [(g,) if 0 <= g < groups else () for g in first]
        begins = [0, *(math.ceil(min(max(end, 0), m) / step) * step for end in self.numbers)]
        spans = list(zip(begins, self.numbers, strict=False))
        return [tuple(g for g, (first, end) in enumerate(spans) if first <= row < end) for row in range(m)]

    def total_rows(self, groups: int) -> int:
        """Of A, or of all its slabs together."""
        return self.rows * (groups if self.kind == "counts" else 1)

    def operands(self, p: Grouped) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """A, its scales, B, its scales and the numbers, as the function for this kind takes them."""
        a, a_scale = p.a, p.a_scale
        if self.kind == "counts":
            a, a_scale = (x.view(len(self.numbers), self.rows, x.shape[1]) for x in (a, a_scale))
        return a, a_scale, p.b, p.b_scale, torch.tensor(self.numbers, dtype=torch.int32, device=a.device)

    def wrong_rows(self, out: Tensor, p: Grouped, before: float | None) -> list[int]:
        """Rows of `out` that have neither products of groups that claim them nor, where none does, `before`.

        None: such rows are undefined.
        """
        products = p.products().float().to(out.dtype)
        rows, owners = out.reshape(products.shape[1:]), self.owners(p.b.shape[0])
        claimed = torch.tensor(
            [[g in claim for claim in owners] for g in range(p.b.shape[0])], device=out.device
        ).bool()
        kept = torch.ones_like(claimed[0]) if before is None else (rows == before).all(1)
        # Columns of one row are tiles of their own, so where several groups claim it each may be another's.
        one_of_them = ((rows == products) & claimed[..., None]).any(0).all(1)
        right = torch.where(claimed.any(0), one_of_them, kept)
        return (~right).nonzero().flatten().tolist()


# How groups can lie and what can be wrong with them, for five matrices.
TOLD: dict[str, Told] = {
    "ends": Told("ends", (3, 3, 4, 133, 140), 140),
    "ends that leave rows": Told("ends", (3, 10, 10, 10, 12), 40),
    "all empty": Told("ends", (0, 0, 0, 0, 0), 9),
    "one giant": Told("ends", (0, 0, 300, 300, 300), 300),
    "aligned to 4, with gaps": Told("ends", (3, 4, 9, 16, 17), 18, 4),
    "aligned to 128, with gaps": Told("ends", (5, 256, 256, 400, 513), 600, 128),
    "an aligned start beyond M": Told("ends", (5, 130, 131, 140, 140), 140, 128),
    "ends before aligned starts": Told("ends", (5, 6, 10, 17, 18), 20, 8),
    "ends that descend": Told("ends", (9, 4, 12, 2, 20), 20),
    "ends beyond M": Told("ends", (9, 30, 2**31 - 1, 12, 99), 20),
    "ends below 0": Told("ends", (-1, 4, -(2**31), 2, 7), 9),
    "an alignment beyond M": Told("ends", (0, 0, 4, 7, 7), 7, 2**31 - 1),
    "indices": Told("indices", (0,) * 128 + (3,) * 100 + (-1,) * 28 + (4,) * 256, 512, 128),
    "indices whose last block is short": Told("indices", (1,) * 128 + (2,) * 5, 133, 128),
    "indices in any order, an expert twice": Told("indices", (4, 4, -1, -1, 0, 0, 4, 4, 2, -1), 10, 2),
    "indices that nothing aligns": Told("indices", (3, 3, 0, 1, 1, 1, 4, -1, 3), 9),
    "indices of no group": Told("indices", (5, 5, -1, -7, 2**31 - 1, 2, -(2**31), 0), 8),
    "a block that begins with padding": Told("indices", (-1, 3, 3, 3, 0, 2, -1, 9), 8, 4),
    "counts": Told("counts", (3, 0, 7, 1, 6), 7),
    "counts of none": Told("counts", (0, 0, 0, 0, 0), 4),
    "counts beyond max_m and below 0": Told("counts", (9, -1, 2**31 - 1, -(2**31), 7), 7),
}
