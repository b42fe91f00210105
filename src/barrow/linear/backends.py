"""What can run an FP8 linear layer on a device, in order of preference, and why the rest cannot."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from barrow import launcher, ops
from barrow.ops.layout import SCALE_BLOCK

HOPPER = (9, 0)

# What the GEMM writes for an input dtype; the layer casts it to the input's. Through bfloat16, float16 would lose bits.
GEMM_DTYPE = {torch.bfloat16: torch.bfloat16, torch.float16: torch.float32, torch.float32: torch.float32}


def _quantized_matmul(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    q, scale = ops.per_token_group_quant_fp8(x, use_ue8m0=use_ue8m0)
    return ops.fp8_gemm_nt(q, scale, weight, weight_scale, out_dtype=GEMM_DTYPE[x.dtype])


def dequantize(weight: Tensor, weight_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `weight` [N, K] times its [ceil(N / 128), ceil(K / 128)] scales, in `dtype`."""
    rows, columns = weight.shape
    scale = weight_scale.repeat_interleave(SCALE_BLOCK, 0)[:rows].repeat_interleave(SCALE_BLOCK, 1)[:, :columns]
    return (weight.to(torch.float32) * scale).to(dtype)


def _dequantized_matmul(x: Tensor, weight: Tensor, weight_scale: Tensor, use_ue8m0: bool) -> Tensor:
    return x @ dequantize(weight, weight_scale, x.dtype).T


def _no_kernels(device: torch.device) -> str | None:
    if device.type != "cuda":
        return f"the kernels run on NVIDIA GPUs, not on {device.type}"
    if not launcher.kernels():
        return "this build of barrow carries no kernels"
    driver = launcher.driver()
    if not driver["available"]:
        return str(driver["error"]).removeprefix("barrow: ")
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no CUDA device"
    capability = torch.cuda.get_device_capability(device)
    if capability != HOPPER:
        found = ".".join(map(str, capability))
        return f"the kernels are for compute capability 9.0 (Hopper), {device} has {found}"
    return None


def _no_cpu(device: torch.device) -> str | None:
    return None if device.type == "cpu" else f"it is for CPU tensors, not for {device.type}"


def _no_dequantized(device: torch.device) -> str | None:
    return None


@dataclass(frozen=True)
class Backend:
    """One way to compute y = x W^T, for x [M, K] and block-scaled W [N, K]; y may be wider than x in dtype.

    `why_not(device)` is None where the backend can run and otherwise says what is missing. `has_operators`: where it
    runs, barrow's operators do.
    """

    name: str
    summary: str
    has_operators: bool
    why_not: Callable[[torch.device], str | None] = field(repr=False)
    matmul: Callable[[Tensor, Tensor, Tensor, bool], Tensor] = field(repr=False)


BACKENDS = (
    Backend("barrow", "barrow's Hopper kernels, activations in FP8", True, _no_kernels, _quantized_matmul),
    Backend("cpu", "barrow's CPU implementation, activations in FP8", True, _no_cpu, _quantized_matmul),
    Backend("torch", "torch's matmul on dequantised weights", False, _no_dequantized, _dequantized_matmul),
)
BY_NAME = {backend.name: backend for backend in BACKENDS}


@dataclass(frozen=True)
class Choice:
    """The backend for a device, and for each backend that was passed over or not needed: why."""

    backend: Backend
    others: dict[str, str]


@cache
def choose(device: torch.device) -> Choice:
    """Return the first backend that can run on `device`; the last one can run anywhere."""
    chosen: Backend | None = None
    others: dict[str, str] = {}
    for backend in BACKENDS:
        if reason := backend.why_not(device):
            others[backend.name] = reason
        elif chosen is None:
            chosen = backend
        else:
            others[backend.name] = f"it could, but {chosen.name} comes first"
    if chosen is None:
        raise RuntimeError(f"barrow.linear: no backend can run on {device}: {others}")
    return Choice(chosen, others)


def quantize_weight(weight: Tensor, use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    """`per_block_quant_fp8` for a weight on any device: by the CPU where the operators do not run."""
    device = weight.device
    if device.type != "meta" and not choose(device).backend.has_operators:
        weight = weight.cpu()
    q, scale = ops.per_block_quant_fp8(weight, use_ue8m0=use_ue8m0)
    return q.to(device), scale.to(device)
