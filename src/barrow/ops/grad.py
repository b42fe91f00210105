"""The operators have no backward: a tensor that requires grad is refused, or training would go wrong silently."""

from typing import NoReturn

from torch import Tensor


def refuse_grad(op: str, **tensors: Tensor | None) -> NoReturn:
    """Raise RuntimeError naming the arguments of `op` that require grad."""
    names = [name for name, tensor in tensors.items() if tensor is not None and tensor.requires_grad]
    raise RuntimeError(
        f"barrow.{op}: {', '.join(names)} requires grad, but there is no backward; "
        "call it under torch.no_grad() or pass a detached tensor"
    )
