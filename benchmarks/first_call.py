"""How long does the first call of every shape take in a fresh process that has a CUDA context?

    python benchmarks/first_call.py --deep-gemm DIR --out docs/results/first-call-h100.json

Run each contender in a process of its own and DeepGEMM with an empty cache folder, as on a newly installed machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from barrow.bench.machine import this_machine
from barrow.bench.providers import Activation, Barrow, DeepGemm, Provider, Weight, import_deep_gemm
from barrow.bench.shapes import DEEPSEEK_NK, MS


def operands(m: int, n: int, k: int) -> tuple[Activation, Weight, torch.Tensor]:
    """Made by torch alone, so that nothing of a contender is loaded before its first call."""
    plain_a, plain_b = (torch.ones(rows, k, device="cuda", dtype=torch.bfloat16) for rows in (m, n))
    a_scale = torch.ones(k // 128, -(-m // 4) * 4, device="cuda").t()[:m]
    b_scale = torch.ones(-(-n // 128), k // 128, device="cuda")
    a, b = (x.to(torch.float8_e4m3fn) for x in (plain_a, plain_b))
    return Activation(a, a_scale, plain_a), Weight(b, b_scale, plain_b), torch.empty(m, n, device="cuda").bfloat16()


def first_calls(provider: Provider, ms: list[int]) -> list[dict[str, Any]]:
    rows = []
    for n, k in DEEPSEEK_NK:
        for m in ms:
            a, b, out = operands(m, n, k)
            torch.cuda.synchronize()
            start = time.perf_counter()
            provider.run(a, b, out)
            torch.cuda.synchronize()
            rows.append({"m": m, "n": n, "k": k, "ms": (time.perf_counter() - start) * 1e3})
    return rows


def in_fresh_process(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--only", name, "--ms", *map(str, args.ms)]
        if args.deep_gemm:
            command += ["--deep-gemm", str(args.deep_gemm)]
        env = {**os.environ, "DG_JIT_CACHE_DIR": cache, "HOME": cache}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deep-gemm", type=Path, help="folder that holds deep_gemm/")
    parser.add_argument("--ms", type=int, nargs="+", default=list(MS), help="DeepGEMM takes about 2.7 s for each shape")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--only", choices=("barrow", "deep_gemm"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        provider = Barrow() if args.only == "barrow" else DeepGemm(import_deep_gemm(args.deep_gemm), pdl=False)
        print(json.dumps(first_calls(provider, args.ms)))
        return
    machine = this_machine()
    names = ["barrow", *(["deep_gemm"] if args.deep_gemm else [])]
    rows = {name: in_fresh_process(name, args) for name in names}
    for name, calls in rows.items():
        ms = [row["ms"] for row in calls]
        print(
            f"{name}: {len(ms)} shapes, median {median(ms):.2f} ms, worst {max(ms):.1f} ms, sum {sum(ms) / 1e3:.2f} s"
        )
    if args.out:
        args.out.write_text(json.dumps({"machine": machine.as_json(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
