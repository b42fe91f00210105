"""How fast is a mixture of experts over two GPUs, and does it agree with one?

    python benchmarks/expert_parallel.py --out docs/results/expert-parallel-h200.json

The experts of DeepSeek-V3: 256 of 7168 to 2048 and back, 8 for each token, drawn alike. One GPU takes all tokens; of
two, each holds half of the experts and brings half of the tokens. One process per GPU, joined by NCCL. Calls are eager,
one after the other, since the host waits for the numbers of tokens; the slowest process counts.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
from gpu_processes import add_gpus, joined, run
from torch import Tensor

from barrow import Fp8Experts
from barrow.bench.machine import this_machine
from barrow.parallel import ExpertParallel, experts_of, take_experts

TOKENS = (2, 16, 64, 128, 512, 2048, 8192, 32768)
LAUNCHES = 8
ROUNDS = 7


def whole(options: argparse.Namespace, device: torch.device) -> Fp8Experts:
    """The mixture on one GPU, the same on every process."""
    generator = torch.Generator(device).manual_seed(0)
    layer = Fp8Experts(options.experts, options.hidden, options.inner, device=device)
    gate_up, down = (options.inner, options.hidden), (options.hidden, options.inner)
    for expert in range(options.experts):
        for name, shape in (("gate_proj", gate_up), ("up_proj", gate_up), ("down_proj", down)):
            weight = torch.randn(shape, device=device, dtype=torch.bfloat16, generator=generator)
            layer.fill(expert, name, weight * shape[1] ** -0.5)
    return layer


def time_us(call: Callable[[], Tensor]) -> float:
    """Median microseconds of one call, that of the slowest process."""
    samples = []
    for _ in range(ROUNDS + 1):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        dist.barrier()
        start.record()
        for _ in range(LAUNCHES):
            y = call()
        stop.record()
        stop.synchronize()
        samples.append(start.elapsed_time(stop) * 1e3 / LAUNCHES)
    slowest = torch.tensor(median(samples[1:]), device=y.device)
    dist.all_reduce(slowest, dist.ReduceOp.MAX)
    return float(slowest)


def measure(
    one: Fp8Experts, split: ExpertParallel, tokens: int, top_k: int, rank: int, world: int
) -> dict[str, float | int]:
    """Both times, and how far the results of a token are apart at most: of their norm."""
    device = one.down_weight.device
    generator = torch.Generator(device).manual_seed(1)
    x = torch.randn(tokens, one.hidden, device=device, dtype=torch.bfloat16, generator=generator)
    ids = torch.rand(tokens, one.num_experts, device=device, generator=generator).topk(top_k).indices
    weights = torch.rand(tokens, top_k, device=device, generator=generator).softmax(-1)
    mine = slice(tokens * rank // world, tokens * (rank + 1) // world)
    share = (x[mine], ids[mine], weights[mine])
    expected, found = one(x, ids, weights)[mine].float(), split(*share).float()
    error = ((found - expected).norm(dim=1) / expected.norm(dim=1)).amax()
    dist.all_reduce(error, dist.ReduceOp.MAX)
    return {
        "tokens": tokens,
        "one_gpu_us": time_us(lambda: one(x, ids, weights)),
        "split_us": time_us(lambda: split(*share)),
        "largest_relative_error": float(error),
    }


def worker(rank: int, world: int, store: str, options: argparse.Namespace) -> None:
    rows = []
    with joined(rank, world, store) as device, torch.no_grad():
        one = whole(options, device)
        split = ExpertParallel(take_experts(one, experts_of(options.experts, rank, world)))
        for tokens in options.tokens:
            row = measure(one, split, tokens, options.top_k, rank, world)
            rows.append(row)
            if rank == 0:
                print(
                    f"{tokens:6} tokens: one GPU {row['one_gpu_us']:8.1f} us, {world} GPUs {row['split_us']:8.1f} us, "
                    f"{row['one_gpu_us'] / row['split_us']:.2f}x; largest relative error of a token "
                    f"{row['largest_relative_error']:.2e}",
                    flush=True,
                )
    if rank == 0 and options.out is not None:
        shape = {name: getattr(options, name) for name in ("experts", "hidden", "inner", "top_k")}
        result = {"machine": this_machine().as_json(), "gpus": world, **shape, "rows": rows}
        options.out.write_text(json.dumps(result, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_gpus(parser)
    parser.add_argument("--experts", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=7168)
    parser.add_argument("--inner", type=int, default=2048, help="features between gate and down")
    parser.add_argument("--top-k", type=int, default=8)
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS, help="of all GPUs, at least one for each")
    parser.add_argument("--out", type=Path, help="JSON file")
    run(worker, parser)


if __name__ == "__main__":
    main()
