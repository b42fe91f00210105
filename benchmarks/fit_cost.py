"""Which cost model makes the launcher choose best? Fits it to what `barrow tune` timed; needs no GPU.

    python benchmarks/fit_cost.py docs/results/tune-*.json

Fits the coefficients of cost_model.py to the times of all GPUs together, for every kernel of the catalogue, and writes
them into src/barrow_build/config/costs.py. Prints how far the model is off for each kernel and by how much the best
time of some shape grows without it, and how much time the choices lose against the best kernel of each shape: of the
shapes that were fitted to, and of those of each N x K when fitted to the others.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import geometric_mean, quantiles
from typing import Any

import torch
from cost_model import Gpu, Sample, check_formula, fit, predict

from barrow_build.config import ARCHS, CostModel, GemmSpec, catalogue, costs

Row = dict[str, Any]
Costs = Mapping[str, CostModel]
# GPU, M, N, K, groups
Shape = tuple[Gpu, int, int, int, int]
LINE = 120
RANGES = ((1, 128), (129, 1024), (1025, 2**31 - 1))


@dataclass(frozen=True)
class Times:
    """Microseconds by shape and kernel, of the kernels of the catalogue with bfloat16 output.

    `coarse` names those that were hopeless and timed once: no use to a fit, but choices that lose.
    """

    us: dict[Shape, dict[str, float]]
    coarse: frozenset[tuple[Shape, str]]

    def samples(self, without: tuple[int, int] | None = None) -> dict[str, list[Sample]]:
        """What to fit to, by kernel; of all N x K but one."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for shape, by_kernel in self.us.items():
            gpu, m, n, k, groups = shape
            if (n, k) == without:
                continue
            best = min(by_kernel.values())
            for name, us in by_kernel.items():
                if (shape, name) not in self.coarse:
                    found[name].append(Sample(m, n, k, groups, gpu, us, best))
        return found


def read(paths: Sequence[Path], specs: Mapping[str, GemmSpec]) -> Times:
    """The times in files of `barrow tune`; of two of one kernel, shape and GPU the later file's."""
    us: dict[Shape, dict[str, float]] = defaultdict(dict)
    coarse: set[tuple[Shape, str]] = set()
    for path in paths:
        data = json.loads(path.read_text())
        gpu = Gpu(data["machine"]["num_sms"], data["machine"]["memory_gb_s"])
        for row in data["rows"]:
            if row["kernel"] not in specs:
                continue
            shape = (gpu, row["m"], row["n"], row["k"], row.get("groups", 0))
            us[shape][row["kernel"]] = row["us"]
            (coarse.add if row["coarse"] else coarse.discard)((shape, row["kernel"]))
    return Times(us, frozenset(coarse))


@dataclass(frozen=True)
class Loss:
    """What the model's choice for one shape costs: its time over the fastest kernel's."""

    ratio: float
    shape: Shape
    choice: str
    fastest: str


def losses(times: Times, found: Costs, specs: Mapping[str, GemmSpec], nk: tuple[int, int] | None = None) -> list[Loss]:
    """The loss of every shape, or of those of one N x K; of kernels without costs none is chosen."""
    result = []
    for shape, by_kernel in times.us.items():
        gpu, m, n, k, groups = shape
        if nk not in (None, (n, k)):
            continue
        able = [name for name in by_kernel if name in found]
        predicted = {name: predict(found[name], specs[name], m, n, k, groups, gpu) for name in able}
        choice = min(predicted, key=lambda name: predicted[name])
        fastest = min(by_kernel, key=lambda name: by_kernel[name])
        result.append(Loss(by_kernel[choice] / by_kernel[fastest], shape, choice, fastest))
    return result


def held_out(times: Times, specs: Mapping[str, GemmSpec]) -> Iterator[Loss]:
    """The losses of each N x K by costs fitted to all others: what to expect of shapes that were not tuned."""
    nks = sorted({(n, k) for _, _, n, k, _ in times.us})
    for i, nk in enumerate(nks):
        print(f"\rheld out: {i} of {len(nks)} N x K", end="", file=sys.stderr, flush=True)
        yield from losses(times, fit(specs, times.samples(without=nk)), specs, nk)
    print("\r\033[K", end="", file=sys.stderr, flush=True)


def rows_of_group(shape: Shape) -> int:
    _, m, _, _, groups = shape
    return max(m // max(groups, 1), 1)


def print_losses(label: str, found: Sequence[Loss], show: int) -> None:
    print(f"\n{label}")
    for low, high in (*RANGES, (1, RANGES[-1][1])):
        ratios = [loss.ratio for loss in found if low <= rows_of_group(loss.shape) <= high]
        if len(ratios) > 1:
            name = f"M from {low}" + (f" to {high}" if high != RANGES[-1][1] else "")
            p95 = quantiles(ratios, n=20, method="inclusive")[-1]
            print(
                f"  {name:18} {len(ratios):5} shapes: geomean loss {geometric_mean(ratios):.4f}x, "
                f"p95 {p95:.3f}x, worst {max(ratios):.3f}x"
            )
    for loss in sorted(found, key=lambda loss: -loss.ratio)[:show]:
        gpu, m, n, k, groups = loss.shape
        where = f"M={m} N={n} K={k}{f' in {groups} groups' if groups else ''} at {gpu.memory_gb_s} GB/s"
        print(f"  {loss.ratio:.3f}x at {where}: {short(loss.choice)} instead of {short(loss.fastest)}")


def short(name: str) -> str:
    return name.partition("sm90a_")[2]


def needed(times: Times) -> dict[str, float]:
    """By kernel, the most that the best time of a shape grows without it."""
    most: dict[str, float] = defaultdict(float)
    for by_kernel in times.us.values():
        fastest, *others = sorted(by_kernel, key=lambda name: by_kernel[name])
        if others:
            most[fastest] = max(most[fastest], by_kernel[others[0]] / by_kernel[fastest] - 1)
    return most


def print_kernels(times: Times, found: Costs, specs: Mapping[str, GemmSpec]) -> None:
    most = needed(times)
    print(f"{'kernel':34} {'shapes':>6} {'mean error':>10} {'worst':>6} {'needed':>6}")
    for name, samples in times.samples().items():
        errors = [abs(predict(found[name], specs[name], s.m, s.n, s.k, s.groups, s.gpu) / s.us - 1) for s in samples]
        mean = sum(errors) / len(errors)
        print(f"{short(name):34} {len(samples):6} {mean:10.1%} {max(errors):6.1%} {most[name]:6.1%}")


def entry(name: str, cost: CostModel) -> list[str]:
    """A line of costs.py, or three where one would be too long for the formatter."""
    values = ", ".join(f"{value:.4g}" for value in astuple(cost))
    line = f'    "{name}": CostModel({values}),'
    return [line] if len(line) <= LINE else [f'    "{name}": CostModel(', f"        {values}", "    ),"]


def source(found: Costs, paths: Sequence[Path]) -> str:
    """The text of costs.py."""
    names = ", ".join(path.name for path in paths)
    lines = [
        '"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.',
        "",
        f"Times: {names}.",
        '"""',
        "",
        "from barrow_build.config.gemm import CostModel",
        "",
        "BF16_COSTS = {",
        *(line for name, cost in sorted(found.items()) for line in entry(name, cost)),
        "}",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tunings", type=Path, nargs="+", help="JSON of barrow tune, of any GPUs with these kernels")
    parser.add_argument("--out", type=Path, default=Path(costs.__file__), help="default: costs.py of the sources")
    parser.add_argument("--show", type=int, default=8, help="worst choices to print")
    args = parser.parse_args()
    # The matrices are small: threads would only wait for each other.
    torch.set_num_threads(1)
    gemms = [spec for arch in ARCHS for spec in catalogue(arch) if isinstance(spec, GemmSpec)]
    specs = {spec.name: spec for spec in gemms if spec.out == "bf16" and not spec.row_scales_b}
    times = read(args.tunings, specs)
    for gpu in dict.fromkeys(shape[0] for shape in times.us):
        check_formula(gpu)
    samples = times.samples()
    if missing := sorted(set(specs) - set(samples)):
        sys.exit(f"no times of {', '.join(missing)}; run barrow tune with a build that has them")
    found = fit(specs, samples)
    print_kernels(times, found, specs)
    print_losses("costs of the sources so far", losses(times, {n: s.cost for n, s in specs.items()}, specs), 0)
    print_losses("fitted costs", losses(times, found, specs), 0)
    print_losses("each N x K by costs fitted to the others", list(held_out(times, specs)), args.show)
    args.out.write_text(source(found, args.tunings))
    print(f"\n{args.out}: {len(found)} kernels")


if __name__ == "__main__":
    main()
