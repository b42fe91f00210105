"""Draws a benchmark's rows as SVG: time against M with the floor, and the speed-up over each peer. Needs matplotlib."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean

import matplotlib
from matplotlib.figure import Figure

from barrow.bench.plot_mixture import groups_figure, layer_figure
from barrow.bench.plot_parts import STYLES, Row, caption, peers_of, plot_lines, ratio_caption, ratio_panel, ratio_title
from barrow.bench.summary import FP8_PEERS, speedups

COLUMNS = 4


def shapes_of(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """N x K in the order of measurement."""
    return list(dict.fromkeys((row["n"], row["k"]) for row in rows))


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


def ratio_figure(data: Row) -> Figure:
    rows: list[Row] = data["rows"]
    peers = peers_of(rows)
    height = 1.4 + 0.3 * len(shapes_of(rows))
    figure = Figure(figsize=(13, height * -(-len(peers) // 2) + 0.6))
    panels = figure.subplots(-(-len(peers) // 2), 2, squeeze=False).flatten()
    in_order = sorted(rows, key=lambda row: int(row["m"]))
    for axes, peer in zip(panels, peers, strict=False):
        ratio_panel(axes, in_order, peer, lambda row: f"{row['n']} x {row['k']}", lambda row: str(row["m"]))
        axes.set_xlabel("M")
    for axes in panels[len(peers) :]:
        axes.axis("off")
    figure.suptitle(ratio_caption(data), fontsize=11)
    figure.tight_layout()
    return figure


def scatter_figure(data: Row) -> Figure:
    """The ratio to every peer against M, a point per shape: for shapes that have one M each."""
    rows: list[Row] = data["rows"]
    figure = Figure(figsize=(13, 5.5))
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
    ticks = [0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))  # points may lie anywhere
    axes.set_title(f"Random N x K of real models, above 1 barrow is faster\n{caption(data)}", fontsize=10)
    figure.tight_layout()
    return figure


def figures(data: Row) -> dict[str, Figure]:
    """The figures that suit the rows, by what their files are called after."""
    rows: list[Row] = data["rows"]
    if "load" in rows[0]:
        return {"ratio": groups_figure(data)} if peers_of(rows) else {}
    if "active" in rows[0]:
        return {"time": layer_figure(data)}
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
