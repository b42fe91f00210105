"""Which cost model makes the launcher choose best? Fits one to a sweep; needs no GPU.

    python benchmarks/fit_cost.py docs/results/sweep-h100.json

The model is the one of launcher/choice.cpp: fixed_us + waves * (tile_us + ceil(K / 128) * k_block_us) with
waves = ceil(clusters of tiles / clusters resident on the GPU). The fit minimises the weighted relative error with no
coefficient below zero. Prints how far the model is off, how much time its choices lose against the best kernel of each
shape, and the costs to write into src/barrow_build/config/catalogue.py.
"""

import argparse
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch

from barrow import launcher

Row = dict[str, Any]
Cost = tuple[float, float, float]
Shape = tuple[int, int, int]
Times = dict[Shape, dict[str, float]]
# What the launcher's float32 costs and this file's float64 may differ by.
SAME = 1e-5


@dataclass(frozen=True)
class Geometry:
    """What one cluster of a kernel covers: rows and columns of D, CTAs, and how many of them share the K of a tile."""

    rows: int
    columns: int
    ctas: int
    split_k: int

    def waves(self, m: int, n: int, num_sms: int) -> int:
        clusters = -(-m // self.rows) * -(-n // self.columns)
        return -(-clusters // (num_sms // self.ctas))


def geometry(kernel: Row) -> Geometry:
    return Geometry(
        kernel["block_m"] * kernel["cluster_m"],
        kernel["block_n"] * kernel["cluster_n"],
        kernel["cluster_m"] * kernel["cluster_n"] * kernel["cluster_k"],
        kernel["cluster_k"],
    )


def terms(g: Geometry, row: Row, num_sms: int) -> tuple[float, float, float]:
    """What the three coefficients are multiplied with."""
    waves = g.waves(row["m"], row["n"], num_sms)
    k_blocks = -(-row["k"] // 128)
    return 1.0, float(waves), float(waves * -(-k_blocks // g.split_k))


def predict(cost: Cost, g: Geometry, row: Row, num_sms: int) -> float:
    return sum(c * t for c, t in zip(cost, terms(g, row, num_sms), strict=True))


def shipped_cost(kernel: Row) -> Cost:
    cost = kernel["cost"]
    return cost["fixed_us"], cost["tile_us"], cost["k_block_us"]


def fit(g: Geometry, rows: Sequence[Row], best_us: dict[Shape, float], num_sms: int) -> Cost:
    """Least squares on the relative error, no coefficient below zero: the best of all sets of non-zero coefficients.

    A shape counts the more the nearer the kernel is to the fastest one there: where it is far off, so may its model be.
    """
    features = torch.tensor([terms(g, r, num_sms) for r in rows], dtype=torch.float64)
    us = torch.tensor([[r["us"]] for r in rows], dtype=torch.float64)
    weight = torch.tensor([[best_us[r["m"], r["n"], r["k"]]] for r in rows], dtype=torch.float64) / us
    scaled = weight * features / us
    best, best_error = (0.0, 0.0, 0.0), math.inf
    for size in (1, 2, 3):
        for used in itertools.combinations(range(3), size):
            solution = torch.linalg.lstsq(scaled[:, list(used)], weight, driver="gelsd").solution[:, 0]
            if bool((solution < 0).any()):
                continue
            error = float((scaled[:, list(used)] @ solution - weight[:, 0]).square().sum())
            if error < best_error:
                cost = [0.0, 0.0, 0.0]
                for i, value in zip(used, solution.tolist(), strict=True):
                    cost[i] = value
                best, best_error = (cost[0], cost[1], cost[2]), error
    return best


def check_formula(num_sms: int) -> None:
    """Raise RuntimeError if the launcher installed here predicts by another formula than this file fits."""
    kernels = {row["name"]: row for row in launcher.kernels() if row["kind"] == "gemm"}
    for m, n, k in ((1, 576, 7168), (515, 2112, 1000), (4096, 24576, 1536)):
        row = {"m": m, "n": n, "k": k}
        for candidate in launcher.choose(m, n, k, "bf16", num_sms):
            kernel, said = kernels[candidate["kernel"]], candidate["predicted_us"]
            ours = predict(shipped_cost(dict(kernel)), geometry(dict(kernel)), row, num_sms)
            if not math.isclose(ours, said, rel_tol=SAME):
                raise RuntimeError(
                    f"launcher/choice.cpp predicts {said} us for {kernel['name']} at M={m} N={n} K={k}, "
                    f"this file {ours}; bring the formulas together first"
                )


@dataclass(frozen=True)
class Loss:
    """What the model's choice for one shape costs: its time over the fastest kernel's."""

    ratio: float
    shape: Shape
    choice: str
    fastest: str


def losses(times: Times, costs: dict[str, Cost], shapes: dict[str, Geometry], num_sms: int) -> list[Loss]:
    """The loss of every shape, worst first."""
    found = []
    for (m, n, k), by_kernel in times.items():
        row = {"m": m, "n": n, "k": k}
        choice = min(by_kernel, key=lambda name: predict(costs[name], shapes[name], row, num_sms))
        fastest = min(by_kernel, key=lambda name: by_kernel[name])
        found.append(Loss(by_kernel[choice] / by_kernel[fastest], (m, n, k), choice, fastest))
    return sorted(found, key=lambda loss: -loss.ratio)


def print_losses(label: str, found: Sequence[Loss], show: int) -> None:
    print(f"{label}: geomean loss {geometric_mean([loss.ratio for loss in found]):.4f}x, worst {found[0].ratio:.3f}x")
    for loss in found[:show]:
        m, n, k = loss.shape
        print(f"  {loss.ratio:.3f}x at M={m} N={n} K={k}: {short(loss.choice)} instead of {short(loss.fastest)}")


def short(name: str) -> str:
    return name.partition("sm90a_")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, nargs="+", help="JSON of sweep.py, all of one GPU model")
    parser.add_argument("--show", type=int, default=8, help="worst choices to print")
    args = parser.parse_args()
    sweeps = [json.loads(path.read_text()) for path in args.sweep]
    num_sms = int(sweeps[0]["machine"]["num_sms"])
    check_formula(num_sms)
    kernels = {row["name"]: row for sweep in sweeps for row in sweep["kernels"]}
    shapes = {name: geometry(row) for name, row in kernels.items()}
    exact: dict[str, list[Row]] = defaultdict(list)
    times: Times = defaultdict(dict)
    for row in (row for sweep in sweeps for row in sweep["rows"]):
        times[row["m"], row["n"], row["k"]][row["kernel"]] = row["us"]
        if not row["coarse"]:
            exact[row["kernel"]].append(row)
    best_us = {shape: min(by_kernel.values()) for shape, by_kernel in times.items()}
    costs: dict[str, Cost] = {}
    print(f"{'kernel':34} {'shapes':>6} {'fixed_us':>9} {'tile_us':>8} {'k_block_us':>10} {'mean':>6} {'worst':>6}")
    for name, rows in exact.items():
        cost = costs[name] = fit(shapes[name], rows, best_us, num_sms)
        errors = [abs(predict(cost, shapes[name], row, num_sms) / row["us"] - 1) for row in rows]
        print(
            f"{short(name):34} {len(rows):6} {cost[0]:9.2f} {cost[1]:8.3f} {cost[2]:10.4f} "
            f"{sum(errors) / len(errors):6.1%} {max(errors):6.1%}"
        )
    # A kernel without one exact time is hopeless everywhere; any choice must be among the others.
    fitted = {shape: {n: us for n, us in by.items() if n in costs} for shape, by in times.items()}
    print_losses("\nfitted costs", losses(fitted, costs, shapes, num_sms), args.show)
    shipped = {name: shipped_cost(row) for name, row in kernels.items()}
    print_losses("costs of the sweep's catalogue", losses(times, shipped, shapes, num_sms), args.show)
    print("\nfor src/barrow_build/config/catalogue.py:")
    for name, (fixed, tile, k_block) in costs.items():
        print(f"  cost=CostModel({fixed:.2f}, {tile:.3f}, {k_block:.4f}),  # {short(name)}")


if __name__ == "__main__":
    main()
