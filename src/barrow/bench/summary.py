"""What a benchmark's rows come to, as numbers and as text."""

from collections import Counter
from collections.abc import Sequence
from statistics import geometric_mean, median
from typing import Any

from barrow.bench.shapes import M_RANGES

Row = dict[str, Any]

DEEP_GEMM = ("deep_gemm", "deep_gemm_pdl")
FP8_PEERS = (*DEEP_GEMM, "cublaslt", "triton")
OURS = ("barrow", "barrow_prefetch")
# Who is compared with whom, each side as the fastest of some contenders. Like with like first: one launch after the
# other on both sides.
Against = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
AGAINST: Against = {
    "deep_gemm": (("barrow",), ("deep_gemm",)),
    "deep_gemm_best": (OURS, DEEP_GEMM),
    "cublaslt": (OURS, ("cublaslt",)),
    "triton": (OURS, ("triton",)),
    "fp8_best": (OURS, FP8_PEERS),
    "bf16": (OURS, ("bf16",)),
}
AGAINST_GROUPS = {name: AGAINST[name] for name in ("deep_gemm", "deep_gemm_best")}
# A layer of experts on DeepGEMM's kernels comes in several layouts; the fastest for a number of tokens counts.
LAYERS = ("deep_gemm_indices", "deep_gemm_ends", "deep_gemm_masked")
LAYERS_PDL = tuple(f"{name}_pdl" for name in LAYERS)
AGAINST_LAYERS: Against = {"deep_gemm": (OURS, LAYERS), "deep_gemm_best": (OURS, (*LAYERS, *LAYERS_PDL))}

# What tells a row from others, as it is written: of groups, and of all else.
PLACE_OF_GROUPS = {"kind": "", "load": "groups ", "shape": "shape "}
PLACE = {"m": "M=", "n": "N=", "k": "K="}


def fastest(row: Row, names: Sequence[str]) -> str | None:
    """The one of `names` with the least time, of those that have one."""
    return min((name for name in names if name in row["us"]), key=lambda name: float(row["us"][name]), default=None)


def speedups(rows: Sequence[Row], names: Sequence[str], ours: Sequence[str] = OURS) -> list[tuple[float, Row]]:
    """Time of the fastest of `names` over that of `ours`, for the rows that have both; above 1 barrow is faster.

    The median of the rounds' ratios, not the ratio of medians: clocks change from round to round, and contenders are
    timed in turn so that one round meets both at the same clocks.
    """
    return [
        (median(p / o for p, o in zip(row["samples"][peer], row["samples"][mine], strict=True)), row)
        for row in rows
        if (mine := fastest(row, ours)) is not None and (peer := fastest(row, names)) is not None
    ]


def timed(rows: Sequence[Row]) -> list[Row]:
    """Those with a time of barrow's."""
    return [row for row in rows if fastest(row, OURS) is not None]


def place_of(row: Row) -> dict[str, str]:
    """The keys that tell this row from others, and how they are written."""
    return PLACE_OF_GROUPS if "load" in row else {key: text for key, text in PLACE.items() if key in row}


def ratios(rows: Sequence[Row], against: Against) -> Row:
    """Per peer the geometric mean and the worst of the speed-ups, and the distance to the floor; all rows are timed."""
    found: Row = {"over_floor": geometric_mean([row["us"][fastest(row, OURS)] / row["floor_us"] for row in rows])}
    for label, (ours, names) in against.items():
        if pairs := speedups(rows, names, ours):
            worst, where = min(pairs, key=lambda pair: pair[0])
            found[label] = {
                "geomean": geometric_mean([ratio for ratio, _ in pairs]),
                "worst": worst,
                "worst_at": {key: where[key] for key in place_of(where)},
            }
    return found


def summary(rows: Sequence[Row], against: Against = AGAINST) -> list[Row]:
    """`ratios` per range of M."""
    result = []
    for low, high in M_RANGES:
        if part := [row for row in timed(rows) if low <= row["m"] <= high]:
            ms = [row["m"] for row in part]
            result.append({"m": [min(ms), max(ms)], **ratios(part, against)})
    return result


def summary_of_groups(rows: Sequence[Row]) -> list[Row]:
    """`ratios` per load of each kind of groups, per kind, and of all."""
    parts: dict[str, list[Row]] = {}
    for name_of in (lambda row: f"{row['kind']} {row['load']}", lambda row: row["kind"], lambda row: "all"):
        for row in timed(rows):
            parts.setdefault(name_of(row), []).append(row)
    return [{"of": name, **ratios(part, AGAINST_GROUPS)} for name, part in parts.items()]


def summary_of_layers(rows: Sequence[Row]) -> list[Row]:
    """`ratios` per range of M, and of all."""
    found = summary(rows, AGAINST_LAYERS)
    return [*found, {"of": "all", **ratios(timed(rows), AGAINST_LAYERS)}] if found else []


def header(names: Sequence[str], nk: bool) -> str:
    """Above the lines of `line`; `nk`: the rows have shapes and kernels."""
    columns = " ".join(f"{name[:9]:>9}" for name in names)
    shape, kernel = (f"{'M':>5} {'N':>6} {'K':>6}", "  kernel") if nk else (f"{'M':>5}", "")
    return f"{shape} {'floor':>8} {columns} {'ratio':>6}{kernel}"


def line(row: Row, names: Sequence[str]) -> str:
    """One row: microseconds of the floor and of every contender, and the ratio of the best FP8 peer to barrow."""
    shape = f"{row['m']:5d} " + (f"{row['n']:6d} {row['k']:6d} " if "n" in row else "")
    kernel = f"  {row['kernel'].removeprefix('fp8_gemm_nt_bf16_')}" if "kernel" in row else ""
    return f"{shape}{times(row, names, 9, FP8_PEERS)}{kernel}"


def times(row: Row, names: Sequence[str], width: int, peers: Sequence[str]) -> str:
    """Columns of the floor, of every contender in this width, and of the ratio of the best peer to barrow."""

    def cell(name: str) -> str:
        return f"{row['us'][name]:{width}.2f}" if name in row["us"] else f"{'-':>{width}}"

    (ratio, _), *_ = speedups([row], peers) or [(float("nan"), row)]
    return f"{row['floor_us']:8.2f} {' '.join(map(cell, names))} {ratio:6.2f}"


def group_header(names: Sequence[str]) -> str:
    """Above the lines of `group_line`."""
    columns = " ".join(f"{name:>13}" for name in names)
    return f"{'kind':10} {'groups':>13} {'shape':>11} {'floor':>8} {columns} {'ratio':>6}"


def group_line(row: Row, names: Sequence[str]) -> str:
    """As `line`, of a row of groups."""
    return f"{row['kind']:10} {row['load']:>13} {row['shape']:>11} {times(row, names, 13, DEEP_GEMM)}"


def layer_header(names: Sequence[str]) -> str:
    """Above the lines of `layer_line`; of DeepGEMM's contenders the layouts suffice."""
    columns = " ".join(f"{name.removeprefix('deep_gemm_'):>11}" for name in names)
    return f"{'M':>5} {'experts':>7} {'floor':>8} {columns} {'ratio':>6}"


def layer_line(row: Row, names: Sequence[str]) -> str:
    """As `line`, of a whole layer: how many experts have a token, and the ratio of the fastest layout."""
    return f"{row['m']:5d} {row['active']:7.1f} {times(row, names, 11, (*LAYERS, *LAYERS_PDL))}"


def summary_lines(rows: Sequence[Row], parts: Sequence[Row]) -> list[str]:
    """A summary in words, and who has no time for what reason."""
    lines = []
    for part in parts:
        name = part["of"] if "of" in part else "M {}..{}".format(*part["m"])
        lines.append(f"{name}: {part['over_floor']:.2f}x the floor")
        for label in AGAINST:
            if label in part:
                worst = part[label]
                where = " ".join(
                    f"{place_of(worst['worst_at'])[key]}{value}" for key, value in worst["worst_at"].items()
                )
                lines.append(
                    f"  against {label:15} geomean {worst['geomean']:.3f}x, worst {worst['worst']:.3f}x at {where}"
                )
    failures = Counter(failure for row in rows for failure in row["failed"].items())
    for (name, why), count in failures.items():
        lines.append(f"{name} has no time for {count} of {len(rows)} rows: {why}")
    return lines
