"""Times all contenders on one shape after another, each judged by its result first."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import torch

from barrow import launcher
from barrow.bench.machine import Machine
from barrow.bench.providers import Activation, Provider, Weight, activation, result, weight
from barrow.bench.shapes import Problem
from barrow.bench.timing import LAUNCHES, ROUNDS, Call, copies_for, interleaved, reason
from barrow.ops.layout import SCALE_BLOCK

# Far above the rounding of e4m3 products to bfloat16 (0.002), far below what a misread scale does.
WRONG = 0.01
# Of a replay, where a launch takes so long that fewer of them will do.
REPLAY_US = 15_000.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """`cold`: a launch finds its weights outside the L2 cache. `quantise`: activations are quantised in its time.
    `rounds`: how often each contender is timed."""

    cold: bool = True
    quantise: bool = False
    rounds: int = ROUNDS

    def as_json(self) -> Row:
        return asdict(self)


class Scaled(Protocol):
    """A matrix [rows, K] of e4m3, and float32 scales per 128 of K and per row, or per 128 rows."""

    @property
    def q(self) -> torch.Tensor: ...

    @property
    def scale(self) -> torch.Tensor: ...


class Contender(Protocol):
    """Whatever is timed."""

    @property
    def name(self) -> str: ...

    def prepare(self) -> None:
        """Set what is global to the contender's library."""


C = TypeVar("C", bound=Contender)


def dequantised(x: Scaled) -> torch.Tensor:
    """The float32 matrix that is meant."""
    rows, columns = x.q.shape
    scale = x.scale if x.scale.shape[0] == rows else x.scale.repeat_interleave(SCALE_BLOCK, 0)[:rows]
    return x.q.float() * scale.repeat_interleave(SCALE_BLOCK, 1)[:, :columns]


def reference(a: Scaled, b: Scaled) -> torch.Tensor:
    """The float32 product of the dequantised operands."""
    return dequantised(a) @ dequantised(b).t()


def multiply(provider: Provider, a: Activation, b: Weight, out: torch.Tensor, quantise: bool) -> None:
    """What is timed: the product, after the quantisation of its activations if that counts."""
    provider.run(a.requantised() if quantise and provider.fp8 else a, b, out)


def relative_error(
    provider: Provider, a: Activation, b: Weight, out: torch.Tensor, want: torch.Tensor, quantise: bool
) -> float:
    """Distance of the result from `want`, relative to its norm; NaN if any element was not written."""
    out.fill_(float("nan"))
    multiply(provider, a, b, out, quantise)
    return float((out.float() - want).norm() / want.norm())


def sound(contenders: Sequence[C], error: Callable[[C], float], row: Row, limit: Callable[[C], float]) -> list[C]:
    """Those whose error is below their limit; the errors of all, and why the others have no time, go to `row`."""
    able = []
    for contender in contenders:
        try:
            contender.prepare()
            found = error(contender)
        # Anything: a compiler at run time fails in ways of its own, and one contender must not end the run.
        except Exception as refusal:
            row["failed"][contender.name] = reason(refusal)
            continue
        row["relative_error"][contender.name] = found
        if found < limit(contender):
            able.append(contender)
        else:
            row["failed"][contender.name] = f"wrong result: relative error {found:.3g}"
    return able


def judge(
    contenders: Sequence[Provider], a: Activation, b: Weight, out: torch.Tensor, row: Row, quantise: bool
) -> list[Provider]:
    """Those who compute the product rightly."""
    want = reference(a, b)
    return sound(
        contenders,
        lambda provider: relative_error(provider, a, b, out, want, quantise),
        row,
        # bf16 multiplies the unquantised operands, so its distance is that of the quantisation.
        lambda provider: WRONG if provider.fp8 else math.inf,
    )


def prepared(provider: Contender, calls: Sequence[Call]) -> list[Call]:
    """The calls, of which the first also sets the library's switches, so that a capture sees its own."""

    def first() -> None:
        provider.prepare()
        calls[0]()

    return [first, *calls[1:]]


def launches_of(floor_us: float) -> int:
    """How many launches a graph of calls needs that take at least so long: a long one needs no neighbours."""
    return max(1, min(LAUNCHES, round(REPLAY_US / floor_us)))


def take_times(row: Row, calls: Mapping[str, Sequence[Call]], rounds: int, launches: int = LAUNCHES) -> None:
    """Time the calls of every contender and put medians, samples and failures into `row`."""
    for name, timing in interleaved(calls, launches, rounds).items():
        if timing.us is None:
            row["failed"][name] = timing.failure
        else:
            row["us"][name] = timing.us
            row["samples"][name] = timing.samples


def empty_row(m: int, floor_us: float) -> Row:
    return {"m": m, "floor_us": floor_us, "us": {}, "samples": {}, "failed": {}, "relative_error": {}}


def weights(n: int, k: int, cold: bool) -> list[Weight]:
    """Weights of one shape: as many as it takes to keep the L2 cache cold, or one that stays in it."""
    return [weight(n, k) for _ in range(copies_for(n * k) if cold else 1)]


def measure_shape(
    machine: Machine, contenders: Sequence[Provider], m: int, ws: Sequence[Weight], settings: Settings
) -> Row:
    """Time every contender on one shape and judge what it computed."""
    n, k = ws[0].q.shape
    a = activation(m, k)
    out = result(a, n)
    floor = machine.floor_us(m, n, k, activation_bytes=2 if settings.quantise else 1, cold=settings.cold)
    chosen = launcher.choose(m, n, k, "bf16", machine.num_sms, machine.memory_gb_s)[0]
    row = {**empty_row(m, floor), "n": n, "k": k, "kernel": chosen["kernel"], "kernel_measured": chosen["measured"]}
    able = judge(contenders, a, ws[0], out, row, settings.quantise)
    calls = {p.name: prepared(p, [partial(multiply, p, a, w, out, settings.quantise) for w in ws]) for p in able}
    take_times(row, calls, settings.rounds, launches_of(floor))
    return row


def measure(
    machine: Machine,
    contenders: Sequence[Provider],
    problems: Sequence[Problem],
    settings: Settings,
) -> Iterator[Row]:
    """A row for every problem as soon as it is there. Neighbours of one N x K share their weights."""
    for (n, k), same in _neighbours(problems):
        ws = weights(n, k, settings.cold)
        for m in same:
            yield measure_shape(machine, contenders, m, ws, settings)
        del ws


def _neighbours(problems: Sequence[Problem]) -> Iterator[tuple[tuple[int, int], list[int]]]:
    for nk, group in itertools.groupby(problems, key=lambda problem: problem[1:]):
        yield (nk[0], nk[1]), [m for m, _, _ in group]
