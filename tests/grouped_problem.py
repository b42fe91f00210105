"""Exact problems for grouped GEMM: rows of one A, a matrix of B per group, and every product of both in float64."""

from dataclasses import dataclass

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
