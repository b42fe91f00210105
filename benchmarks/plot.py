"""Draws what dense.py measured: time against M with the floor, and the speed-up over each peer.

    python benchmarks/plot.py docs/results/dense-h100.json

Writes NAME-time.svg and NAME-ratio.svg beside the JSON.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

Row = dict[str, Any]

# One look per contender in every plot; colours of Okabe and Ito, told apart by colour-blind readers too.
STYLES = {
    "barrow": {"color": "#D55E00", "marker": "o", "linewidth": 2.2, "zorder": 5},
    "deep_gemm": {"color": "#0072B2", "marker": "s", "linewidth": 1.3},
    "deep_gemm_pdl": {"color": "#56B4E9", "marker": "D", "linewidth": 1.3},
    "cublaslt": {"color": "#009E73", "marker": "^", "linewidth": 1.3},
    "bf16": {"color": "#999999", "marker": "v", "linewidth": 1.1},
}
LABELS = {
    "barrow": "barrow",
    "deep_gemm": "DeepGEMM",
    "deep_gemm_pdl": "DeepGEMM, launches overlapped",
    "cublaslt": "cuBLASLt (torch._scaled_mm)",
    "bf16": "bf16 (torch.mm)",
}
COLUMNS = 4


def shapes_of(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """N x K in the order of measurement."""
    return list(dict.fromkeys((row["n"], row["k"]) for row in rows))


def caption(machine: Row) -> str:
    return f"{machine['gpu']}, driver {machine['driver']}, torch {machine['torch']}, barrow {machine['barrow']}"


def plot_panel(axes: Axes, rows: Sequence[Row]) -> None:
    """Time of every contender against M for one N x K."""
    for name, style in STYLES.items():
        points = [(row["m"], row["us"][name]) for row in rows if name in row["us"]]
        if points:
            axes.plot(*zip(*points, strict=True), label=LABELS[name], markersize=4, **style)
    ms = [row["m"] for row in rows]
    floor = [row["floor_us"] for row in rows]
    axes.plot(ms, floor, color="black", linestyle="--", linewidth=1, label="floor: bytes or FLOP")
    axes.fill_between(ms, 0.5, floor, color="black", alpha=0.06, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="M", ylabel="µs")
    axes.set_xticks(ms, [str(m) for m in ms], rotation=60, fontsize=8)
    axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=min(floor) * 0.7)
    axes.set_title(f"N = {rows[0]['n']}, K = {rows[0]['k']}", fontsize=10)
    axes.grid(True, which="major", alpha=0.3)


def time_figure(data: Row) -> Figure:
    rows: list[Row] = data["rows"]
    shapes = shapes_of(rows)
    # One panel more than there are shapes: the last one holds the legend.
    height = -(-(len(shapes) + 1) // COLUMNS)
    figure, grid = plt.subplots(height, COLUMNS, figsize=(4 * COLUMNS, 3.4 * height), squeeze=False)
    panels = grid.flatten()
    for axes, (n, k) in zip(panels, shapes, strict=False):
        plot_panel(axes, [row for row in rows if (row["n"], row["k"]) == (n, k)])
    for axes in panels[len(shapes) :]:
        axes.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    panels[len(shapes)].legend(handles, labels, loc="center", frameon=False, fontsize=11)
    figure.suptitle(f"FP8 GEMM, bf16 out, weights cold in L2: time per launch\n{caption(data['machine'])}", fontsize=12)
    figure.tight_layout()
    return figure


def text_color(ratio: float) -> str:
    """Readable on the colour of `ratio`, which is dark at both ends of the scale."""
    return "white" if ratio > 1.75 or ratio < 0.6 else "black"


def ratio_panel(axes: Axes, rows: Sequence[Row], peer: str) -> None:
    """Heat map of a peer's time over barrow's: M across, N x K down."""
    shapes, ms = shapes_of(rows), sorted({row["m"] for row in rows})
    values = [[math.nan] * len(ms) for _ in shapes]
    for row in rows:
        if peer in row["us"] and "barrow" in row["us"]:
            at = shapes.index((row["n"], row["k"])), ms.index(row["m"])
            values[at[0]][at[1]] = row["us"][peer] / row["us"]["barrow"]
    axes.pcolormesh(values, cmap="RdYlGn", norm=TwoSlopeNorm(1.0, 0.5, 2.0), edgecolors="white", linewidth=0.5)
    axes.invert_yaxis()
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            text, color = ("-", "black") if math.isnan(value) else (f"{value:.2f}", text_color(value))
            axes.text(j + 0.5, i + 0.5, text, color=color, ha="center", va="center", fontsize=8)
    axes.set_xticks([j + 0.5 for j in range(len(ms))], [str(m) for m in ms], fontsize=8)
    axes.set_yticks([i + 0.5 for i in range(len(shapes))], [f"{n} x {k}" for n, k in shapes], fontsize=8)
    found = [value for line in values for value in line if not math.isnan(value)]
    mean = geometric_mean(found)
    axes.set_title(f"against {LABELS[peer]}: geomean {mean:.2f}", fontsize=10)
    axes.set_xlabel("M")


def ratio_figure(data: Row) -> Figure:
    rows: list[Row] = data["rows"]
    peers = [name for name in STYLES if name != "barrow" and any(name in row["us"] for row in rows)]
    height = 1.4 + 0.3 * len(shapes_of(rows))
    figure, grid = plt.subplots(-(-len(peers) // 2), 2, figsize=(13, height * -(-len(peers) // 2)), squeeze=False)
    for axes, peer in zip(grid.flatten(), peers, strict=False):
        ratio_panel(axes, rows, peer)
    for axes in grid.flatten()[len(peers) :]:
        axes.axis("off")
    figure.suptitle(f"Time of the peer over time of barrow (above 1: barrow is faster)\n{caption(data['machine'])}")
    figure.tight_layout()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, help="what dense.py wrote")
    path: Path = parser.parse_args().json
    data = json.loads(path.read_text())
    # Text stays text, and two drawings of the same numbers are the same file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "barrow"})
    for name, figure in (("time", time_figure(data)), ("ratio", ratio_figure(data))):
        target = path.with_name(f"{path.stem}-{name}.svg")
        figure.savefig(target, metadata={"Date": None})
        print(target)


if __name__ == "__main__":
    main()
