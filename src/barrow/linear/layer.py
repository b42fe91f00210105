"""`Fp8Linear`: nn.Linear on block-scaled FP8 weights."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from barrow.linear.backends import MATMULS, name_for, preferred, quantize_weight
from barrow.linear.case import GEMM_DTYPE
from barrow.linear.explain import Explanation, explain
from barrow.linear.formats import Fp8Module
from barrow.linear.target import Target, target_of
from barrow.ops.layout import scale_blocks
from barrow.ops.tensors import check_tensors


class Fp8Linear(Fp8Module):
    """y = x W^T + bias with W in float8_e4m3fn, one float32 scale per 128 x 128 block, for inference.

    The buffers carry the names of DeepSeek-V3's checkpoints: `weight` [out_features, in_features] float8_e4m3fn,
    `weight_scale_inv` [ceil(out_features / 128), ceil(in_features / 128)] float32 (W ~ weight * weight_scale_inv) and
    `bias` [out_features] or None. A conversion of the module (`.half()`, `.to(torch.bfloat16)`) converts the bias
    only: the other two are a format and not a precision.

    Where it runs: on the first of barrow's backends that can, the same for every M; by default barrow's kernels on a
    Hopper GPU, its Triton kernel on other GPUs where Triton is installed, its CPU implementation on the CPU, and
    torch's matmul on dequantised weights anywhere else. `explain` says which and why. All but the last quantize the
    input, one scale per row and 128 features, on GPUs that multiply e4m3.

    Args:
        in_features: K, any size.
        out_features: N, any size.
        bias: whether there is a bias.
        use_ue8m0: round the scales of weight and input up to powers of two, as DeepSeek-V3.1 does.
        device: of the buffers.
        dtype: of the bias; torch's default dtype if None.
        backends: names of backends in order of preference, the others not to be used; see `barrow.linear.choose`.

    A layer made by this constructor is all zeros until a state dict is loaded; `from_linear` makes one from weights.

    Raises:
        ValueError: if a size is below 0, or `backends` is a string.
    """

    FORMATS: ClassVar = {"weight": torch.float8_e4m3fn, "weight_scale_inv": torch.float32}
    QUANTIZER = "Fp8Linear.from_linear or quantize_"
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
        backends: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if size < 0:
                raise ValueError(f"barrow.Fp8Linear: {name} = {size}; pass at least 0")
        self.in_features = in_features
        self.out_features = out_features
        self.use_ue8m0 = use_ue8m0
        self.backends = preferred(backends)
        scale_shape = (scale_blocks(out_features), scale_blocks(in_features))
        weight = torch.zeros((out_features, in_features), dtype=torch.float8_e4m3fn, device=device)
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale_inv", torch.ones(scale_shape, dtype=torch.float32, device=device))
        self.register_buffer("bias", torch.zeros(out_features, dtype=dtype, device=device) if bias else None)

    @classmethod
    def from_linear(
        cls, linear: nn.Linear, *, use_ue8m0: bool = False, backends: Sequence[str] | None = None
    ) -> "Fp8Linear":
        """Quantize the weight of `linear` (bfloat16, float16 or float32), on its device; the bias is shared with it.

        Raises:
            TypeError: if `linear` is no nn.Linear.
            RuntimeError: if the weight has another dtype.
        """
        if not isinstance(linear, nn.Linear):
            raise TypeError(f"barrow.Fp8Linear.from_linear: linear is a {type(linear).__name__}; pass an nn.Linear")
        layer = cls(
            linear.in_features,
            linear.out_features,
            bias=False,
            use_ue8m0=use_ue8m0,
            device="meta",
            backends=backends,
        )
        layer.weight, layer.weight_scale_inv = quantize_weight(linear.weight.detach(), use_ue8m0)
        layer.bias = None if linear.bias is None else linear.bias.detach()
        return layer.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to x [..., in_features] (bfloat16, float16 or float32); the result has x's dtype.

        Raises:
            TypeError: if x is no tensor.
            RuntimeError: if x has another dtype or last dimension, or requires grad, or carries a tangent, while grad
                mode is on.
        """
        try:
            fits = x.dtype in GEMM_DTYPE and x.dim() > 0 and x.shape[-1] == self.in_features
        except AttributeError:
            fits = False
        if not fits:
            check_tensors("Fp8Linear", x=x)
            raise RuntimeError(
                f"barrow.Fp8Linear: x is {x.dtype} of shape {tuple(x.shape)}; pass bfloat16, float16 or float32 "
                f"of shape [..., {self.in_features}]"
            )
        backend = name_for(
            self.weight.device,
            self.out_features,
            self.in_features,
            x.dtype,
            self.bias is not None,
            self.use_ue8m0,
            self.backends,
        )
        rows = torch.atleast_2d(x).flatten(0, -2)
        if rows.stride(1) != 1:
            rows = rows.contiguous()
        y = MATMULS[backend](rows, self.weight, self.weight_scale_inv, self.use_ue8m0)
        if self.bias is not None:
            y = y + self.bias
        result: Tensor = y.to(x.dtype).view(*x.shape[:-1], self.out_features)
        return result

    def explain(
        self,
        m: int,
        *,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str | Target | None = None,
        num_sms: int | None = None,
    ) -> Explanation:
        """Say what runs this layer for an input of `m` rows, and why.

        Args:
            m: rows of the input, all its leading dimensions multiplied.
            dtype: of the input.
            device: where it would run; the device of the weight if None. It need not exist, and may be a GPU known by
                name, such as "H200" (`barrow.linear.named`).
            num_sms: SMs of the Hopper GPU for which to name the kernel; the device's own if None, or else an H100's.
        """
        where = self.weight.device if device is None else device
        return explain(
            m,
            self.out_features,
            self.in_features,
            dtype=dtype,
            target=target_of(where),
            bias=self.bias is not None,
            use_ue8m0=self.use_ue8m0,
            num_sms=num_sms,
            preference=self.backends,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, use_ue8m0={self.use_ue8m0}"
        )
