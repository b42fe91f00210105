"""The one way that GPU work is timed here.

Launches sit back to back in a CUDA graph, as in serving, so that the host plays no part. With a cold L2 cache they walk
through more bytes of weights than it holds, so every launch reads its weights from memory. Competitors take turns
within one round, in an order drawn anew, so a clock that drifts meets all of them alike; the median of the rounds is
what counts. Where launches are long enough to hold the GPU at its power limit, its clocks still follow the contender
before, and swing for a while: such ones run for a while before they are timed, and for longer while they are.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

import torch

Call = Callable[[], object]

# Four times the 50 MB of an H100's L2 cache, over three times an H200's.
ROTATED_BYTES = 200 * 2**20
# Weights of half a megabyte are more than L2 then, too.
MOST_COPIES = 128
# In a graph, at least: launches, and microseconds of them. A graph's start and end are in its time, 3 to 5 us: of 16
# launches that took 4.3 us each, every one seemed to take 4.5.
LAUNCHES = 32
GRAPH_US = 500.0
ROUNDS = 7
# Launches of more microseconds keep a GPU at its power limit, where clocks follow the work by tens of milliseconds.
SUSTAINED_FROM_US = 40.0
# What such launches run for before they are timed. Without it 192 x 128 took 513 us or 566 on an H100 by who had been
# before it. Of 200 changes of contenders, 12 ms of one took up to 1.2 times as long in the first 200 ms as later on,
# and then no more than 1.05.
SETTLE_US = 200_000.0
# What they run for while they are: of 300 ms, two of one contender lay within 0.5 % of each other.
TIMED_US = 150_000.0


@dataclass(frozen=True)
class Timing:
    """Microseconds of one launch, one sample per round; or why there are none."""

    samples: tuple[float, ...] = ()
    failure: str = ""

    @property
    def us(self) -> float | None:
        return median(self.samples) if self.samples else None


def reason(error: BaseException) -> str:
    """One line of why a contender cannot."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200]


def copies_for(weight_bytes: int) -> int:
    """How many weights to rotate over so that none is still in the L2 cache when its turn comes again."""
    return max(2, min(MOST_COPIES, -(-ROTATED_BYTES // weight_bytes)))


def in_turn(calls: Sequence[Call]) -> Call:
    """One call that makes all of them."""

    def every() -> None:
        for call in calls:
            call()

    return every


def capture(calls: Sequence[Call], launches: int) -> tuple[torch.cuda.CUDAGraph, int]:
    """A graph of at least `launches` calls in whole rounds over `calls`, and how many there are."""
    rounds = -(-launches // len(calls))
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    torch.cuda.synchronize()
    # Not torch.cuda.graph(): it empties the allocator's cache first, which takes longer than what is timed.
    with torch.cuda.stream(stream):
        for call in calls:
            call()
        torch.cuda.synchronize()
        graph.capture_begin()
        try:
            for _ in range(rounds):
                for call in calls:
                    call()
        finally:
            graph.capture_end()
    return graph, rounds * len(calls)


def captured(calls: Sequence[Call], launches: int) -> tuple[torch.cuda.CUDAGraph, int, float]:
    """The same, of at least `GRAPH_US` too, and what a launch takes by a first replay."""
    graph, count = capture(calls, launches)
    us = replay_us(graph, count)
    if us * count < GRAPH_US:
        graph, count = capture(calls, math.ceil(GRAPH_US / us))
        us = replay_us(graph, count)
    return graph, count, us


def replays(us: float, launches: int) -> tuple[int, int]:
    """How often a graph of launches of `us` microseconds is replayed before it is timed, and then while it is."""
    if us < SUSTAINED_FROM_US:
        return 1, 1
    return math.ceil(SETTLE_US / (us * launches)), math.ceil(TIMED_US / (us * launches))


def replay_us(graph: torch.cuda.CUDAGraph, launches: int, ahead: int = 1, timed: int = 1) -> float:
    """Microseconds per launch of `timed` replays, after `ahead` others."""
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    # A replay ahead keeps the GPU busy while the host enqueues the one that is timed, whose start latency would
    # otherwise be in the number, and leaves the caches as this contender's own launches do.
    for _ in range(ahead):
        graph.replay()
    start.record()
    for _ in range(timed):
        graph.replay()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop)) * 1e3 / (timed * launches)


def interleaved(contenders: Mapping[str, Sequence[Call]], launches: int, rounds: int) -> dict[str, Timing]:
    """Time each contender's calls, all contenders in turn within every round. One that raises gets the reason."""
    # With how many launches each has, and how many replays go ahead and are timed.
    graphs: dict[str, tuple[torch.cuda.CUDAGraph, int, int, int]] = {}
    failures: dict[str, str] = {}
    for name, calls in contenders.items():
        try:
            graph, count, us = captured(calls, launches)
            graphs[name] = graph, count, *replays(us, count)
        except Exception as error:  # whatever a contender's library raises
            failures[name] = reason(error)
    samples: dict[str, list[float]] = {name: [] for name in graphs}
    # At its power limit a GPU is as fast as the last contender left it cool: no one always follows the same one, from
    # round to round or, as with a seed, from shape to shape.
    shuffled = Random()
    for _ in range(rounds):
        for name in shuffled.sample(list(graphs), len(graphs)):
            samples[name].append(replay_us(*graphs[name]))
    return {
        name: Timing(failure=failures[name]) if name in failures else Timing(tuple(samples[name]))
        for name in contenders
    }
