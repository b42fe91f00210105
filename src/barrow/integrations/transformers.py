"""barrow in transformers' fine-grained FP8 layers.

transformers has no plugins, and its hook for hub kernels needs the package `kernels`, a download and nvcc. What it has
is one function that all its FP8 linear layers call by its name, `fp8_linear`; `install` replaces that.
"""

import functools
import importlib
from typing import Any

import torch
from torch import Tensor

from barrow.integrations.deep_gemm import runs_on
from barrow.ops import fp8_gemm_nt, per_token_group_quant_fp8

MODULE = "transformers.integrations.finegrained_fp8"
INPUTS = (torch.bfloat16, torch.float16, torch.float32)


def _takes(
    input: Tensor, weight: Tensor, weight_scale_inv: Tensor, block_size: Any, activation_scale: Tensor | None
) -> bool:
    return (
        weight.dtype == torch.float8_e4m3fn
        and weight_scale_inv.dtype == torch.float32
        and block_size is not None
        and tuple(block_size) == (128, 128)
        and activation_scale is None
        and input.dtype in INPUTS
        and runs_on(input.device)
    )


def _linear(input: Tensor, weight: Tensor, weight_scale_inv: Tensor, bias: Tensor | None) -> Tensor:
    # The weights are parameters that want gradients, though no one gives them any.
    weight, weight_scale_inv = weight.detach(), weight_scale_inv.detach()
    q, scale = per_token_group_quant_fp8(input.detach().reshape(-1, input.shape[-1]))
    wide = torch.bfloat16 if input.dtype == torch.bfloat16 else torch.float32
    out = fp8_gemm_nt(q, scale, weight, weight_scale_inv, out_dtype=wide).to(input.dtype)
    if bias is not None:
        out += bias
    return out.reshape(*input.shape[:-1], weight.shape[0])


def install() -> None:
    """Have FP8 linear layers of transformers run on barrow, where it can: 128 x 128 scales in float32 that are made
    from each input, on Hopper or a CPU. Other calls go where they went. Calling it again changes nothing.

    Raises:
        ImportError: if transformers is not installed.
        RuntimeError: if this release of transformers has no such function.
    """
    module = importlib.import_module(MODULE)
    theirs = getattr(module, "fp8_linear", None)
    if theirs is None:
        raise RuntimeError(
            f"barrow: {MODULE} has no fp8_linear to replace; use a transformers that has it, such as 5.23, "
            "or barrow.quantize_"
        )
    if hasattr(theirs, "_barrow"):
        return

    @functools.wraps(theirs)
    def fp8_linear(
        input: Tensor,
        weight: Tensor,
        weight_scale_inv: Tensor,
        block_size: Any = None,
        bias: Tensor | None = None,
        activation_scale: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if _takes(input, weight, weight_scale_inv, block_size, activation_scale):
            return _linear(input, weight, weight_scale_inv, bias)
        return theirs(input, weight, weight_scale_inv, block_size, bias, activation_scale, *args, **kwargs)

    fp8_linear._barrow = True  # type: ignore[attr-defined]
    module.fp8_linear = fp8_linear  # type: ignore[attr-defined]
