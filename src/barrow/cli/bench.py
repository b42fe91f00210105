"""`barrow bench`: the FP8 GEMM against its peers on the GPU at hand."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from barrow.bench import shapes
from barrow.bench.machine import this_machine
from barrow.bench.measure import Settings, measure
from barrow.bench.providers import PEERS, providers, warm_deep_gemm
from barrow.bench.serve import BLOCK, SERVE_MS, measure_steps
from barrow.bench.shapes import Problem
from barrow.bench.summary import header, line, summary
from barrow.bench.timing import ROUNDS
from barrow.cli.bench_mixture import measure_experts, measure_grouped
from barrow.cli.bench_report import as_text, report, say, say_missing, warmed
from barrow.cli.exit_status import FAILED, INTERRUPTED
from barrow.cli.shape_options import config_nk, nk, positive, writable

SETS = {"deepseek": shapes.DEEPSEEK_NK, "other": shapes.OTHER_NK}
UNSEEN = "unseen"

Row = dict[str, Any]

DESCRIPTION = """time the FP8 GEMM against what can be imported: DeepGEMM, cuBLASLt, Triton, bfloat16

Launches are replayed as CUDA graphs, contenders in turn, each checked for a right result first; the median of the
rounds counts. The ratio is the time of the fastest FP8 peer over barrow's. Slow is no failure: the exit status is 1
only where nothing could be measured. An interrupted run reports what it has by then."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "bench",
        help=DESCRIPTION.partition("\n")[0],
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to measure").add_mutually_exclusive_group()
    what.add_argument(
        "--shapes",
        choices=(*SETS, UNSEEN),
        default="deepseek",
        help="N x K of DeepSeek-V3 (the default), of other models, or 40 random M x N x K of models not tuned for",
    )
    what.add_argument("--nk", type=nk, nargs="+", metavar="NxK", help="these N x K")
    what.add_argument("--config", type=Path, help="the linear layers of a model's config.json")
    what.add_argument(
        "--serve-like", action="store_true", help="a DeepSeek-V3 decoder block's layers in sequence, as one graph"
    )
    what.add_argument(
        "--grouped", action="store_true", help="products of experts, in the layouts and shapes of DeepGEMM's tests"
    )
    what.add_argument(
        "--experts", action="store_true", help="a layer of DeepSeek-V3's experts, from tokens in bfloat16 to their sum"
    )
    parser.add_argument(
        "--m", type=positive, nargs="+", help="rows of activations; 1 to 8192 by default, with --experts 1 to 512"
    )
    parser.add_argument("--tp", type=positive, help="GPUs that the layers of --config are split over; 1 by default")
    parser.add_argument("--seed", type=int, help="of --shapes unseen; 0 by default")
    how = parser.add_argument_group("how")
    how.add_argument("--l2", choices=("cold", "warm"), default="cold", help="where weights lie when a launch begins")
    how.add_argument("--quant", action="store_true", help="count the quantisation of activations in")
    how.add_argument("--rounds", type=positive, default=ROUNDS, help="%(default)s by default; more against noise")
    how.add_argument("--against", choices=PEERS, nargs="+", default=PEERS, help="all by default")
    how.add_argument("--deep-gemm", type=Path, metavar="DIR", help="folder that holds deep_gemm/, if not installed")
    how.add_argument(
        "--warm", type=positive, metavar="PROCESSES", help="let so many processes compile DeepGEMM's kernels first"
    )
    out = parser.add_argument_group("results")
    out.add_argument("--out", type=writable, metavar="JSON", help="all samples; plots go beside it (barrow[bench])")
    out.add_argument("--plot", type=Path, metavar="JSON", help="draw what an earlier run wrote, and measure nothing")
    parser.set_defaults(run=run, parser=parser)


def _problems(options: argparse.Namespace) -> list[Problem]:
    """What to measure; ends the program where the arguments do not go together."""
    refuse = options.parser.error
    if options.tp and not options.config:
        refuse("--tp needs --config")
    mixture = _mixture(options)
    unseen = options.shapes == UNSEEN and not (options.nk or options.config or options.serve_like or mixture)
    if options.seed is not None and not unseen:
        refuse("--seed needs --shapes unseen")
    if unseen:
        if options.m:
            refuse("--shapes unseen draws M too; leave --m out")
        return shapes.unseen(options.seed or 0)
    if mixture:
        if options.l2 == "warm" or options.quant:
            refuse(f"{mixture} has weights cold and says itself what it quantises; leave --l2 warm and --quant out")
        if options.grouped and options.m:
            refuse("--grouped has the M of DeepGEMM's tests; leave --m out")
        return []
    if options.serve_like:
        if options.l2 == "warm":
            refuse("--serve-like walks through more weights than the L2 cache holds; leave --l2 warm out")
        return shapes.grid(BLOCK, options.m or SERVE_MS)
    nks = options.nk or SETS[options.shapes]
    if options.config:
        nks = config_nk(options.parser, options.config, options.tp or 1)
    return shapes.grid(nks, options.m or shapes.MS)


def _mixture(options: argparse.Namespace) -> str:
    """The option that asks for experts, if one does."""
    return "--grouped" if options.grouped else "--experts" if options.experts else ""


def _measure(options: argparse.Namespace, problems: list[Problem]) -> Row:
    """Measure and print; what the JSON holds."""
    machine = this_machine()
    if options.grouped:
        return measure_grouped(options, machine)
    if options.experts:
        return measure_experts(options, machine)
    contenders, missing = providers(options.against, options.deep_gemm)
    say_missing(missing)
    names = [contender.name for contender in contenders]
    if options.warm and "deep_gemm" in names:
        warmed(lambda: warm_deep_gemm(options.deep_gemm, problems, options.warm))
    say(machine.title())
    settings = Settings(options.l2 == "cold", options.quant or options.serve_like, options.rounds)
    say(header(names, nk=not options.serve_like))
    if options.serve_like:
        ms = list(dict.fromkeys(m for m, _, _ in problems))
        rows = measure_steps(machine, contenders, ms, settings.rounds)
    else:
        rows = measure(machine, contenders, problems, settings)
    return report(machine, settings, rows, lambda row: line(row, names), summary, options.out)


def _draw(data: Row, path: Path) -> int:
    try:
        from barrow.bench.plot import draw

        plots = draw(data, path)
    except ImportError as error:
        print(f"barrow bench: no plots: {error}; pip install 'barrow[bench]'", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"barrow bench: no plots: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"\nbarrow bench: interrupted; barrow bench --plot {path} draws the plots", file=sys.stderr)
        return INTERRUPTED
    for plot in plots:
        say(str(plot))
    return 0


def _draw_file(path: Path) -> int:
    data: Any = None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _draw(data, path)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = f"is no JSON: {error}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        tuned = isinstance(data, dict) and "kernels" in data
        problem = "is a file of barrow tune" if tuned else "is no file of barrow bench"
        problem += "; pass one that barrow bench --out wrote"
    print(f"barrow bench: {path} {problem}", file=sys.stderr)
    return FAILED


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; return 1 with a line on stderr where that cannot be, 130 after an interruption."""
    if options.plot:
        return _draw_file(options.plot)
    problems = _problems(options)
    try:
        data = _measure(options, problems)
    except (RuntimeError, ImportError) as error:
        print(f"barrow bench: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\nbarrow bench: interrupted before anything was measured", file=sys.stderr)
        return INTERRUPTED
    if options.out:
        try:
            options.out.write_text(as_text(data), encoding="utf-8")
        except OSError as error:
            print(f"barrow bench: {options.out} cannot be written: {error}", file=sys.stderr)
            return FAILED
        # The numbers are there; that they could not be drawn is said and no failure.
        if _draw(data, options.out) == INTERRUPTED:
            return INTERRUPTED
    return 0 if data["complete"] else INTERRUPTED
