"""How fast is a two-layer MLP over two GPUs, and does it agree with one?

    python benchmarks/tensor_parallel.py --out docs/results/tensor-parallel-h200.json

Gate and up column-parallel, SiLU, down row-parallel, all-reduce: the dense MLP of DeepSeek-V3, from 7168 to 2 x 18432
and back, and one with 2 x 2112, whose shards cut scale blocks. One process per GPU, joined by NCCL. Calls are replays
of a CUDA graph, and the slowest process counts.
"""

import argparse
import json
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
from gpu_processes import add_gpus, joined, run
from torch import Tensor, nn

import barrow
from barrow import Fp8Linear
from barrow.bench.machine import this_machine
from barrow.linear import fuse
from barrow.parallel import column_parallel, row_parallel

HIDDEN = 7168
INNERS = (18432, 2112)
MS = (1, 16, 64, 128, 512, 2048, 8192)
LAUNCHES = 16
ROUNDS = 7


class Mlp(nn.Module):
    """down(silu(gate(x)) * up(x)), gate and up in one layer."""

    def __init__(self, gate_up: Fp8Linear, down: Fp8Linear) -> None:
        super().__init__()
        self.gate_up, self.down = gate_up, down

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        y: Tensor = self.down(nn.functional.silu(gate) * up)
        return y


def whole(inner: int, device: torch.device) -> Mlp:
    """The MLP on one GPU, the same on every process."""
    torch.manual_seed(0)

    def layer(n: int, k: int) -> Fp8Linear:
        made = Fp8Linear(k, n, bias=False, device="meta")
        weight = torch.randn(n, k, device=device, dtype=torch.bfloat16) * k**-0.5
        made.weight, made.weight_scale_inv = barrow.per_block_quant_fp8(weight)
        return made

    return Mlp(fuse([layer(inner, HIDDEN), layer(inner, HIDDEN)]), layer(HIDDEN, inner))


def share(model: Mlp, rank: int, world: int, inner: int) -> Mlp:
    return Mlp(column_parallel(model.gate_up, rank, world, parts=[inner, inner]), row_parallel(model.down, rank, world))


def time_us(model: Mlp, x: Tensor) -> float:
    """Median microseconds of one call, that of the slowest process."""
    graph = torch.cuda.CUDAGraph()
    for _ in range(3):
        model(x)
    torch.cuda.synchronize()
    dist.barrier()
    # NCCL's own thread asks for events meanwhile, which other modes forbid.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        for _ in range(LAUNCHES):
            model(x)
    samples = []
    for _ in range(ROUNDS):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        dist.barrier()
        graph.replay()
        start.record()
        graph.replay()
        stop.record()
        stop.synchronize()
        samples.append(start.elapsed_time(stop) * 1e3 / LAUNCHES)
    slowest = torch.tensor(median(samples), device=x.device)
    dist.all_reduce(slowest, dist.ReduceOp.MAX)
    return float(slowest)


def measure(inner: int, m: int, rank: int, world: int, device: torch.device) -> dict[str, float | int]:
    """Both times, and how far the results are apart: of the norm, and of the largest element."""
    one = whole(inner, device)
    split = share(one, rank, world, inner)
    x = torch.randn(m, HIDDEN, device=device, dtype=torch.bfloat16, generator=torch.Generator(device).manual_seed(1))
    expected, found = one(x).float(), split(x).float()
    error = (found - expected).abs()
    return {
        "hidden": HIDDEN,
        "inner": inner,
        "m": m,
        "one_gpu_us": time_us(one, x),
        "split_us": time_us(split, x),
        "relative_error": float(error.norm() / expected.norm()),
        "largest_error": float(error.max() / expected.abs().max()),
    }


def worker(rank: int, world: int, store: str, options: argparse.Namespace) -> None:
    rows = []
    with joined(rank, world, store) as device, torch.no_grad():
        for inner in options.inner:
            for m in options.ms:
                row = measure(inner, m, rank, world, device)
                rows.append(row)
                if rank == 0:
                    speedup = row["one_gpu_us"] / row["split_us"]
                    print(
                        f"inner {inner:6} M {m:5}: one GPU {row['one_gpu_us']:8.1f} us, {world} GPUs "
                        f"{row['split_us']:8.1f} us, {speedup:.2f}x; relative error {row['relative_error']:.2e}",
                        flush=True,
                    )
    if rank == 0 and options.out is not None:
        options.out.write_text(json.dumps({"machine": this_machine().as_json(), "gpus": world, "rows": rows}, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_gpus(parser)
    parser.add_argument("--inner", type=int, nargs="+", default=INNERS, help="features between the layers")
    parser.add_argument("--ms", type=int, nargs="+", default=MS)
    parser.add_argument("--out", type=Path, help="JSON file")
    run(worker, parser)


if __name__ == "__main__":
    main()
