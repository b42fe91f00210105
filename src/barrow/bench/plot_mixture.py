"""Draws the rows of `barrow bench --grouped` and `--experts`."""

from matplotlib.figure import Figure

from barrow.bench.plot_parts import Row, caption, peers_of, plot_lines, ratio_caption, ratio_panel
from barrow.bench.summary import AGAINST_LAYERS, speedups

TITLES = {
    "contiguous": "rows sorted by expert (N x K)",
    "masked": "masked, mean rows of an expert (N x K)",
    "k_grouped": "groups of K, added to float32 (M x N)",
}


def groups_figure(data: Row) -> Figure:
    """A heat map per kind of groups and peer."""
    rows: list[Row] = data["rows"]
    peers = peers_of(rows)
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    figure = Figure(figsize=(5.5 * len(kinds), 2.6 * len(peers) + 0.7))
    panels = figure.subplots(len(peers), len(kinds), squeeze=False)
    for line, peer in zip(panels, peers, strict=True):
        for axes, kind in zip(line, kinds, strict=True):
            part = [row for row in rows if row["kind"] == kind]
            if speedups(part, [peer]):
                ratio_panel(axes, part, peer, lambda row: str(row["load"]), lambda row: str(row["shape"]))
                axes.set_xlabel(TITLES[kind])
            else:
                axes.axis("off")
    figure.suptitle(ratio_caption(data), fontsize=11)
    figure.tight_layout()
    return figure


def layer_figure(data: Row) -> Figure:
    """The time of a layer of experts against the tokens of a step, and what the fastest peer takes of barrow's."""
    rows: list[Row] = data["rows"]
    figure = Figure(figsize=(13, 5.5))
    times, ratios = figure.subplots(1, 2)
    plot_lines(times, rows)
    times.set(xlabel="tokens of a step", ylabel="µs a layer")
    times.legend(frameon=False, fontsize=8)
    for label, name, marker in (
        ("deep_gemm", "DeepGEMM, fastest layout", "s"),
        ("deep_gemm_best", "the same, launches overlapped or not", "D"),
    ):
        ours, peers = AGAINST_LAYERS[label]
        if pairs := speedups(rows, peers, ours):
            ms = [row["m"] for _, row in pairs]
            ratios.plot(ms, [ratio for ratio, _ in pairs], marker=marker, markersize=4, label=name)
    ms = [row["m"] for row in rows]
    ratios.axhline(1, color="black", linewidth=1)
    ratios.set(xscale="log", xlabel="tokens of a step", ylabel="time of the peer over time of barrow")
    ratios.set_ylim(bottom=0)
    ratios.set_xticks(ms, [str(m) for m in ms], rotation=60, fontsize=8)
    ratios.set_xticks([], minor=True)
    ratios.grid(True, which="major", alpha=0.3)
    if ratios.get_legend_handles_labels()[0]:
        ratios.legend(frameon=False, fontsize=9)
    top_k, experts = rows[0]["top_k"], rows[0]["experts"]
    figure.suptitle(f"A layer of experts, top {top_k} of {experts}, bf16 in and out\n{caption(data)}", fontsize=11)
    figure.tight_layout()
    return figure
