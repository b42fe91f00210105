"""Times a whole layer of experts, from tokens in bfloat16 to their sum: DeepSeek-V3's, for a decode batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import torch
from torch.nn import functional

from barrow import ops
from barrow.bench.expert_layers import Layer
from barrow.bench.groups import Quantised, drawn
from barrow.bench.machine import Machine
from barrow.bench.measure import Row, dequantised, empty_row, launches_of, prepared, sound, take_times
from barrow.bench.providers import DEVICE
from barrow.experts import Fp8Experts

# Of DeepSeek-V3, on one GPU: experts, hidden and intermediate features.
SIZES = (256, 7168, 2048)
TOP_K = 8
# The tokens of a step.
TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
# Different ones follow each other, so that a step finds little of its experts in the L2 cache.
ROUTINGS = 4

# A bfloat16 between the steps is now and then rounded to another e4m3 value: 0.01 for each token. An expert that is
# missing among eight is 0.3.
WRONG_TOKEN = 0.05


@dataclass(frozen=True)
class Routing:
    """The experts of each token [T, top_k] int32, and what each is given, float32."""

    ids: torch.Tensor
    weights: torch.Tensor


def drawn_experts(experts: int, hidden: int, intermediate: int) -> Fp8Experts:
    """Random weights, such that a token of variance 1 has gates of variance 1."""
    layer = Fp8Experts(experts, hidden, intermediate, device=DEVICE)
    for weight, scale, k in (
        (layer.gate_up_weight, layer.gate_up_weight_scale_inv, hidden),
        (layer.down_weight, layer.down_weight_scale_inv, intermediate),
    ):
        for matrix in weight:
            matrix.copy_(drawn(*matrix.shape))
        # The elements have a deviation of 64.
        scale.uniform_(0.5, 1.5).div_(64 * k**0.5)
    return layer


def drawn_routing(tokens: int, experts: int, top_k: int, seed: int) -> Routing:
    """Every token to different experts, all as likely; the same for a seed."""
    random = Random(seed)
    ids = torch.tensor([random.sample(range(experts), top_k) for _ in range(tokens)], dtype=torch.int32)
    weights = torch.tensor([[random.uniform(0.5, 1.5) for _ in range(top_k)] for _ in range(tokens)])
    return Routing(ids.to(DEVICE), (weights / weights.sum(1, keepdim=True)).to(DEVICE))


def _rounded(x: torch.Tensor) -> torch.Tensor:
    """What is left of x after its quantisation by 1 x 128."""
    return dequantised(Quantised(*ops.per_token_group_quant_fp8(x)))


def reference(layer: Fp8Experts, x: torch.Tensor, routing: Routing) -> torch.Tensor:
    """The layer in float32, but for the quantisation that is part of it."""
    tokens = _rounded(x)
    out = torch.zeros_like(tokens)
    for expert in routing.ids.unique().tolist():
        rows, slots = (routing.ids == expert).nonzero(as_tuple=True)
        gate_up = Quantised(layer.gate_up_weight[expert], layer.gate_up_weight_scale_inv[expert])
        down = Quantised(layer.down_weight[expert], layer.down_weight_scale_inv[expert])
        gate, up = (tokens[rows] @ dequantised(gate_up).t()).chunk(2, -1)
        product = _rounded(functional.silu(gate) * up) @ dequantised(down).t()
        out.index_add_(0, rows, product * routing.weights[rows, slots, None])
    return out


def worst_token(layer: Layer, x: torch.Tensor, routing: Routing, want: torch.Tensor) -> float:
    """The largest distance of a token's result from `want`, relative to its norm; NaN if any of it is."""
    got = layer.run(x, routing.ids, routing.weights).float()
    return float(((got - want).norm(dim=1) / want.norm(dim=1)).max())


def active(routing: Routing) -> int:
    """How many experts have a token."""
    return int(routing.ids.unique().numel())


def floor_us(machine: Machine, layer: Fp8Experts, tokens: int, top_k: int, experts: float) -> float:
    """The weights of the experts that have a token, read once, the tokens once read and once written; or all FLOP."""
    _, hidden, intermediate = layer.down_weight.shape
    size = 3 * hidden * intermediate
    return machine.least_us(experts * size + 4 * tokens * hidden, 2 * tokens * top_k * size)


def measure_tokens(
    machine: Machine, layer: Fp8Experts, contenders: Sequence[Layer], tokens: int, rounds: int, top_k: int = TOP_K
) -> Row:
    """Time every contender with so many tokens and judge what it computed."""
    experts, hidden, _ = layer.down_weight.shape
    x = torch.randn(tokens, hidden, device=DEVICE, dtype=torch.bfloat16)
    routings = [drawn_routing(tokens, experts, top_k, seed) for seed in range(ROUTINGS)]
    read = sum(map(active, routings)) / ROUTINGS
    floor = floor_us(machine, layer, tokens, top_k, read)
    row = {**empty_row(tokens, floor), "experts": experts, "top_k": top_k, "active": read}
    want = reference(layer, x, routings[0])
    able = sound(contenders, lambda one: worst_token(one, x, routings[0], want), row, lambda one: WRONG_TOKEN)
    calls = {one.name: prepared(one, [partial(one.run, x, r.ids, r.weights) for r in routings]) for one in able}
    take_times(row, calls, rounds, launches_of(floor))
    return row


def measure_experts(
    machine: Machine,
    layer: Fp8Experts,
    contenders: Sequence[Layer],
    tokens: Sequence[int],
    rounds: int,
) -> Iterator[Row]:
    """A row for every number of tokens as soon as it is there."""
    for count in tokens:
        yield measure_tokens(machine, layer, contenders, count, rounds)
        # What graphs held is of no use to those of other sizes, and memory must not run out within a capture.
        torch.cuda.empty_cache()
