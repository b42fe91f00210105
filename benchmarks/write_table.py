"""Which measured choices are worth shipping? Turns what `barrow tune` wrote into the table that the build compiles in.

    python benchmarks/write_table.py tune-h100.json

Keeps a shape where another kernel than the cost model's choice was faster by at least 2 %. Run it after fit_cost.py and
a build with the new costs: the installed launcher is asked what its model chooses. Needs no GPU.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import geometric_mean
from typing import Any, Literal

from barrow import launcher

# barrow_build makes the wheel and is not in it; behind the installed packages, so that `barrow` stays the wheel's.
SOURCE = Path(__file__).resolve().parents[1] / "src"
sys.path.append(str(SOURCE))

from barrow_build.config import ARCHS, GemmSpec, catalogue, tuning  # noqa: E402

Row = dict[str, Any]
# Smaller gains are within what two runs differ by.
WORTH = 1.02


def by_model(m: int, n: int, k: int, out: Literal["bf16", "f32"], machine: Row) -> list[str]:
    """The kernels that can run the shape, in the order of the cost model alone."""
    candidates = launcher.choose(m, n, k, out, machine["num_sms"], machine["memory_gb_s"])
    return [c["kernel"] for c in sorted(candidates, key=lambda candidate: candidate["predicted_us"])]


def times(data: Row, specs: Mapping[str, GemmSpec]) -> dict[tuple[Any, int, int, int], dict[str, float]]:
    """Microseconds by (out, n, k, m) and kernel, of kernels that are still in the catalogue."""
    found: dict[tuple[Any, int, int, int], dict[str, float]] = defaultdict(dict)
    for row in data["rows"]:
        if row["kernel"] in specs:
            found[specs[row["kernel"]].out, row["n"], row["k"], row["m"]][row["kernel"]] = row["us"]
    return found


def table(data: Row, specs: Mapping[str, GemmSpec]) -> tuple[tuning.TunedGpu, list[str]]:
    """The table, and what a reader should know of the rows that are not in it."""
    machine = data["machine"]
    choices, notes, off_edge, untimed = [], [], 0, 0
    timed: set[str] = set()
    for (out, n, k, m), by_kernel in times(data, specs).items():
        if m not in tuning.M_EDGES:
            off_edge += 1
            continue
        able = by_model(m, n, k, out, machine)
        if not set(able) <= set(by_kernel):
            untimed += 1
            continue
        timed |= set(by_kernel)
        chosen = able[0]
        fastest = min(by_kernel, key=lambda name: by_kernel[name])
        gain = by_kernel[chosen] / by_kernel[fastest]
        if gain >= WORTH:
            choices.append(tuning.Choice(n, k, m, fastest, gain))
    if off_edge:
        notes.append(f"{off_edge} shapes left out: their M is the end of no bucket")
    if untimed:
        notes.append(f"{untimed} shapes left out: not every kernel was timed there; run barrow tune again")
    gpu = tuning.TunedGpu(
        machine["gpu"], machine["num_sms"], machine["memory_gb_s"], tuple(sorted(timed)), tuple(choices)
    )
    return gpu, notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuning", type=Path, help="JSON of barrow tune")
    parser.add_argument("--out", type=Path, help="default: the GPU's file among the sources of the build")
    args = parser.parse_args()
    specs = {spec.name: spec for arch in ARCHS for spec in catalogue(arch) if isinstance(spec, GemmSpec)}
    data = json.loads(args.tuning.read_text())
    gpu, notes = table(data, specs)
    text = tuning.dumps(gpu)
    target = args.out or tuning.FOLDER / f"{data['machine']['slug']}.json"
    tuning.parse(text, target.name, specs)
    # Git keeps no empty folder, and the first table may be the only one.
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    print(*notes, sep="\n", end="\n" if notes else "")
    gains = [choice.gain for choice in gpu.choices]
    mean = geometric_mean(gains) if gains else 1.0
    print(f"{target}: {len(gains)} choices of {len(times(data, specs))} shapes, faster by {mean:.3f}x (geomean) there")


if __name__ == "__main__":
    main()
