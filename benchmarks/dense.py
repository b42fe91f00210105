"""How fast is the dense FP8 GEMM against DeepGEMM, cuBLASLt and bfloat16, all in one run?

    python benchmarks/dense.py --deep-gemm DIR --out docs/results/dense-h100.json

Prints a table, the geometric means per range of M and the worst shapes; writes all samples as JSON. Slow is not a
failure: the exit code is 0 whatever the numbers say.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch
from machine import Machine, this_machine
from providers import Activation, Provider, Weight, activation, providers, warm_deep_gemm, weights
from shapes import DEEPSEEK_NK, M_RANGES, MS, OTHER_NK, parse_nk
from timing import interleaved, reason

from barrow import launcher

FP8_PEERS = ("deep_gemm", "deep_gemm_pdl", "cublaslt")
DEEP_GEMM = ("deep_gemm", "deep_gemm_pdl")
# Far above the rounding of e4m3 products to bfloat16 (0.002), far below what a misread scale does.
WRONG = 0.01

Row = dict[str, Any]


def reference(a: Activation, b: Weight) -> torch.Tensor:
    """The float32 product of the dequantised operands."""
    rows = b.scale.repeat_interleave(128, 0)[: b.q.shape[0]]
    left = a.q.float() * a.scale.repeat_interleave(128, 1)[:, : a.q.shape[1]]
    right = b.q.float() * rows.repeat_interleave(128, 1)[:, : b.q.shape[1]]
    return left @ right.t()


def relative_error(provider: Provider, a: Activation, b: Weight, out: torch.Tensor, want: torch.Tensor) -> float:
    provider.prepare()
    out.fill_(float("nan"))
    provider.run(a, b, out)
    return float((out.float() - want).norm() / want.norm())


def prepared_calls(
    provider: Provider, a: Activation, ws: Sequence[Weight], out: torch.Tensor
) -> list[Callable[[], object]]:
    """One call per weight; the first of them also sets the library's switches, so that a capture sees its own."""

    def first() -> None:
        provider.prepare()
        provider.run(a, ws[0], out)

    return [first, *(partial(provider.run, a, w, out) for w in ws[1:])]


def measure_shape(machine: Machine, contenders: Sequence[Provider], m: int, ws: Sequence[Weight]) -> Row:
    """Time every contender on one shape and judge what it computed."""
    n, k = ws[0].q.shape
    a, out = activation(m, k), torch.empty(m, n, device="cuda", dtype=torch.bfloat16)
    row: Row = {"m": m, "n": n, "k": k, "floor_us": machine.floor_us(m, n, k), "us": {}, "samples": {}, "failed": {}}
    row["kernel"] = launcher.choose(m, n, k, "bf16", machine.num_sms)[0]["kernel"]
    row["relative_error"] = {}
    want = reference(a, ws[0])
    able = {}
    for provider in contenders:
        try:
            error = relative_error(provider, a, ws[0], out, want)
        except (RuntimeError, ValueError, AssertionError) as refusal:
            row["failed"][provider.name] = reason(refusal)
            continue
        row["relative_error"][provider.name] = error
        # bf16 multiplies the unquantised operands, so its distance is that of the quantisation.
        if provider.name != "bf16" and not error < WRONG:
            row["failed"][provider.name] = f"wrong result: relative error {error:.3g}"
            continue
        able[provider.name] = prepared_calls(provider, a, ws, out)
    del want
    for name, timing in interleaved(able).items():
        if timing.us is None:
            row["failed"][name] = timing.failure
        else:
            row["us"][name] = timing.us
            row["samples"][name] = timing.samples
    return row


def best(row: Row, names: Sequence[str]) -> float | None:
    return min((row["us"][name] for name in names if name in row["us"]), default=None)


def speedups(rows: Sequence[Row], names: Sequence[str]) -> list[tuple[float, Row]]:
    """Time of the fastest of `names` over barrow's, for the rows that have both; above 1 barrow is faster."""
    return [
        (peer / row["us"]["barrow"], row)
        for row in rows
        if "barrow" in row["us"] and (peer := best(row, names)) is not None
    ]


def summary(rows: Sequence[Row]) -> list[Row]:
    """Per range of M and per peer: geometric mean and worst of the speed-ups, and the distance to the floor."""
    result = []
    for low, high in M_RANGES:
        inside = [row for row in rows if low <= row["m"] <= high]
        timed = [row for row in inside if "barrow" in row["us"]]
        if not timed:
            continue
        line: Row = {
            "m": [min(row["m"] for row in timed), max(row["m"] for row in timed)],
            "over_floor": geometric_mean([row["us"]["barrow"] / row["floor_us"] for row in timed]),
        }
        for label, names in (
            ("deep_gemm", ("deep_gemm",)),
            ("deep_gemm_best", DEEP_GEMM),
            ("fp8_best", FP8_PEERS),
            ("bf16", ("bf16",)),
        ):
            if ratios := speedups(timed, names):
                worst, where = min(ratios, key=lambda pair: pair[0])
                line[label] = {
                    "geomean": geometric_mean([ratio for ratio, _ in ratios]),
                    "worst": worst,
                    "worst_at": [where["m"], where["n"], where["k"]],
                }
        result.append(line)
    return result


def print_row(row: Row, names: Sequence[str]) -> None:
    def cell(name: str) -> str:
        return f"{row['us'][name]:9.2f}" if name in row["us"] else f"{'-':>9}"

    (ratio, _), *_ = speedups([row], FP8_PEERS) or [(float("nan"), row)]
    print(
        f"{row['m']:5d} {row['n']:6d} {row['k']:6d} {row['floor_us']:8.2f} {' '.join(map(cell, names))} {ratio:6.2f}  "
        f"{row['kernel'].removeprefix('fp8_gemm_nt_bf16_')}",
        flush=True,
    )


def print_summary(lines: Sequence[Row]) -> None:
    for line in lines:
        low, high = line["m"]
        print(f"M {low}..{high}: {line['over_floor']:.2f}x the floor")
        for label in ("deep_gemm", "deep_gemm_best", "fp8_best", "bf16"):
            if label in line:
                worst = line[label]
                print(
                    f"  against {label:15} geomean {worst['geomean']:.3f}x, worst {worst['worst']:.3f}x at "
                    "M={} N={} K={}".format(*worst["worst_at"])
                )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deep-gemm", type=Path, help="folder that holds deep_gemm/")
    parser.add_argument("--warm", type=int, default=0, metavar="PROCESSES", help="compile DeepGEMM's kernels first")
    parser.add_argument("--ms", type=int, nargs="+", default=MS)
    parser.add_argument("--nk", type=parse_nk, nargs="+", default=DEEPSEEK_NK, metavar="NxK")
    parser.add_argument("--other-models", action="store_true", help="N x K of models that nothing was tuned for")
    parser.add_argument("--out", type=Path, help="JSON file")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    machine = this_machine()
    nks = OTHER_NK if args.other_models else args.nk
    contenders = providers(args.deep_gemm)
    if args.deep_gemm and args.warm:
        started = time.perf_counter()
        # The slow compilations of large M would otherwise meet in one share.
        warm_deep_gemm(args.deep_gemm, [(m, n, k) for m in args.ms for n, k in nks], args.warm)
        print(f"DeepGEMM's cache filled in {time.perf_counter() - started:.0f} s", flush=True)
    names = [provider.name for provider in contenders]
    print(f"{machine.gpu}, driver {machine.driver}, torch {machine.torch}, barrow {machine.barrow} ({machine.commit})")
    print(
        f"{'M':>5} {'N':>6} {'K':>6} {'floor':>8} {' '.join(f'{name[:9]:>9}' for name in names)} {'ratio':>6}  kernel"
    )
    rows = []
    for n, k in nks:
        ws = weights(n, k)
        for m in args.ms:
            rows.append(measure_shape(machine, contenders, m, ws))
            print_row(rows[-1], names)
    print_summary(summary(rows))
    for (name, why), count in Counter(failure for row in rows for failure in row["failed"].items()).items():
        print(f"{name} has no time for {count} of {len(rows)} shapes: {why}")
    if args.out:
        args.out.write_text(
            json.dumps({"machine": machine.as_json(), "summary": summary(rows), "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
