"""Which measured choices are worth shipping? Turns what `barrow tune` wrote into tables that the build takes in.

    python benchmarks/write_table.py docs/results/tune-*.json

Keeps a shape where another kernel than the cost model's choice was faster by at least 1 %. Run it after fit_cost.py:
the model chooses by the costs in the sources. Needs no GPU.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from cost_model import Gpu, check_formula, predict, resident_clusters

from barrow.bench.grouped_problems import EXPECTED
from barrow.tune.sweep import worth_timing
from barrow_build.config import ARCHS, GemmSpec, catalogue, tuning
from barrow_build.config.gemm import OUT_BYTES

Row = dict[str, Any]
# Smaller gains are within what two runs differ by.
WORTH = 1.01

# out, groups, N, K, M of all groups
Shape = tuple[Any, int, int, int, int]


def by_model(specs: Mapping[str, GemmSpec], shape: Shape, gpu: Gpu) -> list[str]:
    """The kernels that can run the shape, in the order of the cost model."""
    out, groups, n, k, m = shape
    kind = [spec for spec in specs.values() if (spec.out, spec.grouped) == (out, groups > 0)]
    able = [spec for spec in kind if resident_clusters(spec, gpu.num_sms)]
    able.sort(key=lambda spec: predict(spec.cost, spec, m, n, k, groups, gpu, OUT_BYTES[out]))
    return [spec.name for spec in able]


def times(data: Row, specs: Mapping[str, GemmSpec]) -> dict[Shape, dict[str, float]]:
    """Microseconds by shape and kernel, of kernels that are still in the catalogue."""
    found: dict[Shape, dict[str, float]] = defaultdict(dict)
    for row in data["rows"]:
        if row["kernel"] in specs:
            shape = (specs[row["kernel"]].out, row.get("groups", 0), row["n"], row["k"], row["m"])
            found[shape][row["kernel"]] = row["us"]
    return found


def bucket(shape: Shape) -> int | None:
    """The M of a choice, of groups of each, if the shape is at the end of a bucket."""
    _, groups, _, _, m = shape
    each, rest = divmod(m, max(groups, 1))
    return each if rest == 0 and each in tuning.M_EDGES else None


def if_told_too_much(by_shape: Mapping[Shape, Mapping[str, float]], shape: Shape) -> Mapping[str, float]:
    """Times of the largest M of which the host may be told this one, as far as it was timed."""
    smaller = [other for other in by_shape if other[:-1] == shape[:-1] and other[-1] * EXPECTED <= shape[-1]]
    return by_shape[max(smaller)] if smaller else {}


def by_gpu(tunings: Sequence[Row]) -> list[Row]:
    """One tuning for each GPU, with the rows of all of its own."""
    merged: dict[str, Row] = {}
    for data in tunings:
        of_gpu = merged.setdefault(data["machine"]["slug"], {"machine": data["machine"], "rows": []})
        of_gpu["rows"] += data["rows"]
    return list(merged.values())


def table(data: Row, specs: Mapping[str, GemmSpec]) -> tuple[tuning.TunedGpu, list[str]]:
    """The table, and what a reader should know of the rows that are not in it."""
    machine = data["machine"]
    gpu = Gpu(machine["num_sms"], machine["memory_gb_s"])
    check_formula(gpu)
    choices, notes, off_edge, untimed = [], [], 0, 0
    timed: set[str] = set()
    own = times(data, specs)
    for shape, by_kernel in own.items():
        _, groups, n, k, m = shape
        edge = bucket(shape)
        if edge is None:
            off_edge += 1
            continue
        able = by_model(specs, shape, gpu)
        if not {able[0], *(name for name in able if worth_timing(specs[name].block_m, m, groups))} <= set(by_kernel):
            untimed += 1
            continue
        timed |= set(by_kernel)
        fastest = min(by_kernel, key=lambda name: by_kernel[name])
        gain = by_kernel[able[0]] / by_kernel[fastest]
        # Of masked groups the host is told a mean that may be too high, in DeepGEMM's tests by a fifth.
        below = if_told_too_much(own, shape) if groups else {}
        if gain >= WORTH and below.get(able[0], 1.0) >= below.get(fastest, 1.0):
            choices.append(tuning.Choice(groups, n, k, edge, fastest, gain))
    if off_edge:
        notes.append(f"{off_edge} shapes left out: their M is the end of no bucket")
    if untimed:
        notes.append(f"{untimed} shapes left out: not every kernel was timed there; run barrow tune again")
    found = tuning.TunedGpu(machine["gpu"], gpu.num_sms, gpu.memory_gb_s, tuple(sorted(timed)), tuple(choices))
    return found, notes


def write(data: Row, folder: Path, specs: Mapping[str, GemmSpec]) -> None:
    """Write the table of one tuning into `folder`, and tell what is in it."""
    gpu, notes = table(data, specs)
    text = tuning.dumps(gpu)
    target = folder / f"{data['machine']['slug']}.json"
    tuning.parse(text, target.name, specs)
    # Git keeps no empty folder, and the first table may be the only one.
    folder.mkdir(exist_ok=True)
    target.write_text(text)
    print(*notes, sep="\n", end="\n" if notes else "")
    gains = [choice.gain for choice in gpu.choices]
    mean = geometric_mean(gains) if gains else 1.0
    print(f"{target}: {len(gains)} choices of {len(times(data, specs))} shapes, faster by {mean:.3f}x (geomean) there")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tunings", type=Path, nargs="+", help="JSON of barrow tune, of plain products and of groups")
    parser.add_argument("--out", type=Path, default=tuning.FOLDER, help="folder; default: that of the build's sources")
    args = parser.parse_args()
    specs = tuning.tunable(spec for arch in ARCHS for spec in catalogue(arch))
    for data in by_gpu([json.loads(path.read_text()) for path in args.tunings]):
        write(data, args.out, specs)


if __name__ == "__main__":
    main()
