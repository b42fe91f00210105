"""Times every kernel that can run a shape, and the fastest of them against each other."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Literal, Protocol

import torch

from barrow import launcher
from barrow.bench import timing
from barrow.bench.groups import Quantised, ends_of, expert_weights, grouped_reference, uneven, zipf
from barrow.bench.machine import Machine
from barrow.bench.measure import WRONG, reference, weights
from barrow.bench.providers import Activation, Weight, activation, result
from barrow.bench.saving import SAVE_SECONDS
from barrow.bench.timing import ROUNDS, Call, captured, interleaved, replay_us
from barrow.launcher import GemmKernel
from barrow.ops.layout import GroupLayout
from barrow.tune.store import Problem, Store

Out = Literal["bf16", "f32"]
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}

# Slower than the best so far by this factor: not worth an exact time, which would be most of the run.
HOPELESS = 4.0
# An eager launch adds some microseconds of its own, so below this no kernel is hopeless.
EAGER_US = 20.0
# What is tuned for: a chain of layers whose weights are loaded ahead.
PREFETCH = True
# Launches in a graph, at least; of short ones as many as last long enough, see `timing.captured`.
LAUNCHES = 4
FIRST_ROUNDS = 3
# Tiles have at least as many rows as wgmma takes, or are swapped ones.
LEAST_ROWS = 64
# Of more rows than these swapped ones are never the fastest: on an H100 and an H200 by 14 % and more.
FEW_ROWS = 128
# Nearer to the best than this, kernels are timed again, in turn: their order is what a tuning is for. Of long
# launches all that may come first on a GPU that is hot.
CLOSE = 1.05
CLOSE_WHEN_HOT = 1.25

# (timed, to be timed, the shape that is next)
Tell = Callable[[int, int, str], None]


def gemm_kernels() -> list[GemmKernel]:
    """The GEMM kernels of this build that take a weight's scales, one for each block of 128 x 128."""
    return [row for row in launcher.kernels() if row["kind"] != "aux" and not row["row_scales_b"]]


def indices() -> dict[str, int]:
    """What the operators `_with` take for each kernel: its place in the table, where GEMM kernels come first."""
    return {row["name"]: i for i, row in enumerate(launcher.kernels()) if row["kind"] != "aux"}


class Shape(Protocol):
    """Operands of one shape, and calls of any kernel on them."""

    def calls(self, index: int) -> list[Call]:
        """Calls of the kernel with this place in the table, for each copy of the weights and each load."""

    def check(self, name: str, calls: Sequence[Call]) -> None:
        """Raise RuntimeError if a kernel's calls do not give the product: a wrong kernel may be fast."""


def check_product(name: str, call: Call, out: torch.Tensor, want: torch.Tensor) -> None:
    out.fill_(float("nan"))
    call()
    error = float((out.float() - want).norm() / want.norm())
    if not error < WRONG:
        raise RuntimeError(f"kernel {name} computes a wrong product for {tuple(out.shape)}: relative error {error:.3g}")


class DenseShape:
    """Operands of one shape, and calls of any kernel on them; weights rotate, so that the L2 cache stays cold."""

    def __init__(self, m: int, ws: Sequence[Weight], out: Out) -> None:
        n, k = ws[0].q.shape
        self.a: Activation = activation(m, k)
        self.out = result(self.a, n, DTYPES[out])
        self.weights = ws
        self.want = reference(self.a, ws[0])

    def calls(self, index: int) -> list[Call]:
        run = partial(torch.ops.barrow.fp8_gemm_nt_with, self.a.q, self.a.scale)
        return [partial(run, w.q, w.scale, index, PREFETCH, out=self.out) for w in self.weights]

    def check(self, name: str, calls: Sequence[Call]) -> None:
        check_product(name, calls[0], self.out, self.want)


class GroupedShape:
    """The same with the rows in groups, by turns about alike and by Zipf's law: a kernel is to do well with both."""

    def __init__(self, m: int, ws: Sequence[Quantised]) -> None:
        groups, n, k = ws[0].q.shape
        loads = [sizes(m, groups) for sizes in (uneven, zipf)]
        self.a: Activation = activation(m, k)
        self.out = result(self.a, n)
        self.weights = ws
        self.ends = [ends_of(sizes) for sizes in loads]
        self.wants = [grouped_reference(self.a, ws[0], sizes) for sizes in loads]

    def calls(self, index: int) -> list[Call]:
        run = partial(torch.ops.barrow.m_grouped_fp8_gemm_nt_with, self.a.q, self.a.scale)
        told = (GroupLayout.ENDS, 1, 0, index)
        return [partial(run, w.q, w.scale, ends, *told, out=self.out) for w in self.weights for ends in self.ends]

    def check(self, name: str, calls: Sequence[Call]) -> None:
        for call, want in zip(calls, self.wants, strict=False):
            check_product(name, call, self.out, want)


def eager_us(call: Call) -> float:
    """Microseconds of an eager launch of a kernel that is loaded: of two, since a busy host makes one look hopeless."""
    times = []
    for _ in range(2):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        stop.record()
        stop.synchronize()
        times.append(float(start.elapsed_time(stop)) * 1e3)
    return min(times)


def checked_calls(shape: Shape, name: str, index: int) -> list[Call]:
    """Calls of a kernel that gives the product; raises RuntimeError where it does not."""
    calls = shape.calls(index)
    shape.check(name, calls)
    return calls


def time_kernel(shape: Shape, name: str, index: int, best_us: float) -> tuple[float, bool]:
    """Microseconds per launch, and whether they are coarse."""
    calls = checked_calls(shape, name, index)
    rough = eager_us(calls[0])
    if rough > HOPELESS * max(best_us, EAGER_US):
        return rough, True
    graph, launches, _ = captured(calls, LAUNCHES)
    return median(replay_us(graph, launches) for _ in range(FIRST_ROUNDS)), False


def worth_timing(block_m: int, m: int, groups: int = 0) -> bool:
    """Whether tiles of so many rows may be the fastest: of one product never those of which A fills less than half,
    nor, for more than `FEW_ROWS`, those made for few."""
    return groups > 0 or (block_m <= max(LEAST_ROWS, 2 * m) and (m <= FEW_ROWS or block_m >= LEAST_ROWS))


def _missing(store: Store, machine: Machine, problem: Problem, out: Out) -> list[str]:
    """Kernels that may be the fastest and have no time yet, the most promising first, so that hopeless ones show."""
    m, n, k, groups = problem
    rows = {kernel["name"]: kernel["block_m"] for kernel in store.kernels}
    candidates = launcher.choose(m, n, k, out, machine.num_sms, machine.memory_gb_s, groups=groups)
    names = [c["kernel"] for c in candidates if worth_timing(rows[c["kernel"]], m, groups)]
    return [name for name in names if (name, problem) not in store.rows]


def time_close(
    store: Store, shape: Shape, problem: Problem, index: dict[str, int], out: Out, within: float | None = None
) -> None:
    """Time the kernels that are close to the best again, in turn: `within` so many times its time, by default less."""
    exact = store.exact(out)[problem]
    best = min(row["us"] for row in exact)
    long = best > timing.SUSTAINED_FROM_US
    limit = best * (within or (CLOSE_WHEN_HOT if long else CLOSE))
    close = [row["kernel"] for row in exact if row["us"] <= limit]
    if len(close) > 1:
        # As a benchmark times them: a GPU at its power limit ranks large tiles otherwise than one that just woke up.
        launches = timing.LAUNCHES if long else LAUNCHES
        time_in_turn(store, shape, problem, {name: index[name] for name in close}, launches, ROUNDS)


def time_in_turn(
    store: Store, shape: Shape, problem: Problem, kernels: Mapping[str, int], launches: int, rounds: int
) -> None:
    """Time the kernels, each with its place in the table, in turn. Raises RuntimeError for one that fails."""
    # Checked also where an earlier run has timed them: their code may have changed since.
    calls = {name: checked_calls(shape, name, index) for name, index in kernels.items()}
    for name, found in interleaved(calls, launches, rounds).items():
        if found.us is None:
            raise RuntimeError(f"kernel {name}: {found.failure}")
        store.add(name, problem, found.us, coarse=False)


def label(problem: Problem) -> str:
    """How progress calls it."""
    m, n, k, groups = problem
    return f"M = {m}, N = {n}, K = {k}" + (f", {groups} groups" if groups else "")


def tune(store: Store, problems: Sequence[Problem], out: Out, tell: Tell) -> None:
    """Time what `store` lacks, and save it every few seconds and at the end, whatever ends the run."""
    machine, index = store.machine, indices()
    todo = {problem: _missing(store, machine, problem, out) for problem in problems}
    total, done, saved = sum(map(len, todo.values())), 0, time.monotonic()
    try:
        for problem, shape in shapes([problem for problem in problems if todo[problem]], out):
            tell(done, total, label(problem))
            best = min((row["us"] for row in store.of_problem(problem)), default=float("inf"))
            for name in todo[problem]:
                us, coarse = time_kernel(shape, name, index[name], best)
                best = min(best, us)
                store.add(name, problem, us, coarse)
                done += 1
            time_close(store, shape, problem, index, out)
            if time.monotonic() - saved > SAVE_SECONDS:
                store.save()
                saved = time.monotonic()
        tell(total, total, "")
    finally:
        store.save()


def shapes(problems: Sequence[Problem], out: Out) -> Iterator[tuple[Problem, Shape]]:
    """Operands for each problem; neighbours of one N x K, and number of groups, share their weights."""
    for (n, k, groups), same in itertools.groupby(problems, key=lambda problem: problem[1:]):
        if groups:
            experts = expert_weights(groups, n, k)
            for problem in same:
                yield problem, GroupedShape(problem[0], experts)
            del experts
        else:
            ws = weights(n, k, cold=True)
            for problem in same:
                yield problem, DenseShape(problem[0], ws, out)
            del ws
