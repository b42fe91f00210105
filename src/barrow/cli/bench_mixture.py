"""`barrow bench --grouped` and `--experts`: the products of a mixture of experts, and its whole layer."""

import argparse

from barrow.bench import expert_layers, experts, grouped
from barrow.bench.grouped_problems import PROBLEMS
from barrow.bench.machine import Machine
from barrow.bench.measure import Row, Settings
from barrow.bench.summary import (
    group_header,
    group_line,
    layer_header,
    layer_line,
    summary_of_groups,
    summary_of_layers,
)
from barrow.cli.bench_report import report, say, say_missing, warmed


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
    return report(machine, settings, rows, lambda row: group_line(row, names), summary_of_groups, options.out)


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
    return report(machine, settings, rows, lambda row: layer_line(row, names), summary_of_layers, options.out)
