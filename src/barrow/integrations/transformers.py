"""barrow in transformers' fine-grained FP8 layers.

transformers has no plugins, and its hook for hub kernels needs the package `kernels`, a download and nvcc. What it has
is one function that all its FP8 linear layers call by its name, `fp8_linear`, and one that its experts call,
`fp8_grouped_matmul`, unless another implementation of experts is asked for; `install` replaces both.
"""

import functools
import importlib
from typing import Any

import torch
from torch import Tensor

from barrow.integrations.deep_gemm import runs_on
from barrow.ops import fp8_gemm_nt, m_grouped_fp8_gemm_nt, per_token_group_quant_fp8

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


def _grouped(input: Tensor, weight: Tensor, weight_scale_inv: Tensor, offsets: Tensor) -> Tensor:
    q, scale = per_token_group_quant_fp8(input.detach())
    return m_grouped_fp8_gemm_nt(q, scale, weight.detach(), weight_scale_inv.detach(), offsets).to(input.dtype)


def install() -> None:
    """Have FP8 linear layers and experts of transformers run on barrow, where they can: 128 x 128 scales in float32
    that are made from each input, on Hopper or a CPU. Other calls go where they went. Calling it again changes nothing.

    Raises:
        ImportError: if transformers is not installed.
        RuntimeError: if this release of transformers has no such function for linear layers. One without that for
            experts keeps its own.
    """
    try:
        module = importlib.import_module(MODULE)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ImportError("barrow.integrations.transformers needs transformers; pip install transformers") from error
    their_linear, their_grouped = (getattr(module, name, None) for name in ("fp8_linear", "fp8_grouped_matmul"))
    if their_linear is None:
        raise RuntimeError(
            f"barrow: {MODULE} has no fp8_linear to replace; use a transformers that has it, such as 5.23, "
            "or barrow.quantize_"
        )
    if hasattr(their_linear, "_barrow"):
        return

    @functools.wraps(their_linear)
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
        return their_linear(input, weight, weight_scale_inv, block_size, bias, activation_scale, *args, **kwargs)

    fp8_linear._barrow = True  # type: ignore[attr-defined]
    module.fp8_linear = fp8_linear  # type: ignore[attr-defined]
    if their_grouped is None:
        return

    @functools.wraps(their_grouped)
    def fp8_grouped_matmul(
        input: Tensor,
        weight: Tensor,
        weight_scale_inv: Tensor,
        offsets: Tensor,
        tokens_per_expert: Tensor,
        block_size: Any,
    ) -> Any:
        if _takes(input, weight, weight_scale_inv, block_size, None):
            return _grouped(input, weight, weight_scale_inv, offsets)
        return their_grouped(input, weight, weight_scale_inv, offsets, tokens_per_expert, block_size)

    module.fp8_grouped_matmul = fp8_grouped_matmul  # type: ignore[attr-defined]
