"""The operators have no derivatives: what is to be differentiated is refused, or training would go wrong silently."""

from torch import Tensor
from torch.autograd import forward_ad


def in_dual_level() -> bool:
    """Whether tensors may carry tangents: within `torch.func.jvp` and its like, or `forward_ad.dual_level()`.

    torch has no public name for this, and to ask each tensor takes longer than a launch.
    """
    return int(getattr(forward_ad, "_current_level", -1)) >= 0


def refuse_derivatives(op: str, **tensors: Tensor | None) -> None:
    """Raise RuntimeError naming the arguments of `op` that require grad or carry a tangent, if any do."""
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    wanted = [name for name, tensor in given.items() if tensor.requires_grad]
    if wanted:
        raise RuntimeError(
            f"barrow.{op}: {', '.join(wanted)} requires grad, but there is no backward; "
            "call it under torch.no_grad() or pass a detached tensor"
        )
    wanted = [name for name, tensor in given.items() if forward_ad.unpack_dual(tensor).tangent is not None]
    if wanted:
        raise RuntimeError(
            f"barrow.{op}: {', '.join(wanted)} carries a tangent, but there is no forward-mode derivative; "
            "call it under torch.no_grad(), where its result is a constant"
        )
