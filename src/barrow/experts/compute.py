"""How a mixture of SwiGLU experts is computed, by the name of the backend that `barrow.linear.choose` returned."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from barrow import ops
from barrow.linear.matmuls import dequantize


class Weights(NamedTuple):
    """Of all experts, with their scales: gate_up [E, 2 * I, H], down [E, H, I]."""

    gate_up: Tensor
    gate_up_scale: Tensor
    down: Tensor
    down_scale: Tensor


def operators(x: Tensor, ids: Tensor, routing: Tensor, rows: int, weights: Weights, use_ue8m0: bool) -> Tensor:
    """barrow's operators, on a Hopper GPU or the CPU: six launches, and nothing that the host has to wait for."""
    ends, positions = ops.moe_sort(ids, weights.down.shape[0])
    q, scale = ops.moe_permute_quant(x, positions, rows, use_ue8m0=use_ue8m0)
    # Sorting is done when the quantizers begin, so both products may load the groups and weights ahead.
    gate_up = ops.m_grouped_fp8_gemm_nt(q, scale, weights.gate_up, weights.gate_up_scale, ends, prefetch_b=True)
    q, scale = ops.silu_mul_quant(gate_up, ends, use_ue8m0=use_ue8m0)
    y = ops.m_grouped_fp8_gemm_nt(q, scale, weights.down, weights.down_scale, ends, prefetch_b=True)
    return ops.moe_unpermute(y, positions, routing)


def _dequantized(
    x: Tensor, ids: Tensor, routing: Tensor, gate_up: Tensor, gate_up_scale: Tensor, down: Tensor, down_scale: Tensor
) -> Tensor:
    (tokens, top_k), experts = ids.shape, down.shape[0]
    flat = ids.flatten().long()
    order = flat.argsort(stable=True)
    # The host waits here for the sizes of the groups.
    bounds = torch.searchsorted(flat[order], torch.arange(experts + 1, device=x.device)).tolist()
    pieces = x.new_zeros((tokens * top_k, x.shape[1]))
    for expert in range(experts):
        rows = order[bounds[expert] : bounds[expert + 1]]
        if rows.numel():
            wide = x[rows // top_k] @ dequantize(gate_up[expert], gate_up_scale[expert], x.dtype).T
            gate, up = wide.float().chunk(2, -1)
            inner = (functional.silu(gate) * up).to(x.dtype)
            # Under autocast the product has another dtype.
            pieces[rows] = (inner @ dequantize(down[expert], down_scale[expert], x.dtype).T).to(x.dtype)
    routing = routing.masked_fill((ids < 0) | (ids >= experts), 0.0)
    return (pieces.view(tokens, top_k, x.shape[1]).float() * routing[..., None]).sum(1).to(x.dtype)


def _like_x(x: Tensor, *others: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


# An operator, so that torch.compile need not look inside, where the host waits.
_library = torch.library.Library("barrow", "FRAGMENT")
_library.define(
    "dequantized_experts(Tensor x, Tensor ids, Tensor routing, Tensor gate_up, Tensor gate_up_scale, Tensor down, "
    "Tensor down_scale) -> Tensor"
)
_library.impl("dequantized_experts", _dequantized, "CompositeExplicitAutograd")
torch.library.register_fake("barrow::dequantized_experts", _like_x)


def dequantized(x: Tensor, ids: Tensor, routing: Tensor, rows: int, weights: Weights, use_ue8m0: bool) -> Tensor:
    """torch's matmul in x's dtype, expert by expert; the host waits for the number of their tokens."""
    y: Tensor = torch.ops.barrow.dequantized_experts(x, ids, routing, *weights)
    return y


Compute = Callable[[Tensor, Tensor, Tensor, int, Weights, bool], Tensor]

# By the name of a backend whose `experts` is true. x [T, H]; ids [T, k], of which at most `rows` are of experts 0 to
# E - 1 and the others add nothing; routing [T, k] float32; whether activations get scales that are powers of two, where
# they are quantized. The result [T, H] may have another dtype than x.
COMPUTE: dict[str, Compute] = {"barrow": operators, "cpu": operators, "torch": dequantized}
