"""How every rule about arguments is tested: the call raises a text of its own, with these parts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor


def misaligned(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor whose address is one past a multiple of its element size, which torch itself never makes."""
    count = torch.Size(shape).numel()
    return torch.frombuffer(bytearray(count * dtype.itemsize + 1), dtype=dtype, offset=1).view(shape)


def refused(call: Callable[[], Any], *texts: str) -> None:
    """The call raises our text alone, and it has all of these parts."""
    with pytest.raises(RuntimeError) as error:
        call()
    message = str(error.value)
    assert message.startswith("barrow")
    assert "\n" not in message
    assert ".cpp" not in message
    for text in texts:
        assert text in message
