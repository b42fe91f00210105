"""Which kernels come first now? Times those near the fastest of a tuning again, in turn, on the GPU at hand.

    python benchmarks/retune.py docs/results/tune-h100.json --out tune.json --within 1.1 --least-us 40 --seconds 120

`barrow tune` times a kernel anew wherever its machine code has changed, and so takes an hour. After a change of some
per cent only what was near the fastest may come first. All other times stay, of the kernels that they were taken with.
The shapes of DeepSeek-V3 come first; when the time is over, what is done by then is written.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from barrow.bench.machine import this_machine
from barrow.bench.shapes import DEEPSEEK_NK
from barrow.cli.progress import Progress
from barrow.tune.store import Problem, Store, hashes
from barrow.tune.sweep import Out, Shape, Tell, gemm_kernels, indices, label, shapes, time_close

OUT: Out = "bf16"


def worth(store: Store, least_m: int, most_m: float, least_us: float, most_us: float) -> list[Problem]:
    """Problems of so many rows, in each group, whose fastest kernel takes from `least_us` to below `most_us`, those of
    one N x K together."""
    best = {problem: min(row["us"] for row in rows) for problem, rows in store.exact(OUT).items()}
    found = [p for p, us in best.items() if least_m <= p[0] / max(p[3], 1) <= most_m and least_us <= us < most_us]
    return sorted(found, key=lambda p: (p[1:3] not in DEEPSEEK_NK, p[1:], p[0]))


def while_time(
    store: Store, problems: list[Problem], seconds: float, tell: Tell, work: Callable[[Problem, Shape], None]
) -> int:
    """Do this work for one problem after the other until the time is over, and save the store whatever ends it; returns
    how many problems there was time for."""
    start, done = time.monotonic(), 0
    try:
        for problem, shape in shapes(problems, OUT):
            if time.monotonic() - start > seconds:
                break
            tell(done, len(problems), label(problem))
            work(problem, shape)
            done += 1
    finally:
        store.save()
    tell(done, done, "")
    return done


def retune(store: Store, problems: list[Problem], within: float, seconds: float, tell: Tell) -> int:
    """Time what is near the fastest; returns how many problems there was time for."""
    index = indices()

    def again(problem: Problem, shape: Shape) -> None:
        time_close(store, shape, problem, index, OUT, within)

    return while_time(store, problems, seconds, tell, again)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuning", type=Path, help="JSON of barrow tune")
    parser.add_argument("--out", type=Path, help="JSON file; default: the same")
    parser.add_argument("--within", type=float, default=1.1, help="times the fastest; %(default)s by default")
    parser.add_argument("--least-m", type=int, default=1, metavar="M", help="of groups, of each")
    parser.add_argument("--most-m", type=float, default=float("inf"), metavar="M", help="the same")
    parser.add_argument("--least-us", type=float, default=0.0, metavar="US")
    parser.add_argument("--most-us", type=float, default=float("inf"), metavar="US")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="what is not begun by then is left out")
    args = parser.parse_args()
    store = Store.open(args.tuning, this_machine(), gemm_kernels(), hashes(), changed_too=True)
    store.path = args.out or args.tuning
    problems = worth(store, args.least_m, args.most_m, args.least_us, args.most_us)
    done = retune(store, problems, args.within, args.seconds, Progress(sys.stderr))
    print(f"{store.path}: {done} of {len(problems)} problems timed again")


if __name__ == "__main__":
    main()
