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
AGAINST: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "deep_gemm": (("barrow",), ("deep_gemm",)),
    "deep_gemm_best": (OURS, DEEP_GEMM),
    "cublaslt": (OURS, ("cublaslt",)),
    "triton": (OURS, ("triton",)),
    "fp8_best": (OURS, FP8_PEERS),
    "bf16": (OURS, ("bf16",)),
}


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


def summary(rows: Sequence[Row]) -> list[Row]:
    """Per range of M and per peer: geometric mean and worst of the speed-ups, and the distance to the floor."""
    result = []
    for low, high in M_RANGES:
        timed = [(row, mine) for row in rows if low <= row["m"] <= high and (mine := fastest(row, OURS)) is not None]
        if not timed:
            continue
        line: Row = {
            "m": [min(row["m"] for row, _ in timed), max(row["m"] for row, _ in timed)],
            "over_floor": geometric_mean([row["us"][mine] / row["floor_us"] for row, mine in timed]),
        }
        for label, (ours, names) in AGAINST.items():
            if ratios := speedups([row for row, _ in timed], names, ours):
                worst, where = min(ratios, key=lambda pair: pair[0])
                line[label] = {
                    "geomean": geometric_mean([ratio for ratio, _ in ratios]),
                    "worst": worst,
                    "worst_at": {key: where[key] for key in ("m", "n", "k") if key in where},
                }
        result.append(line)
    return result


def header(names: Sequence[str], nk: bool) -> str:
    """Above the lines of `line`; `nk`: the rows have shapes and kernels."""
    columns = " ".join(f"{name[:9]:>9}" for name in names)
    shape, kernel = (f"{'M':>5} {'N':>6} {'K':>6}", "  kernel") if nk else (f"{'M':>5}", "")
    return f"{shape} {'floor':>8} {columns} {'ratio':>6}{kernel}"


def line(row: Row, names: Sequence[str]) -> str:
    """One row: microseconds of the floor and of every contender, and the ratio of the best FP8 peer to barrow."""

    def cell(name: str) -> str:
        return f"{row['us'][name]:9.2f}" if name in row["us"] else f"{'-':>9}"

    (ratio, _), *_ = speedups([row], FP8_PEERS) or [(float("nan"), row)]
    shape = f"{row['m']:5d} " + (f"{row['n']:6d} {row['k']:6d} " if "n" in row else "")
    kernel = f"  {row['kernel'].removeprefix('fp8_gemm_nt_bf16_')}" if "kernel" in row else ""
    return f"{shape}{row['floor_us']:8.2f} {' '.join(map(cell, names))} {ratio:6.2f}{kernel}"


def summary_lines(rows: Sequence[Row]) -> list[str]:
    """`summary` in words, and who has no time for what reason."""
    lines = []
    for part in summary(rows):
        low, high = part["m"]
        lines.append(f"M {low}..{high}: {part['over_floor']:.2f}x the floor")
        for label in AGAINST:
            if label in part:
                worst = part[label]
                where = " ".join(f"{key.upper()}={value}" for key, value in worst["worst_at"].items())
                lines.append(
                    f"  against {label:15} geomean {worst['geomean']:.3f}x, worst {worst['worst']:.3f}x at {where}"
                )
    failures = Counter(failure for row in rows for failure in row["failed"].items())
    for (name, why), count in failures.items():
        lines.append(f"{name} has no time for {count} of {len(rows)} rows: {why}")
    return lines
