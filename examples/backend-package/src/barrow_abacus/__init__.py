"""A backend for barrow's linear layers on the abacus, an accelerator that does not exist."""

import torch
from torch import Tensor

from barrow.linear import Backend, Case

# The abacus moves eight beads at once.
BEADS = 8


def why_not(case: Case) -> str | None:
    """The rule: a function of the case alone, which answers for machines that are elsewhere."""
    if case.target.device_type != "cpu":
        return f"an abacus has the host's memory, not that of {case.target.name}"
    if case.weight_dtype != torch.float8_e4m3fn or case.block != (128, 128):
        return "its beads are e4m3 with 128 x 128 scales"
    if case.n % BEADS:
        return f"N is {case.n}, not a multiple of {BEADS}"
    return None


# An operator, so that torch.compile and torch.export see one node and do not look inside.
@torch.library.custom_op("abacus::linear", mutates_args=())
def _linear(x: Tensor, weight: Tensor, weight_scale: Tensor) -> Tensor:
    scale = weight_scale.repeat_interleave(128, 0).repeat_interleave(128, 1)[: weight.shape[0], : weight.shape[1]]
    return (x.double() @ (weight.double() * scale).T).to(x.dtype)


@_linear.register_fake
def _(x: Tensor, weight: Tensor, weight_scale: Tensor) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0]))


def matmul(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    """x [M, K] by W [N, K]; activations stay as they are, so `use_ue8m0` changes nothing."""
    y: Tensor = torch.ops.abacus.linear(x, weight, weight_scale)
    return y


BACKEND = Backend("abacus", "the abacus, exact and slow", why_not, matmul)
