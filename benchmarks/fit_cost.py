"""Which cost model makes the launcher choose best? Fits one to what `barrow tune` timed; needs no GPU.

    python benchmarks/fit_cost.py docs/results/sweep-h100.json

The model is predict_us of launcher/choice.cpp. The fit minimises the weighted relative error with no coefficient below
zero. Prints how far the model is off, how much time its choices lose against the best kernel of each
shape, and the costs to write into src/barrow_build/config/costs.py.
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
Cost = tuple[float, ...]
COEFFICIENTS = ("fixed_us", "tile_us", "k_block_us", "load_us", "overflow_us")
L2_BYTES = 25 << 20
RESIDENT_BYTES = 16 << 20
Shape = tuple[int, int, int]
Times = dict[Shape, dict[str, float]]
# What the launcher's float32 costs and this file's float64 may differ by.
SAME = 1e-5


def terms(kernel: Row, row: Row, num_sms: int) -> tuple[float, ...]:
    """What the coefficients are multiplied with; the names are those of launcher/choice.cpp."""
    m, n, k = row["m"], row["n"], row["k"]
    block_m, block_n, cluster = kernel["block_m"], kernel["block_n"], kernel["cluster_k"]
    rows, columns = -(-m // block_m), -(-n // block_n)
    sms = num_sms * 10 // 11 if cluster > 2 else num_sms
    tiles, resident = rows * columns, sms * kernel["ctas_per_sm"] // cluster
    waves = -(-tiles // resident)
    k_blocks = -(-k // (128 * cluster))
    load = tiles * cluster / num_sms * k_blocks * (min(m, block_m) + block_n) / (block_m + block_n)
    low = (512 if n * k <= RESIDENT_BYTES else 2048) // block_m
    band = rows if m * k <= RESIDENT_BYTES else min(rows, low)
    run_columns = min(columns, -(-min(tiles, resident) // band))
    read = (band * block_m + run_columns * block_n) * k
    return 1.0, float(waves), float(waves * k_blocks), load, load * max(0.0, read / L2_BYTES - 1)


def predict(cost: Cost, kernel: Row, row: Row, num_sms: int) -> float:
    return sum(c * t for c, t in zip(cost, terms(kernel, row, num_sms), strict=True))


def shipped_cost(kernel: Row) -> Cost:
    return tuple(kernel["cost"].get(name, 0.0) for name in COEFFICIENTS)


def fit(kernel: Row, rows: Sequence[Row], best_us: dict[Shape, float], num_sms: int) -> Cost:
    """Least squares on the relative error, no coefficient below zero: the best of all sets of non-zero coefficients.

    A shape counts the more the nearer the kernel is to the fastest one there: where it is far off, so may its model be.
    """
    features = torch.tensor([terms(kernel, r, num_sms) for r in rows], dtype=torch.float64)
    us = torch.tensor([[r["us"]] for r in rows], dtype=torch.float64)
    weight = torch.tensor([[best_us[r["m"], r["n"], r["k"]]] for r in rows], dtype=torch.float64) / us
    scaled = weight * features / us
    best, best_error = (0.0,) * len(COEFFICIENTS), math.inf
    for size in range(1, len(COEFFICIENTS) + 1):
        for used in itertools.combinations(range(len(COEFFICIENTS)), size):
            solution = torch.linalg.lstsq(scaled[:, list(used)], weight, driver="gelsd").solution[:, 0]
            if bool((solution < 0).any()):
                continue
            error = float((scaled[:, list(used)] @ solution - weight[:, 0]).square().sum())
            if error < best_error:
                values = dict(zip(used, solution.tolist(), strict=True))
                best, best_error = tuple(values.get(i, 0.0) for i in range(len(COEFFICIENTS))), error
    return best


def check_formula(num_sms: int) -> None:
    """Raise RuntimeError if the launcher installed here predicts by another formula than this file fits."""
    kernels = {row["name"]: row for row in launcher.kernels() if row["kind"] == "gemm"}
    for m, n, k in ((1, 576, 7168), (515, 2112, 1000), (4096, 24576, 1536)):
        row = {"m": m, "n": n, "k": k}
        for candidate in launcher.choose(m, n, k, "bf16", num_sms):
            kernel, said = kernels[candidate["kernel"]], candidate["predicted_us"]
            ours = predict(shipped_cost(dict(kernel)), dict(kernel), row, num_sms)
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


def losses(times: Times, costs: dict[str, Cost], kernels: dict[str, Row], num_sms: int) -> list[Loss]:
    """The loss of every shape, worst first."""
    found = []
    for (m, n, k), by_kernel in times.items():
        row = {"m": m, "n": n, "k": k}
        choice = min(by_kernel, key=lambda name: predict(costs[name], kernels[name], row, num_sms))
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
    parser.add_argument("sweep", type=Path, nargs="+", help="JSON of barrow tune, all of one GPU model")
    parser.add_argument("--show", type=int, default=8, help="worst choices to print")
    args = parser.parse_args()
    sweeps = [json.loads(path.read_text()) for path in args.sweep]
    num_sms = int(sweeps[0]["machine"]["num_sms"])
    check_formula(num_sms)
    kernels = {row["name"]: row for sweep in sweeps for row in sweep["kernels"]}
    exact: dict[str, list[Row]] = defaultdict(list)
    times: Times = defaultdict(dict)
    for row in (row for sweep in sweeps for row in sweep["rows"]):
        if kernels[row["kernel"]]["out"] != "bf16":
            continue
        times[row["m"], row["n"], row["k"]][row["kernel"]] = row["us"]
        if not row["coarse"]:
            exact[row["kernel"]].append(row)
    best_us = {shape: min(by_kernel.values()) for shape, by_kernel in times.items()}
    costs: dict[str, Cost] = {}
    print(f"{'kernel':34} {'shapes':>6} {'mean':>6} {'worst':>6}")
    for name, rows in exact.items():
        cost = costs[name] = fit(kernels[name], rows, best_us, num_sms)
        errors = [abs(predict(cost, kernels[name], row, num_sms) / row["us"] - 1) for row in rows]
        print(f"{short(name):34} {len(rows):6} {sum(errors) / len(errors):6.1%} {max(errors):6.1%}")
    # A kernel without one exact time is hopeless everywhere; any choice must be among the others.
    fitted = {shape: {n: us for n, us in by.items() if n in costs} for shape, by in times.items()}
    print_losses("\nfitted costs", losses(fitted, costs, kernels, num_sms), args.show)
    shipped = {name: shipped_cost(row) for name, row in kernels.items()}
    print_losses("costs of the tuned catalogue", losses(times, shipped, kernels, num_sms), args.show)
    print("\nfor src/barrow_build/config/costs.py:")
    for name, cost in sorted(costs.items()):
        print(f'    "{name}": CostModel({", ".join(f"{value:.4g}" for value in cost)}),')


if __name__ == "__main__":
    main()
