"""How much host time does one eager call take: barrow, DeepGEMM, torch's mul_, all in one run?

    python benchmarks/host_cost.py --deep-gemm DIR --out docs/results/host-cost-h100.json

The shape is small enough that the GPU keeps up; calls take turns in batches, and the median batch counts.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

import barrow
from barrow.bench.machine import this_machine
from barrow.bench.providers import import_deep_gemm

M, N, K = 64, 576, 2048
BATCH = 500
ROUNDS = 11

Call = Callable[[], object]


def calls(deep_gemm: Path | None) -> dict[str, Call]:
    """The contenders. Scales are "ready" in the layout that kernels read, "row-major" as plain quantizers leave it."""
    a, ready = barrow.per_token_group_quant_fp8(torch.randn(M, K, device="cuda", dtype=torch.bfloat16))
    b, b_scale = barrow.per_block_quant_fp8(torch.randn(N, K, device="cuda", dtype=torch.bfloat16))
    row_major = ready.contiguous()
    out = torch.empty(M, N, device="cuda", dtype=torch.bfloat16)
    x = torch.randn(M, device="cuda")
    found: dict[str, Call] = {
        "torch mul_": lambda: x.mul_(2),
        "barrow ready": lambda: barrow.fp8_gemm_nt(a, ready, b, b_scale, out=out),
        "barrow row-major": lambda: barrow.fp8_gemm_nt(a, row_major, b, b_scale, out=out),
        "barrow new out": lambda: barrow.fp8_gemm_nt(a, ready, b, b_scale),
    }
    if deep_gemm is not None:
        module = import_deep_gemm(deep_gemm)
        found["deep_gemm ready"] = lambda: module.fp8_gemm_nt((a, ready), (b, b_scale), out)
        found["deep_gemm row-major"] = lambda: module.fp8_gemm_nt((a, row_major), (b, b_scale), out)
    return found


def batch_us(call: Call) -> float:
    """Host microseconds per call, the GPU idle before the first."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(BATCH):
        call()
    return (time.perf_counter() - start) / BATCH * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deep-gemm", type=Path, help="folder that holds deep_gemm/")
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args()
    machine, contenders = this_machine(), calls(args.deep_gemm)
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    # The first round warms up and is not kept.
    for turn in range(ROUNDS + 1):
        for name, call in contenders.items():
            us = batch_us(call)
            if turn:
                samples[name].append(us)
    medians = {name: median(values) for name, values in samples.items()}
    for name, us in medians.items():
        print(f"{name:20} {us:6.2f} us, {us / medians['torch mul_']:.2f}x torch mul_")
    if "deep_gemm ready" in medians:
        print(f"barrow / deep_gemm, scales ready: {medians['barrow ready'] / medians['deep_gemm ready']:.3f}")
    if args.out:
        args.out.write_text(json.dumps({"machine": machine.as_json(), "us": medians, "samples": samples}, indent=1))


if __name__ == "__main__":
    main()
