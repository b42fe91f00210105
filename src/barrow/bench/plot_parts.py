"""What the plots of all benchmarks are made of: looks, captions, lines of times, heat maps of ratios."""

import math
from collections.abc import Callable, Sequence
from statistics import geometric_mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from barrow.bench.summary import OURS, speedups

Row = dict[str, Any]

# One look per contender in every plot; colours of Okabe and Ito, told apart by colour-blind readers too.
STYLES: dict[str, dict[str, Any]] = {
    "barrow_prefetch": {"color": "#D55E00", "marker": "o", "linewidth": 2.2, "zorder": 5},
    "barrow": {"color": "#E69F00", "marker": "o", "linewidth": 1.6, "zorder": 4},
    "deep_gemm": {"color": "#0072B2", "marker": "s", "linewidth": 1.3},
    "deep_gemm_pdl": {"color": "#56B4E9", "marker": "D", "linewidth": 1.3},
    "deep_gemm_indices": {"color": "#0072B2", "marker": "s", "linewidth": 1.3},
    "deep_gemm_indices_pdl": {"color": "#0072B2", "marker": "s", "linewidth": 1.1, "linestyle": ":"},
    "deep_gemm_ends": {"color": "#56B4E9", "marker": "D", "linewidth": 1.3},
    "deep_gemm_ends_pdl": {"color": "#56B4E9", "marker": "D", "linewidth": 1.1, "linestyle": ":"},
    "deep_gemm_masked": {"color": "#009E73", "marker": "^", "linewidth": 1.3},
    "deep_gemm_masked_pdl": {"color": "#009E73", "marker": "^", "linewidth": 1.1, "linestyle": ":"},
    "cublaslt": {"color": "#009E73", "marker": "^", "linewidth": 1.3},
    "triton": {"color": "#CC79A7", "marker": "P", "linewidth": 1.1},
    "bf16": {"color": "#999999", "marker": "v", "linewidth": 1.1},
}
LABELS = {
    "barrow_prefetch": "barrow, weights prefetched",
    "barrow": "barrow",
    "deep_gemm": "DeepGEMM",
    "deep_gemm_pdl": "DeepGEMM, launches overlapped",
    "deep_gemm_indices": "DeepGEMM + Triton, expert of each row",
    "deep_gemm_indices_pdl": "the same, launches overlapped",
    "deep_gemm_ends": "DeepGEMM + Triton, ends of experts",
    "deep_gemm_ends_pdl": "the same, launches overlapped",
    "deep_gemm_masked": "DeepGEMM + Triton, masked",
    "deep_gemm_masked_pdl": "the same, launches overlapped",
    "cublaslt": "cuBLASLt (torch._scaled_mm)",
    "triton": "Triton",
    "bf16": "bf16 (torch.mm)",
}


def caption(data: Row) -> str:
    machine, settings = data["machine"], data["settings"]
    cache = "weights cold in L2" if settings["cold"] else "weights warm in L2"
    what = "with the quantisation of activations" if settings["quantise"] else "activations quantised before"
    software = f"driver {machine['driver']}, torch {machine['torch']}, barrow {machine['barrow']}"
    return f"{machine['gpu']}, {software}\n{cache}, {what}"


def ratio_caption(data: Row) -> str:
    return f"Time of the peer over time of barrow (above 1: barrow is faster)\n{caption(data)}"


def plot_lines(axes: Axes, rows: Sequence[Row]) -> None:
    """Time of every contender against M, and the floor."""
    for name, style in STYLES.items():
        points = [(row["m"], row["us"][name]) for row in rows if name in row["us"]]
        if points:
            axes.plot(*zip(*points, strict=True), label=LABELS[name], markersize=4, **style)
    ms = [row["m"] for row in rows]
    floor = [row["floor_us"] for row in rows]
    axes.plot(ms, floor, color="black", linestyle="--", linewidth=1, label="floor: bytes or FLOP")
    axes.fill_between(ms, [us / 100 for us in floor], floor, color="black", alpha=0.06, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="M", ylabel="µs")
    axes.set_xticks(ms, [str(m) for m in ms], rotation=60, fontsize=8)
    axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=min(floor) * 0.7)
    axes.grid(True, which="major", alpha=0.3)


def text_color(ratio: float) -> str:
    """Readable on the colour of `ratio`, which is dark at both ends of the scale."""
    return "white" if ratio > 1.75 or ratio < 0.6 else "black"


def ratio_panel(
    axes: Axes, rows: Sequence[Row], peer: str, down: Callable[[Row], str], across: Callable[[Row], str]
) -> None:
    """Heat map of a peer's time over barrow's, by what names the lines and the columns, in the order of the rows."""
    lines, columns = (list(dict.fromkeys(map(name, rows))) for name in (down, across))
    values = [[math.nan] * len(columns) for _ in lines]
    for ratio, row in speedups(rows, [peer]):
        values[lines.index(down(row))][columns.index(across(row))] = ratio
    axes.pcolormesh(values, cmap="RdYlGn", norm=TwoSlopeNorm(1.0, 0.5, 2.0), edgecolors="white", linewidth=0.5)
    axes.invert_yaxis()
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            text, color = ("-", "black") if math.isnan(value) else (f"{value:.2f}", text_color(value))
            axes.text(j + 0.5, i + 0.5, text, color=color, ha="center", va="center", fontsize=8)
    axes.set_xticks([j + 0.5 for j in range(len(columns))], columns, fontsize=8)
    axes.set_yticks([i + 0.5 for i in range(len(lines))], lines, fontsize=8)
    axes.set_title(ratio_title(rows, peer), fontsize=10)


def ratio_title(rows: Sequence[Row], peer: str) -> str:
    mean = geometric_mean([ratio for ratio, _ in speedups(rows, [peer])])
    return f"against {LABELS[peer]}: geomean {mean:.2f}"


def peers_of(rows: Sequence[Row]) -> list[str]:
    return [name for name in STYLES if name not in OURS and speedups(rows, [name])]
