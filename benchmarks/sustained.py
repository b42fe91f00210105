"""Which kernel takes the least time, and energy, where nothing but it runs? Beside DeepGEMM's, at the power limit.

    python benchmarks/sustained.py --shape 8192x24576x1536 --kernel 192x128 128x192 --deep-gemm DIR

Long launches hold a GPU at its power limit, and it takes its clocks from what they draw. `barrow bench` lets contenders
take turns, tens of milliseconds each, so that none runs long enough to be sure of its own. Here each runs alone for
some seconds, of which the second half counts, contenders forth and back again. Needs nvidia-ml-py, which torch asks for
clocks and power.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import torch
from compare_kernels import contenders, parser

from barrow.bench.measure import prepared, weights
from barrow.bench.providers import Provider, activation, result
from barrow.bench.shapes import Problem
from barrow.bench.timing import LAUNCHES, Call, capture, replay_us

HEADER = f"  {'':32} {'us':>10} {'MHz':>6} {'W':>6} {'Mcycles':>8} {'mJ':>8}"
ROW = "  {:32} {:10.2f} {:6.0f} {:6.0f} {:8.3f} {:8.1f}"


@dataclass(frozen=True)
class Sustained:
    """A contender that runs alone: microseconds of a launch, the SMs' clock and the GPU's power."""

    us: float
    mhz: float
    watts: float

    @property
    def mega_cycles(self) -> float:
        return self.us * self.mhz / 1e6

    @property
    def millijoules(self) -> float:
        return self.us * self.watts / 1e3


def alone(calls: Sequence[Call], seconds: float) -> Sustained:
    """Run the calls' graph again and again, and look at the second half. The power is a mean of the last second."""
    graph, launches = capture(calls, LAUNCHES)
    us, mhz = [], []
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        took = replay_us(graph, launches)
        if passed >= seconds / 2:
            us.append(took)
            mhz.append(float(torch.cuda.clock_rate()))
    return Sustained(fmean(us), fmean(mhz), torch.cuda.power_draw() / 1e3)


def measured(providers: Sequence[Provider], problem: Problem, seconds: float) -> Iterator[tuple[str, Sustained]]:
    """Every contender twice, the second time in the reverse order."""
    m, n, k = problem
    a, ws = activation(m, k), weights(n, k, cold=True)
    out = result(a, n)
    for contender in (*providers, *reversed(providers)):
        yield contender.name, alone(prepared(contender, [partial(contender.run, a, w, out) for w in ws]), seconds)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=3.0, help="of each run; %(default)s by default")
    args = arguments.parse_args()
    # Alone, a launch of this length gains nothing by what is loaded ahead.
    plain = contenders(args.kernel, args.deep_gemm, ahead=(False,))
    for problem in args.shape:
        print("M = {}, N = {}, K = {}".format(*problem))
        print(HEADER)
        for name, at in measured(plain, problem, args.seconds):
            print(ROW.format(name, at.us, at.mhz, at.watts, at.mega_cycles, at.millijoules), flush=True)


if __name__ == "__main__":
    main()
