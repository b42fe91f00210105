"""Mixtures of SwiGLU experts and what they compute, in float64 and step by step: plain, and but for the layer that
`layer_of` fills independent of barrow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from reference import BLOCK, E4M3, blocks, dequantize, quantize
from torch import Tensor

from barrow import Fp8Experts

PROJECTIONS = ("gate_proj", "up_proj", "down_proj")

# Of one expert: weight [N, K] and scales by the name of a projection.
Expert = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Routing:
    """Of T tokens to k experts each: ids [T, k] int64 and weights [T, k] float32."""

    ids: Tensor
    weights: Tensor


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _draw(values: tuple[float, ...], shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.tensor(values)[torch.randint(len(values), shape, generator=generator)]


@cache
def random_expert(hidden: int, inner: int, seed: int) -> Expert:
    """Weights as quantizing normally distributed ones leaves them; products of all sizes."""
    generator = _generator(seed)

    def projection(n: int, k: int) -> tuple[Tensor, Tensor]:
        q = (torch.randn((n, k), generator=generator) * 96).clamp(-448, 448).to(E4M3)
        scale = (torch.rand((blocks(n), blocks(k)), generator=generator) - 0.5).exp2() * k**-0.5 / 64
        return q, scale

    shapes = ((inner, hidden), (inner, hidden), (hidden, inner))
    return {name: projection(*shape) for name, shape in zip(PROJECTIONS, shapes, strict=True)}


@cache
def integer_expert(hidden: int, inner: int, seed: int) -> Expert:
    """An expert that is exact for `integer_tokens`, whose feature 1 is 1, until its results are rounded to bfloat16.

    Every gate is 32, 64 or -128, which silu leaves alone in float32 or makes zero. The values beside them are integers
    up to 14, which one in each group reaches: so quantized by 448 = 32 * 14 nothing is rounded.
    """
    generator = _generator(seed)
    gate, up = torch.zeros(inner, hidden), torch.zeros(inner, hidden)
    for block in range(blocks(inner)):
        gate[block * BLOCK : (block + 1) * BLOCK, 1] = _draw((32.0, 64.0, -128.0), (), generator)
    features = torch.tensor([i for i in range(hidden) if i % BLOCK and i != 1])
    for row in range(inner):
        picked = features[torch.randint(len(features), (3,), generator=generator)]
        up[row, picked] = _draw((-2.0, -1.0, 1.0, 2.0), (3,), generator)
    up[::BLOCK] = 0.0
    up[::BLOCK, 1] = 14.0
    down = _draw((-1.0, 0.0, 0.0, 0.0, 1.0), (hidden, inner), generator)

    def scaled(weight: Tensor) -> tuple[Tensor, Tensor]:
        n, k = weight.shape
        scale = _draw((0.5, 1.0, 2.0), (blocks(n), blocks(k)), generator)
        wide = scale.repeat_interleave(BLOCK, 0)[:n].repeat_interleave(BLOCK, 1)[:, :k]
        return (weight / wide).to(E4M3), scale

    return {name: scaled(weight) for name, weight in zip(PROJECTIONS, (gate, up, down), strict=True)}


def integers(count: int, hidden: int, inner: int) -> list[Expert]:
    return [integer_expert(hidden, inner, seed) for seed in range(count)]


def randoms(count: int, hidden: int, inner: int) -> list[Expert]:
    return [random_expert(hidden, inner, seed) for seed in range(count)]


def layer_of(experts: list[Expert], local: range | None = None, **options: Any) -> Fp8Experts:
    """The layer that holds these experts, or some of them."""
    hidden, inner = experts[0]["down_proj"][0].shape
    layer = Fp8Experts(len(experts), hidden, inner, local=local, **options)
    for expert in layer.local:
        for name in PROJECTIONS:
            layer.fill(expert, name, *experts[expert][name])
    return layer


def integer_tokens(tokens: int, hidden: int, seed: int = 0) -> Tensor:
    """Integers from -2 to 2, with a 7 in every group, so that quantizing them by 7 / 448 rounds nothing."""
    x = _draw((-2.0, -1.0, 0.0, 1.0, 2.0), (tokens, hidden), _generator(seed))
    x[:, ::BLOCK] = 7.0
    x[:, 1] = 1.0
    return x


def _uniform(tokens: int, k: int, experts: int, generator: torch.Generator) -> Tensor:
    return torch.rand((tokens, experts), generator=generator).argsort(1)[:, :k]


# Ids of T tokens and k experts each out of E.
ROUTINGS: dict[str, Callable[[int, int, int, torch.Generator], Tensor]] = {
    "distinct": _uniform,
    "repeated": lambda tokens, k, experts, generator: torch.randint(experts, (tokens, k), generator=generator),
    "all to one": lambda tokens, k, experts, generator: torch.full((tokens, k), experts - 1),
    "some nowhere": lambda tokens, k, experts, generator: torch.randint(
        -1, experts + 2, (tokens, k), generator=generator
    ),
    "all nowhere": lambda tokens, k, experts, generator: torch.full((tokens, k), -1),
    "far out": lambda tokens, k, experts, generator: (
        torch.randint(experts, (tokens, k), generator=generator)
        + 2**32 * torch.randint(-1, 2, (tokens, k), generator=generator)
    ),
}


def route(kind: str, tokens: int, k: int, experts: int, seed: int = 0) -> Routing:
    """Draw a routing of the given kind; weights are powers of two, by which nothing is rounded."""
    generator = _generator(seed)
    ids = ROUTINGS[kind](tokens, k, experts, generator)
    return Routing(ids, _draw((0.25, 0.5, 1.0, 2.0), tuple(ids.shape), generator))


@dataclass(frozen=True)
class Result:
    """What a mixture makes of its tokens.

    Attributes:
        y: [T, hidden] float64, each expert's result and their sum rounded to bfloat16, as are gates and values.
        size: of every token, the norm of what independent errors of the products between gate and down would be, each
            as large as the product.
    """

    y: Tensor
    size: Tensor


def compute(
    experts: list[Expert], x: Tensor, routing: Routing, *, quantized: bool = True, use_ue8m0: bool = False
) -> Result:
    """Calculate a mixture, with tokens and products quantized or as they are."""

    def rounded(rows: Tensor) -> Tensor:
        return dequantize(*quantize(rows.float(), 1, use_ue8m0), 1) if quantized else rows

    tokens, hidden = x.shape
    total, squares = torch.zeros(tokens, hidden, dtype=torch.float64), torch.zeros(tokens, hidden, dtype=torch.float64)
    x = rounded(x.double())
    for index, expert in enumerate(experts):
        gate, up, down = (dequantize(*expert[name], BLOCK) for name in PROJECTIONS)
        token, slot = (routing.ids == index).nonzero(as_tuple=True)
        left, right = ((x[token] @ part.T).bfloat16().double() for part in (gate, up))
        # In float32 a gate of 32 is left alone.
        products = rounded((left / (1 + (-left).exp()) * right).float().double())
        weights = routing.weights[token, slot, None].double()
        total.index_add_(0, token, weights * (products @ down.T).bfloat16().double())
        squares.index_add_(0, token, weights.square() * (products.square() @ down.square().T))
    return Result(total.bfloat16().double(), squares.sum(1).sqrt())


def assert_exact(y: Tensor, experts: list[Expert], x: Tensor, routing: Routing) -> None:
    """Compare with the result of a mixture of integers, which quantizing would leave alone."""
    wrong = (y.cpu().double() != compute(experts, x, routing, quantized=False).y).nonzero()
    assert not len(wrong), f"{len(wrong)} are off, the first at {wrong[0].tolist()}"


def assert_close(y: Tensor, wanted: Result, share: float = 0.02) -> None:
    """Bound the error of every token by a share of `size`, and by its rounding to bfloat16.

    Raises:
        AssertionError: naming the worst token.
    """
    assert y.shape == wanted.y.shape
    error = (y.double().cpu() - wanted.y).norm(dim=1)
    limit = share * wanted.size + 2.0**-8 * wanted.y.norm(dim=1)
    wrong = (~(error <= limit)).nonzero()[:, 0].tolist()
    assert not wrong, f"tokens {wrong[:8]} are off, the first by {error[wrong[0]]:.3g} of at most {limit[wrong[0]]:.3g}"
