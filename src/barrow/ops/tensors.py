"""Whether arguments are tensors. What is called often asks only once something went wrong, so that nobody waits."""

from torch import Tensor


def check_tensors(called: str, *, may_be_none: str = "", **arguments: object) -> None:
    """Raise TypeError naming the first of the arguments that is no tensor; one of them may be None.

    Args:
        called: the function or module, for the message.
        may_be_none: the argument that may.
        arguments: as they were passed.
    """
    for name, value in arguments.items():
        if not isinstance(value, Tensor) and (value is not None or name != may_be_none):
            raise TypeError(
                f"barrow.{called}: {name} is a {type(value).__name__} but needs to be a tensor; pass a torch.Tensor: "
                "torch.as_tensor makes one of an array, torch.stack of a list of tensors"
            ) from None
