"""How long does EVERY kernel of the catalogue take on every shape? The data that fit_cost.py fits the cost model to.

    python benchmarks/sweep.py --out docs/results/sweep-h100.json

Goes on where an interrupted run left the file. A kernel that takes several times the best one's time on a shape is
timed once and marked coarse: it will not be chosen there, and its time would be most of the run.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import this_machine
from shapes import DEEPSEEK_NK, MS, OTHER_NK, parse_nk
from timing import capture, copies_for, replay_us

import barrow
from barrow import launcher
from barrow.launcher import GemmKernel

# Slower than the best so far by this factor: not worth an exact time.
HOPELESS = 4.0
LAUNCHES = 12
ROUNDS = 3
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}

Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """Operands of one shape: A once, B often enough to keep the L2 cache cold."""

    a: torch.Tensor
    a_scale: torch.Tensor
    weights: Sequence[tuple[torch.Tensor, torch.Tensor]]
    out: torch.Tensor

    def calls(self, index: int) -> list[Callable[[], object]]:
        return [
            partial(torch.ops.barrow.fp8_gemm_nt_with, self.a, self.a_scale, q, scale, index, out=self.out)
            for q, scale in self.weights
        ]


def make_weights(n: int, k: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [
        barrow.per_block_quant_fp8(torch.randn(n, k, device="cuda", dtype=torch.bfloat16))
        for _ in range(copies_for(n * k))
    ]


def once_us(call: Callable[[], object]) -> float:
    """Microseconds of one eager launch, the first of which loads the kernel."""
    call()
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop)) * 1e3


def time_kernel(shape: Shape, index: int, best_us: float) -> tuple[float, bool]:
    """Microseconds per launch, and whether they are coarse."""
    calls = shape.calls(index)
    # An eager launch adds some microseconds of its own, so short ones are always timed properly.
    rough = once_us(calls[0])
    if rough > HOPELESS * max(best_us, 20.0):
        return rough, True
    graph, launches = capture(calls, LAUNCHES)
    replay_us(graph, launches)
    return sorted(replay_us(graph, launches) for _ in range(ROUNDS))[ROUNDS // 2], False


def gemm_kernels(out: str) -> list[tuple[int, GemmKernel]]:
    """Index and row of every GEMM kernel that writes `out`."""
    rows = [row for row in launcher.kernels() if row["kind"] == "gemm"]
    return [(i, row) for i, row in enumerate(rows) if row["out"] == out]


def load(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file, read first if it is there")
    parser.add_argument("--ms", type=int, nargs="+", default=MS)
    parser.add_argument("--nk", type=parse_nk, nargs="+", default=(*DEEPSEEK_NK, *OTHER_NK), metavar="NxK")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="bf16")
    args = parser.parse_args()
    machine, kernels = this_machine(), gemm_kernels(args.dtype)
    rows = load(args.out)
    done = {(r["kernel"], r["m"], r["n"], r["k"]) for r in rows}
    started = time.perf_counter()
    for n, k in args.nk:
        todo = [(m, i, row) for m in args.ms for i, row in kernels if (row["name"], m, n, k) not in done]
        if not todo:
            continue
        weights = make_weights(n, k)
        for m in args.ms:
            x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
            out = torch.empty(m, n, device="cuda", dtype=DTYPES[args.dtype])
            shape = Shape(*barrow.per_token_group_quant_fp8(x), weights, out)
            best = float("inf")
            for _, index, kernel in (t for t in todo if t[0] == m):
                us, coarse = time_kernel(shape, index, best)
                best = min(best, us)
                rows.append({"kernel": kernel["name"], "m": m, "n": n, "k": k, "us": us, "coarse": coarse})
        text = {"machine": machine.as_json(), "kernels": [row for _, row in kernels], "rows": rows}
        args.out.write_text(json.dumps(text, indent=0))
        print(f"{n}x{k}: {len(rows)} times after {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
