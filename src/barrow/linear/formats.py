"""Modules whose weights are in a format: what every layer on FP8 weights shares."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Fp8Module(nn.Module):
    """A module with buffers of fixed dtypes, which no conversion changes and no other dtype is loaded into."""

    # Name and dtype of each such buffer, and how to come by weights of these dtypes, for errors.
    FORMATS: ClassVar[Mapping[str, torch.dtype]] = {}
    QUANTIZER: ClassVar[str] = ""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Fp8Module":
        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.dtype != tensor.dtype and any(tensor is getattr(self, name) for name in self.FORMATS):
                return tensor.to(moved.device)
            return moved

        super()._apply(move, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # A copy would convert other dtypes without their scale: wrong numbers where an error belongs.
        wrong = [
            f"{prefix}{name} has dtype {found.dtype}, but {type(self).__name__} needs {needed}; "
            f"quantize the weights first ({self.QUANTIZER})"
            for name, needed in self.FORMATS.items()
            if (found := state_dict.get(prefix + name)) is not None and found.dtype != needed
        ]
        if wrong:
            error_msgs.extend(wrong)
            return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
