"""Which large tile is the fastest at the power limit, whatever the shape? Random problems, on the GPU at hand.

    python benchmarks/tune_large.py docs/results/tune-h100.json --seconds 130

`barrow tune` times N x K of models, with M at the ends of the table's buckets. All other shapes are the cost model's,
and of long launches it is to know what the power limit does to each tile. So problems are drawn, of no model that is
benchmarked, and the large tiles take turns on them, as contenders do in `barrow bench`. What is in the file already is
not timed again; the table takes nothing of it.
"""

import argparse
import itertools
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from retune import OUT, while_time

from barrow.bench.machine import this_machine
from barrow.bench.measure import launches_of
from barrow.bench.shapes import DEEPSEEK_NK, OTHER_NK, model_nk
from barrow.cli.progress import Progress
from barrow.launcher import GemmKernel
from barrow.tune.store import Problem, Store, hashes
from barrow.tune.sweep import Shape, Tell, gemm_kernels, indices, time_in_turn

SEED = 7
COUNT = 47
ROUNDS = 3
# Rows and columns of a large tile, at least, and what its columns are a multiple of: others are never the fastest.
LEAST = 128
COLUMNS = 32
# Of problems: rows, columns, K, and how long they may take at the speed that large ones reach.
ROWS = (1100, 8192)
WIDTHS = (1024, 40960)
DEPTHS = (1024, 16384)
US = (45.0, 1500.0)
FLOP_PER_US = 1.3e9


def estimate_us(m: int, n: int, k: int) -> float:
    return 2 * m * n * k / FLOP_PER_US


def problems(count: int) -> list[Problem]:
    """The same on every machine: M, N and K log-uniform, N in whole scale blocks and K in pairs of them."""
    generator = random.Random(SEED)
    known = {*DEEPSEEK_NK, *OTHER_NK, *model_nk()}

    def drawn(low: float, high: float) -> float:
        return math.exp(generator.uniform(math.log(low), math.log(high)))

    def endless() -> Iterator[Problem]:
        while True:
            m, n, k = round(drawn(*ROWS)), round(drawn(*WIDTHS) / 128) * 128, round(drawn(*DEPTHS) / 256) * 256
            if (n, k) not in known and US[0] < estimate_us(m, n, k) < US[1]:
                yield m, n, k, 0

    return list(itertools.islice(endless(), count))


def large(kernels: list[GemmKernel]) -> list[str]:
    """Names of the kernels that come into question: plain products in large tiles."""
    return [
        kernel["name"]
        for kernel in kernels
        if (kernel["kind"], kernel["out"], kernel["cluster_k"]) == ("gemm", OUT, 1)
        and min(kernel["block_m"], kernel["block_n"]) >= LEAST
        and kernel["block_n"] % COLUMNS == 0
    ]


def tune_large(store: Store, wanted: list[Problem], seconds: float, tell: Tell) -> int:
    """Time the large tiles on what of `wanted` the store lacks; returns how many problems there was time for."""
    index = indices()
    tiles = {name: index[name] for name in large(store.kernels)}

    def in_turn(problem: Problem, shape: Shape) -> None:
        time_in_turn(store, shape, problem, tiles, launches_of(estimate_us(*problem[:3])), ROUNDS)

    todo = [problem for problem in wanted if any((name, problem) not in store.rows for name in tiles)]
    return while_time(store, todo, seconds, tell, in_turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuning", type=Path, help="JSON of barrow tune")
    parser.add_argument("--count", type=int, default=COUNT, help="of problems; %(default)s by default")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="what is not begun by then is left out")
    args = parser.parse_args()
    store = Store.open(args.tuning, this_machine(), gemm_kernels(), hashes(), changed_too=True)
    done = tune_large(store, problems(args.count), args.seconds, Progress(sys.stderr))
    print(f"{store.path}: {done} problems timed")


if __name__ == "__main__":
    main()
