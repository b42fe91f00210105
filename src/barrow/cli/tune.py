"""`barrow tune`: how long every kernel of the catalogue takes on every shape, on the GPU at hand."""

import argparse
import sys
from pathlib import Path

from barrow import launcher
from barrow.bench.machine import this_machine
from barrow.bench.shapes import DEEPSEEK_NK, OTHER_NK, grid
from barrow.cli.exit_status import FAILED, INTERRUPTED
from barrow.cli.progress import Progress
from barrow.cli.shape_options import config_nk, nk, positive, writable
from barrow.tune.store import Store, StoreError, hashes
from barrow.tune.sweep import DTYPES, gemm_kernels, tune

DESCRIPTION = """time every kernel on every shape, for the table and the cost model that choose among them

Goes on where an interrupted run left the file; kernels that have changed since are timed again. A kernel that takes
several times the best one's time is timed once and marked coarse. benchmarks/fit_cost.py and
benchmarks/write_table.py of the sources read the file."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "tune",
        help=DESCRIPTION.partition("\n")[0],
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--nk", type=nk, nargs="+", metavar="NxK", help="by default those of barrow bench")
    what.add_argument("--config", type=Path, help="the linear layers of a model's config.json")
    parser.add_argument("--tp", type=positive, help="GPUs that the layers of --config are split over; 1 by default")
    parser.add_argument(
        "--m", type=positive, nargs="+", help="by default every M that stands for a bucket of the table"
    )
    parser.add_argument(
        "--groups",
        type=positive,
        nargs="+",
        help="time grouped kernels instead, with so many groups of different sizes, of --m rows on average",
    )
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="bf16", help="of the result")
    parser.add_argument("--out", type=writable, required=True, metavar="JSON", help="read first if it is there")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Tune; return 1 with a line on stderr where that cannot be, 130 after an interruption."""
    if options.tp and not options.config:
        options.parser.error("--tp needs --config")
    nks = options.nk or (*DEEPSEEK_NK, *OTHER_NK)
    if options.config:
        nks = config_nk(options.parser, options.config, options.tp or 1)
    if options.groups and options.dtype != "bf16":
        options.parser.error("grouped kernels write bf16; leave --dtype out")
    ms = options.m or launcher.tuned()["m_edges"]
    problems = [(m * max(groups, 1), n, k, groups) for groups in options.groups or (0,) for m, n, k in grid(nks, ms)]
    try:
        store = Store.open(options.out, this_machine(), gemm_kernels(), hashes())
        if store.dropped:
            print(f"{store.dropped} times of kernels that have changed since are taken anew")
        tune(store, problems, options.dtype, Progress(sys.stderr))
    except (RuntimeError, OSError, StoreError) as error:
        print(f"barrow tune: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"\nbarrow tune: interrupted; run it again to go on from {options.out}", file=sys.stderr)
        return INTERRUPTED
    print(f"{options.out}: {len(store.rows)} times")
    return 0
