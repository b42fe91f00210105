"""Which measured choices are worth shipping? Turns what `barrow tune` wrote into tables that the build takes in.

    python benchmarks/write_table.py docs/results/tune-*.json

Keeps a shape where another kernel than the cost model's choice was faster by at least 2 %; of long launches, on the
mean of all given tunings of GPUs with as many SMs, and by 1 % in each, see docs/architecture.md; none where a launch
takes over 0.3 ms. Run it after fit_cost.py: the model chooses by the costs in the sources. Needs no GPU.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from cost_model import Gpu, check_formula, predict, resident_clusters

from barrow.bench.timing import LAUNCHES
from barrow.tune.sweep import SUSTAINED_FROM_US, SUSTAINED_US, worth_timing
from barrow_build.config import ARCHS, GemmSpec, catalogue, tuning
from barrow_build.config.gemm import OUT_BYTES

Row = dict[str, Any]
# Smaller gains are within what two runs differ by.
WORTH = 1.02
# Where several tunings are asked, none may say less.
AGREED = 1.01
# Of launches beyond this the present tunings timed fewer at once than a benchmark does, before the clocks had settled:
# a kernel that came first so was 10 % behind the model's choice in the benchmark.
UNSETTLED_FROM_US = SUSTAINED_US / LAUNCHES

Shape = tuple[Any, int, int, int]


def by_model(specs: Mapping[str, GemmSpec], m: int, n: int, k: int, out: str, gpu: Gpu) -> list[str]:
    """The kernels that can run the shape, in the order of the cost model."""
    able = [spec for spec in specs.values() if spec.out == out and resident_clusters(spec, gpu.num_sms)]
    able.sort(key=lambda spec: predict(spec.cost, spec, m, n, k, 0, gpu, OUT_BYTES[out]))
    return [spec.name for spec in able]


def times(data: Row, specs: Mapping[str, GemmSpec]) -> dict[Shape, dict[str, float]]:
    """Microseconds by (out, n, k, m) and kernel, of kernels that are still in the catalogue."""
    found: dict[Shape, dict[str, float]] = defaultdict(dict)
    for row in data["rows"]:
        if row["kernel"] in specs:
            found[specs[row["kernel"]].out, row["n"], row["k"], row["m"]][row["kernel"]] = row["us"]
    return found


def faster(by_kernels: Sequence[Mapping[str, float]], chosen: str) -> tuple[str, float]:
    """The kernel that gains most on the chosen one, and how much: the mean of what all tunings of a shape say, if
    they agree that it does."""

    def gain(name: str) -> float:
        gains = [us[chosen] / us[name] for us in by_kernels]
        return geometric_mean(gains) if min(gains) >= AGREED else 0.0

    best = max(set.intersection(*map(set, by_kernels)), key=gain)
    return best, gain(best)


def table(data: Row, others: Sequence[Row], specs: Mapping[str, GemmSpec]) -> tuple[tuning.TunedGpu, list[str]]:
    """The table, and what a reader should know of the rows that are not in it."""
    machine = data["machine"]
    gpu = Gpu(machine["num_sms"], machine["memory_gb_s"])
    check_formula(gpu)
    alike = [times(o, specs) for o in others if o["machine"]["num_sms"] == machine["num_sms"]]
    choices, notes, off_edge, untimed = [], [], 0, 0
    timed: set[str] = set()
    for (out, n, k, m), by_kernel in times(data, specs).items():
        if m not in tuning.M_EDGES:
            off_edge += 1
            continue
        able = by_model(specs, m, n, k, out, gpu)
        if not {able[0], *(name for name in able if worth_timing(specs[name].block_m, m))} <= set(by_kernel):
            untimed += 1
            continue
        timed |= set(by_kernel)
        least_us = min(by_kernel.values())
        if least_us > UNSETTLED_FROM_US:
            continue
        agreed = [by_kernel]
        # At the power limit two tunings of one GPU differ as much as those of two, so one alone says little.
        if least_us > SUSTAINED_FROM_US:
            agreed += [other[out, n, k, m] for other in alike if able[0] in other.get((out, n, k, m), {})]
        fastest, gain = faster(agreed, able[0])
        if gain >= WORTH:
            choices.append(tuning.Choice(n, k, m, fastest, gain))
    if off_edge:
        notes.append(f"{off_edge} shapes left out: their M is the end of no bucket")
    if untimed:
        notes.append(f"{untimed} shapes left out: not every kernel was timed there; run barrow tune again")
    found = tuning.TunedGpu(machine["gpu"], gpu.num_sms, gpu.memory_gb_s, tuple(sorted(timed)), tuple(choices))
    return found, notes


def write(data: Row, others: Sequence[Row], folder: Path, specs: Mapping[str, GemmSpec]) -> None:
    """Write the table of one tuning into `folder`, and tell what is in it."""
    gpu, notes = table(data, others, specs)
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
    parser.add_argument("tunings", type=Path, nargs="+", help="JSON of barrow tune, one for each GPU")
    parser.add_argument("--out", type=Path, default=tuning.FOLDER, help="folder; default: that of the build's sources")
    args = parser.parse_args()
    specs = tuning.tunable(spec for arch in ARCHS for spec in catalogue(arch))
    tunings = [json.loads(path.read_text()) for path in args.tunings]
    for data in tunings:
        write(data, [other for other in tunings if other is not data], args.out, specs)


if __name__ == "__main__":
    main()
