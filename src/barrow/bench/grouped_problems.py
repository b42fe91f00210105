"""Products of groups as DeepGEMM's tests have them: which ones, their operands, and what they should give."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from barrow.bench.groups import Quantised, drawn_rows, expert_weights, spans, uneven, zipf
from barrow.bench.machine import Machine
from barrow.bench.measure import reference
from barrow.bench.providers import DEVICE
from barrow.bench.timing import copies_for

Kind = Literal["contiguous", "masked", "k_grouped"]

# Rows at whose multiples the groups of the contiguous layout begin, and of which a K of the K-grouped one has some.
ALIGNMENT = 128
# Rows that a masked group has room for: the first that suffices.
ROOMS = (1024, 4096)
# What is told of a masked group's rows, over their mean.
EXPECTED = 1.2


@dataclass(frozen=True)
class GroupedProblem:
    """`groups` products, of which one of m (contiguous, masked) or k (K-grouped) is the mean of sizes that differ."""

    kind: Kind
    groups: int
    m: int
    n: int
    k: int
    skewed: bool = False

    @property
    def load(self) -> str:
        """Groups x mean size, as in "32 x 192"."""
        mean = self.k if self.kind == "k_grouped" else self.m
        return f"{self.groups} x {mean}{' Zipf' if self.skewed else ''}"

    @property
    def shape(self) -> str:
        """What is the same for all groups."""
        rest = (self.m, self.n) if self.kind == "k_grouped" else (self.n, self.k)
        return " x ".join(map(str, rest))

    def sizes(self) -> list[int]:
        """M, or K, of every group."""
        if self.kind == "k_grouped":
            return [-(-k // ALIGNMENT) * ALIGNMENT for k in uneven(self.groups * self.k, self.groups)]
        return (zipf if self.skewed else uneven)(self.groups * self.m, self.groups)

    def floor_us(self, machine: Machine) -> float:
        """As `Machine.floor_us`, of the rows that count and the groups that have any."""
        sizes = self.sizes()
        total = sum(sizes)
        if self.kind == "k_grouped":
            # What is added to is read and written, in float32.
            moved = total * (self.m + self.n) + 8 * self.groups * self.m * self.n
            return machine.least_us(moved, 2 * self.m * self.n * total)
        moved = total * self.k + sum(size > 0 for size in sizes) * self.n * self.k + 2 * total * self.n
        return machine.least_us(moved, 2 * total * self.n * self.k)


NK = ((6144, 7168), (7168, 3072), (4096, 4096), (4096, 2048))
CONTIGUOUS = ((4, 8192, False), (8, 4096, False), (8, 4096, True))
MASKED = ((32, 192, False), (6, 1024, False), (32, 20, False), (6, 20, False), (32, 192, True))
# Gradients of the weights of experts that lie on 64, 32 and 16 GPUs.
K_GROUPED = tuple(
    (groups, m, n, k) for groups, k in ((4, 8192), (8, 4096), (16, 2048)) for m, n in ((4096, 7168), (7168, 2048))
)
PROBLEMS = (
    *(GroupedProblem("contiguous", groups, m, n, k, skewed) for groups, m, skewed in CONTIGUOUS for n, k in NK),
    *(GroupedProblem("masked", groups, m, n, k, skewed) for groups, m, skewed in MASKED for n, k in NK),
    *(GroupedProblem("k_grouped", *sizes) for sizes in K_GROUPED),
)


class GroupedGemm(Protocol):
    """One contender. D is bfloat16, but float32 of the K-grouped product."""

    name: str

    def prepare(self) -> None:
        """Set what is global to the contender's library."""

    def contiguous(self, a: Quantised, b: Quantised, d: torch.Tensor, m_indices: torch.Tensor) -> None:
        """D[M, N]: each row times the matrix of its group, which `m_indices` [M] tells."""

    def masked(self, a: Quantised, b: Quantised, d: torch.Tensor, masked_m: torch.Tensor, expected_m: int) -> None:
        """D[G, max_m, N]: the first `masked_m` [G] rows of every group times its matrix."""

    def k_grouped(self, a: Quantised, b: Quantised, d: torch.Tensor, ks: list[int], ks_tensor: torch.Tensor) -> None:
        """D[G, M, N] += A[g] x B[g]^T; operands are flat, group after group."""


Part = tuple[Quantised, Quantised, torch.Tensor]


class Case(Protocol):
    """Operands of a problem."""

    copies: int
    d: torch.Tensor
    added: bool  # whether the product is added to what is in d

    def run(self, gemm: GroupedGemm, copy: int) -> None:
        """Multiply with this copy of the operands that rotate."""

    def parts(self) -> Iterator[Part]:
        """A, B of the first copy and the rows of the result, for every group that has any."""


class Contiguous:
    """Rows sorted by group, with padding behind each."""

    added = False

    def __init__(self, problem: GroupedProblem, rotate: bool) -> None:
        sizes = problem.sizes()
        self._spans = spans(sizes, ALIGNMENT)
        rows = sum(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes)
        self._indices = torch.full((rows,), -1, device=DEVICE, dtype=torch.int32)
        for group, span in enumerate(self._spans):
            self._indices[span] = group
        self._a = drawn_rows(rows, problem.k)
        self._b = expert_weights(problem.groups, problem.n, problem.k, rotate)
        self.copies = len(self._b)
        self.d = torch.empty(rows, problem.n, device=DEVICE, dtype=torch.bfloat16)

    def run(self, gemm: GroupedGemm, copy: int) -> None:
        gemm.contiguous(self._a, self._b[copy], self.d, self._indices)

    def parts(self) -> Iterator[Part]:
        for group, span in enumerate(self._spans):
            if span.start < span.stop:
                yield self._a[span], self._b[0][group], self.d[span]


class Masked:
    """Rows of each group at the beginning of a slab."""

    added = False

    def __init__(self, problem: GroupedProblem, rotate: bool) -> None:
        self._sizes = problem.sizes()
        room = next(room for room in ROOMS if room >= max(self._sizes))
        self._counts = torch.tensor(self._sizes, device=DEVICE, dtype=torch.int32)
        self._expected = int(EXPECTED * problem.m)
        self._a = drawn_rows(problem.groups, room, problem.k)
        self._b = expert_weights(problem.groups, problem.n, problem.k, rotate)
        self.copies = len(self._b)
        self.d = torch.empty(problem.groups, room, problem.n, device=DEVICE, dtype=torch.bfloat16)

    def run(self, gemm: GroupedGemm, copy: int) -> None:
        gemm.masked(self._a, self._b[copy], self.d, self._counts, self._expected)

    def parts(self) -> Iterator[Part]:
        for group, size in enumerate(self._sizes):
            if size:
                yield self._a[group][:size], self._b[0][group], self.d[group, :size]


class KGrouped:
    """A product of its own K for each group, added to what is there."""

    added = True

    def __init__(self, problem: GroupedProblem, rotate: bool) -> None:
        self._ks = problem.sizes()
        self._m, self._n = problem.m, problem.n
        self._ks_tensor = torch.tensor(self._ks, device=DEVICE, dtype=torch.int32)
        total = sum(self._ks)
        self.copies = copies_for(total * (self._m + self._n)) if rotate else 1
        # Drawn as one matrix of all K; as the flat operands of the groups the same elements belong elsewhere.
        self._operands = [(drawn_rows(self._m, total), drawn_rows(self._n, total)) for _ in range(self.copies)]
        self.d = torch.zeros(problem.groups, self._m, self._n, device=DEVICE)

    def run(self, gemm: GroupedGemm, copy: int) -> None:
        a, b = self._operands[copy]
        flat = Quantised(a.q.view(-1), a.scale), Quantised(b.q.view(-1), b.scale)
        gemm.k_grouped(*flat, self.d, self._ks, self._ks_tensor)

    def parts(self) -> Iterator[Part]:
        a, b = self._operands[0]
        for group, span in enumerate(spans(self._ks)):
            yield self._of_group(a, span), self._of_group(b, span), self.d[group]

    @staticmethod
    def _of_group(x: Quantised, span: slice) -> Quantised:
        rows = x.q.shape[0]
        q = x.q.view(-1)[rows * span.start : rows * span.stop].view(rows, -1)
        return Quantised(q, x.scale[:, span.start // ALIGNMENT : span.stop // ALIGNMENT])


def case_of(problem: GroupedProblem, rotate: bool = True) -> Case:
    """Operands at random; `rotate`: as many copies as it takes to keep the L2 cache cold."""
    kinds: dict[Kind, type[Contiguous] | type[Masked] | type[KGrouped]] = {
        "contiguous": Contiguous,
        "masked": Masked,
        "k_grouped": KGrouped,
    }
    return kinds[problem.kind](problem, rotate)


def references(case: Case) -> list[torch.Tensor]:
    """The float32 product of each group that has any rows."""
    return [reference(a, b) for a, b, _ in case.parts()]


def relative_error(case: Case, gemm: GroupedGemm, want: Sequence[torch.Tensor]) -> float:
    """Distance of the result from `want`, relative to its norm; NaN if any element that counts was not written."""
    before = 1.0 if case.added else math.nan
    case.d.fill_(before)
    case.run(gemm, 0)
    off = total = 0.0
    for (_, _, got), right in zip(case.parts(), want, strict=True):
        product = got - before if case.added else got.float()
        off += float((product - right).square().sum())
        total += float(right.square().sum())
    return math.sqrt(off / total)
