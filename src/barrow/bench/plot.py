"""Draws a benchmark's rows as SVG: time against M with the floor, and the speed-up over each peer. Needs matplotlib."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from barrow.bench.summary import FP8_PEERS, OURS, speedups

Row = dict[str, Any]

# One look per contender in every plot; colours of Okabe and Ito, told apart by colour-blind readers too.
STYLES: dict[str, dict[str, Any]] = {
    "barrow_prefetch": {"color": "#D55E00", "marker": "o", "linewidth": 2.2, "zorder": 5},
    "barrow": {"color": "#E69F00", "marker": "o", "linewidth": 1.6, "zorder": 4},
    "deep_gemm": {"color": "#0072B2", "marker": "s", "linewidth": 1.3},
    "deep_gemm_pdl": {"color": "#56B4E9", "marker": "D", "linewidth": 1.3},
    "cublaslt": {"color": "#009E73", "marker": "^", "linewidth": 1.3},
    "triton": {"color": "#CC79A7", "marker": "P", "linewidth": 1.1},
    "bf16": {"color": "#999999", "marker": "v", "linewidth": 1.1},
}
LABELS = {
    "barrow_prefetch": "barrow, weights prefetched",
    "barrow": "barrow",
    "deep_gemm": "DeepGEMM",
    "deep_gemm_pdl": "DeepGEMM, launches overlapped",
    "cublaslt": "cuBLASLt (torch._scaled_mm)",
    "triton": "Triton",
    "bf16": "bf16 (torch.mm)",
}
COLUMNS = 4


def shapes_of(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """N x K in the order of measurement."""
    return list(dict.fromkeys((row["n"], row["k"]) for row in rows))


def caption(data: Row) -> str:
    machine, settings = data["machine"], data["settings"]
    cache = "weights cold in L2" if settings["cold"] else "weights warm in L2"
    what = "with the quantisation of activations" if settings["quantise"] else "activations quantised before"
    software = f"driver {machine['driver']}, torch {machine['torch']}, barrow {machine['barrow']}"
    return f"{machine['gpu']}, {software}\n{cache}, {what}"


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


def time_figure(data: Row) -> Figure:
    """A panel per N x K, and one for the legend."""
    rows: list[Row] = data["rows"]
    shapes = shapes_of(rows)
    height = -(-(len(shapes) + 1) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 3.4 * height))
    panels = figure.subplots(height, COLUMNS, squeeze=False).flatten()
    for axes, (n, k) in zip(panels, shapes, strict=False):
        plot_lines(axes, [row for row in rows if (row["n"], row["k"]) == (n, k)])
        axes.set_title(f"N = {n}, K = {k}", fontsize=10)
    for axes in panels[len(shapes) :]:
        axes.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    panels[len(shapes)].legend(handles, labels, loc="center", frameon=False, fontsize=11)
    figure.suptitle(f"FP8 GEMM, bf16 out: time per launch\n{caption(data)}", fontsize=12)
    figure.tight_layout()
    return figure


def step_figure(data: Row) -> Figure:
    """The time of a decoder block's layers against the tokens of a step."""
    figure = Figure(figsize=(7, 5))
    axes = figure.subplots()
    plot_lines(axes, data["rows"])
    # From zero, so that lengths are times; the room above is the legend's.
    most = max(us for row in data["rows"] for us in [row["floor_us"], *row["us"].values()])
    axes.set(xlabel="tokens of a step (M)", ylabel="µs a decoder block", yscale="linear", ylim=(0, 1.45 * most))
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="upper left")
    axes.set_title(f"Linear layers of one DeepSeek-V3 block in sequence\n{caption(data)}", fontsize=10)
    figure.tight_layout()
    return figure


def text_color(ratio: float) -> str:
    """Readable on the colour of `ratio`, which is dark at both ends of the scale."""
    return "white" if ratio > 1.75 or ratio < 0.6 else "black"


def ratio_panel(axes: Axes, rows: Sequence[Row], peer: str) -> None:
    """Heat map of a peer's time over barrow's: M across, N x K down."""
    shapes, ms = shapes_of(rows), sorted({row["m"] for row in rows})
    values = [[math.nan] * len(ms) for _ in shapes]
    for ratio, row in speedups(rows, [peer]):
        values[shapes.index((row["n"], row["k"]))][ms.index(row["m"])] = ratio
    axes.pcolormesh(values, cmap="RdYlGn", norm=TwoSlopeNorm(1.0, 0.5, 2.0), edgecolors="white", linewidth=0.5)
    axes.invert_yaxis()
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            text, color = ("-", "black") if math.isnan(value) else (f"{value:.2f}", text_color(value))
            axes.text(j + 0.5, i + 0.5, text, color=color, ha="center", va="center", fontsize=8)
    axes.set_xticks([j + 0.5 for j in range(len(ms))], [str(m) for m in ms], fontsize=8)
    axes.set_yticks([i + 0.5 for i in range(len(shapes))], [f"{n} x {k}" for n, k in shapes], fontsize=8)
    axes.set_title(ratio_title(rows, peer), fontsize=10)
    axes.set_xlabel("M")


def ratio_title(rows: Sequence[Row], peer: str) -> str:
    mean = geometric_mean([ratio for ratio, _ in speedups(rows, [peer])])
    return f"against {LABELS[peer]}: geomean {mean:.2f}"


def peers_of(rows: Sequence[Row]) -> list[str]:
    return [name for name in STYLES if name not in OURS and speedups(rows, [name])]


def ratio_figure(data: Row) -> Figure:
    rows: list[Row] = data["rows"]
    peers = peers_of(rows)
    height = 1.4 + 0.3 * len(shapes_of(rows))
    figure = Figure(figsize=(13, height * -(-len(peers) // 2) + 0.6))
    panels = figure.subplots(-(-len(peers) // 2), 2, squeeze=False).flatten()
    for axes, peer in zip(panels, peers, strict=False):
        ratio_panel(axes, rows, peer)
    for axes in panels[len(peers) :]:
        axes.axis("off")
    figure.suptitle(f"Time of the peer over time of barrow (above 1: barrow is faster)\n{caption(data)}", fontsize=11)
    figure.tight_layout()
    return figure


def scatter_figure(data: Row) -> Figure:
    """The ratio to every peer against M, a point per shape: for shapes that have one M each."""
    rows: list[Row] = data["rows"]
    figure = Figure(figsize=(9, 5.5))
    axes = figure.subplots()
    for peer in peers_of(rows):
        ratios = speedups(rows, [peer])
        style = {key: STYLES[peer][key] for key in ("color", "marker")}
        ms = [row["m"] for _, row in ratios]
        label = ratio_title(rows, peer)
        axes.scatter(ms, [ratio for ratio, _ in ratios], label=label, s=28, alpha=0.85, **style)
    if best := [ratio for ratio, _ in speedups(rows, FP8_PEERS)]:
        mean = geometric_mean(best)
        axes.axhline(mean, color="black", linestyle=":", label=f"geomean against the fastest FP8 peer: {mean:.2f}")
    axes.axhline(1, color="black", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="M", ylabel="time of the peer over time of barrow")
    ticks = [0.5, 0.75, 1, 1.5, 2, 3, 4]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(f"Random N x K of real models, above 1 barrow is faster\n{caption(data)}", fontsize=10)
    figure.tight_layout()
    return figure


def figures(data: Row) -> dict[str, Figure]:
    """The figures that suit the rows, by what their files are called after."""
    rows: list[Row] = data["rows"]
    if "n" not in rows[0]:
        return {"time": step_figure(data)}
    if max(Counter((row["n"], row["k"]) for row in rows).values()) == 1 and len(rows) > 1:
        return {"ratio": scatter_figure(data)} if peers_of(rows) else {}
    found = {"time": time_figure(data)}
    return {**found, "ratio": ratio_figure(data)} if peers_of(rows) else found


def draw(data: Row, json_file: Path) -> list[Path]:
    """Write NAME-time.svg and NAME-ratio.svg beside `json_file`, from what it holds; return what was written."""
    written = []
    # Text stays text, and two drawings of the same numbers are the same file.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "barrow"}):
        for name, figure in figures(data).items():
            target = json_file.with_name(f"{json_file.stem}-{name}.svg")
            figure.savefig(target, format="svg", metadata={"Date": None})
            written.append(target)
    return written
