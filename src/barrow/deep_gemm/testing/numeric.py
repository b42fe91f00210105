"""Comparison of results."""

import torch
from torch import Tensor


def calc_diff(x: Tensor, y: Tensor) -> Tensor | float:
    """1 - 2 <x, y> / (|x|^2 + |y|^2) in float64, 0.0 where both are zero.

    One figure for whole tensors: a wrong tile of a large matrix hardly moves it.
    """
    x, y = x.double(), y.double()
    norms = (x * x + y * y).sum()
    return 1 - 2 * (x * y).sum() / norms if norms != 0 else 0.0


def count_bytes(*tensors: object) -> int:
    """Bytes of all elements of tensors, also of those in tuples and lists; None counts nothing."""
    total = 0
    for tensor in tensors:
        if isinstance(tensor, Tensor):
            total += tensor.numel() * tensor.element_size()
        elif isinstance(tensor, (tuple, list)):
            total += count_bytes(*tensor)
    return total


def assert_bitwise_equal(x: Tensor, y: Tensor, label: str = "") -> None:
    """Raise AssertionError naming the first byte in which two tensors of one shape and dtype differ."""
    assert x.shape == y.shape, f"{label}: shapes differ: {list(x.shape)} and {list(y.shape)}"
    assert x.dtype == y.dtype, f"{label}: dtypes differ: {x.dtype} and {y.dtype}"
    wrong = (x.contiguous().view(torch.uint8) != y.contiguous().view(torch.uint8)).flatten().nonzero()
    if wrong.shape[0]:
        element = int(wrong[0]) // x.element_size()
        raise AssertionError(
            f"{label}: {wrong.shape[0]} bytes differ, the first in element {element}: "
            f"{x.flatten()[element].item()} and {y.flatten()[element].item()}"
        )
