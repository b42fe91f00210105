"""`Fp8Linear`: nn.Linear on block-scaled FP8 weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from barrow.linear import backends
from barrow.linear.explain import Explanation, explain
from barrow.ops.layout import scale_blocks


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _backend_name(device: torch.device) -> str:
    # A constant for torch.compile, which could not trace the questions to the driver.
    return backends.choose(device).backend.name


class Fp8Linear(nn.Module):
    """y = x W^T + bias with W in float8_e4m3fn, one float32 scale per 128 x 128 block, for inference.

    The buffers carry the names of DeepSeek-V3's checkpoints: `weight` [out_features, in_features] float8_e4m3fn,
    `weight_scale_inv` [ceil(out_features / 128), ceil(in_features / 128)] float32 (W ~ weight * weight_scale_inv) and
    `bias` [out_features] or None. A conversion of the module (`.half()`, `.to(torch.bfloat16)`) converts the bias
    only: the other two are a format and not a precision.

    Where it runs: barrow's kernels on a Hopper GPU, barrow's CPU implementation on the CPU, torch's matmul on
    dequantised weights anywhere else; `explain` says which and why. The first two quantize the input, one scale per
    row and 128 features.

    Args:
        in_features: K, any size.
        out_features: N, any size.
        bias: whether there is a bias.
        use_ue8m0: round the scales of weight and input up to powers of two, as DeepSeek-V3.1 does.
        device: of the buffers.
        dtype: of the bias; torch's default dtype if None.

    A layer made by this constructor is all zeros until a state dict is loaded; `from_linear` makes one from weights.
    """

    weight: Tensor
    weight_scale_inv: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        use_ue8m0: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.use_ue8m0 = use_ue8m0
        scale_shape = (scale_blocks(out_features), scale_blocks(in_features))
        weight = torch.zeros((out_features, in_features), dtype=torch.float8_e4m3fn, device=device)
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale_inv", torch.ones(scale_shape, dtype=torch.float32, device=device))
        self.register_buffer("bias", torch.zeros(out_features, dtype=dtype, device=device) if bias else None)

    @classmethod
    def from_linear(cls, linear: nn.Linear, *, use_ue8m0: bool = False) -> "Fp8Linear":
        """Quantize the weight of `linear` (bfloat16, float16 or float32), on its device; the bias is shared with it.

        Raises:
            RuntimeError: if the weight has another dtype.
        """
        layer = cls(linear.in_features, linear.out_features, bias=False, use_ue8m0=use_ue8m0, device="meta")
        layer.weight, layer.weight_scale_inv = backends.quantize_weight(linear.weight.detach(), use_ue8m0)
        layer.bias = None if linear.bias is None else linear.bias.detach()
        return layer.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to x [..., in_features] (bfloat16, float16 or float32); the result has x's dtype.

        Raises:
            RuntimeError: if x has another dtype or last dimension, or requires grad while grad mode is on.
        """
        if x.dtype not in backends.GEMM_DTYPE or x.dim() == 0 or x.shape[-1] != self.in_features:
            raise RuntimeError(
                f"barrow.Fp8Linear: x is {x.dtype} of shape {tuple(x.shape)}; pass bfloat16, float16 or float32 "
                f"of shape [..., {self.in_features}]"
            )
        matmul = backends.BY_NAME[_backend_name(self.weight.device)].matmul
        rows = torch.atleast_2d(x).flatten(0, -2)
        if rows.stride(1) != 1:
            rows = rows.contiguous()
        y = matmul(rows, self.weight, self.weight_scale_inv, self.use_ue8m0)
        if self.bias is not None:
            y = y + self.bias
        result: Tensor = y.to(x.dtype).view(*x.shape[:-1], self.out_features)
        return result

    def explain(
        self,
        m: int,
        *,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str | None = None,
        num_sms: int = 132,
    ) -> Explanation:
        """Say what runs this layer for an input of `m` rows, and why.

        Args:
            m: rows of the input, all its leading dimensions multiplied.
            dtype: of the input.
            device: where it would run; the device of the weight if None. It need not exist.
            num_sms: SMs of the Hopper GPU for which to name the kernel (H100 SXM and H200: 132).
        """
        where = self.weight.device if device is None else torch.device(device)
        return explain(m, self.out_features, self.in_features, dtype=dtype, device=where, num_sms=num_sms)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, use_ue8m0={self.use_ue8m0}"
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Fp8Linear":
        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.dtype != tensor.dtype and (tensor is self.weight or tensor is self.weight_scale_inv):
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
        formats = {"weight": torch.float8_e4m3fn, "weight_scale_inv": torch.float32}
        wrong = [
            f"{prefix}{name} has dtype {found.dtype}, but Fp8Linear needs {needed}; "
            "quantize the weights first (Fp8Linear.from_linear or quantize_)"
            for name, needed in formats.items()
            if (found := state_dict.get(prefix + name)) is not None and found.dtype != needed
        ]
        if wrong:
            error_msgs.extend(wrong)
            return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
