"""`barrow bench --grouped` and `--experts`: the products of a mixture of experts, and its whole layer."""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from barrow.bench import expert_layers, experts, grouped
from barrow.bench.grouped_problems import PROBLEMS
from barrow.bench.machine import Machine
from barrow.bench.measure import Row, Settings
from barrow.bench.summary import (
    group_header,
    group_line,
    layer_header,
    layer_line,
    summary_lines,
    summary_of_groups,
    summary_of_layers,
)


def say(text: str) -> None:
    """Print at once, for a run takes minutes."""
    print(text, flush=True)


def say_missing(missing: Mapping[str, str]) -> None:
    for name, why in missing.items():
        say(f"{name} is left out: {why}")


def warmed(warm: Callable[[], None]) -> None:
    """Fill DeepGEMM's cache and tell how long it took."""
    started = time.perf_counter()
    warm()
    say(f"DeepGEMM's cache filled in {time.perf_counter() - started:.0f} s")


def report(
    machine: Machine,
    settings: Settings,
    measured: Iterable[Row],
    line: Callable[[Row], str],
    summarise: Callable[[Sequence[Row]], list[Row]],
) -> Row:
    """Print a line for each row as it comes, and the summary; what the JSON holds.

    An interruption ends the rows and not the report: what took minutes to measure is not lost.
    """
    rows: list[Row] = []
    complete = False
    try:
        for row in measured:
            rows.append(row)
            say(line(row))
        complete = True
    except KeyboardInterrupt:
        if not rows:
            raise
        say(f"interrupted after {len(rows)} rows")
    parts = summarise(rows)
    for text in summary_lines(rows, parts):
        say(text)
    about = {"machine": machine.as_json(), "settings": settings.as_json(), "complete": complete}
    return {**about, "summary": parts, "rows": rows}


def measure_grouped(options: argparse.Namespace, machine: Machine) -> Row:
    """Measure and print; what the JSON holds."""
    gemms, missing = grouped.grouped_gemms(options.against, options.deep_gemm)
    say_missing(missing)
    if options.warm and len(gemms) > 1:
        warmed(lambda: grouped.warm_grouped(options.deep_gemm, options.warm))
    say(machine.title())
    names = [gemm.name for gemm in gemms]
    say(group_header(names))
    settings = Settings(rounds=options.rounds)
    rows = grouped.measure_grouped(machine, gemms, PROBLEMS, settings.rounds)
    return report(machine, settings, rows, lambda row: group_line(row, names), summary_of_groups)


def measure_experts(options: argparse.Namespace, machine: Machine) -> Row:
    """Measure and print; what the JSON holds."""
    tokens = options.m or experts.TOKENS
    # Before this process takes memory for the weights.
    if options.warm and expert_layers.can_take_part(options.against, options.deep_gemm):
        sizes, top_k = experts.SIZES, experts.TOP_K
        warmed(lambda: expert_layers.warm_layers(options.deep_gemm, sizes, tokens, top_k, options.warm))
    layer = experts.drawn_experts(*experts.SIZES)
    contenders, missing = expert_layers.layers(layer, options.against, options.deep_gemm)
    say_missing(missing)
    say(machine.title())
    names = [contender.name for contender in contenders]
    say(layer_header(names))
    settings = Settings(quantise=True, rounds=options.rounds)
    rows = experts.measure_experts(machine, layer, contenders, tokens, settings.rounds)
    return report(machine, settings, rows, lambda row: layer_line(row, names), summary_of_layers)
