"""What each built-in backend can run: every rule about shape, format and device, stated once.

A rule returns None, or one sentence that says what is missing. None of them looks at a tensor or at the machine: the
case holds all they may depend on. So a warm-up, a call, an explanation on a laptop and a test ask the same question.
"""

import torch

from barrow import launcher
from barrow.linear.case import GEMM_DTYPE, Case
from barrow.linear.target import Target
from barrow.ops.layout import MOST_EXPERTS, SCALE_BLOCK

HOPPER = (9, 0)
# Triton's oldest NVIDIA GPUs, and the first that convert to e4m3 in hardware.
TRITON_CAPABILITY = (8, 0)
FP8_CAPABILITY = (8, 9)
CUBLASLT_CUDA = (12, 9)
# torch._scaled_mm refuses N that is no multiple of 16.
CUBLASLT_N = 16
# cuBLASLt reads the scales of a weight in rows of a multiple of four blocks of K (its documentation, "128x128 2D block
# scaling"), torch._scaled_mm passes on rows without padding: right only where four blocks divide K.
CUBLASLT_K = 4 * SCALE_BLOCK
# A dimension that the operators and Triton's 32-bit arguments hold.
MAX_DIM = 2**31 - 1


def wrong_format(case: Case) -> str | None:
    """What no built-in backend can do: another format than e4m3 with 128 x 128 scales."""
    if case.weight_dtype != torch.float8_e4m3fn:
        return f"the weight is {case.weight_dtype}, not float8_e4m3fn"
    if case.block != (SCALE_BLOCK, SCALE_BLOCK):
        return f"one scale covers {case.block[0]} x {case.block[1]} of the weight, not {SCALE_BLOCK} x {SCALE_BLOCK}"
    if case.dtype not in GEMM_DTYPE:
        return f"the input is {case.dtype}, not bfloat16, float16 or float32"
    if max(case.n, case.k, case.m[0]) > MAX_DIM:
        return f"a dimension exceeds {MAX_DIM}"
    return None


def no_kernels(target: Target) -> str | None:
    """Why barrow's kernels do not run on a target, whatever the layer."""
    if target.device_type != "cuda":
        return f"the kernels run on NVIDIA GPUs, not on {target.device_type}"
    if target.vendor != "nvidia":
        return f"the kernels run on NVIDIA GPUs, and {target.name} is AMD's"
    if not launcher.kernels():
        return "this build of barrow carries no kernels"
    if target.problem is not None:
        return target.problem
    if target.capability != HOPPER:
        return f"the kernels are for compute capability 9.0 (Hopper), {target.name} has {_dotted(target.capability)}"
    return None


def _dotted(version: tuple[int, int] | None) -> str:
    return "none" if version is None else f"{version[0]}.{version[1]}"


def _no_operators(case: Case) -> str | None:
    """What barrow's operators do not take, on whatever device."""
    if case.experts > MOST_EXPERTS:
        return f"there are {case.experts} experts, and rows are sorted by at most {MOST_EXPERTS}"
    return wrong_format(case)


def barrow(case: Case) -> str | None:
    """Every M, N and K: the kernels pad what needs padding themselves."""
    return _no_operators(case) or no_kernels(case.target)


def cublaslt(case: Case) -> str | None:
    """`torch._scaled_mm` with 1 x 128 and 128 x 128 scales; M is padded to a multiple of 4 around it."""
    target = case.target
    # Quantizing the input takes barrow's kernels, and cuBLASLt's product is for Hopper as well.
    if reason := wrong_format(case) or no_kernels(target):
        return reason
    if target.cuda is None or target.cuda < CUBLASLT_CUDA:
        return f"cuBLASLt takes block scales from CUDA 12.9 on, and torch was built with {_dotted(target.cuda)}"
    if case.gemm_dtype != torch.bfloat16:
        return f"its block-scaled product is used with bfloat16 only, not for {case.dtype}"
    if case.n == 0 or case.n % CUBLASLT_N:
        return f"N is {case.n}, not a multiple of {CUBLASLT_N}"
    if case.k == 0 or case.k % CUBLASLT_K:
        return f"K is {case.k}, not a multiple of {CUBLASLT_K}"
    return None


def triton(case: Case) -> str | None:
    """The kernel of `triton_kernel.py`: every M, N and K, on what Triton compiles for."""
    target = case.target
    if reason := wrong_format(case):
        return reason
    if target.device_type not in ("cuda", "xpu"):
        return f"Triton compiles for GPUs, not for {target.device_type}"
    if target.problem is not None:
        return target.problem
    if not target.triton:
        return "Triton is not installed; pip install barrow[triton]"
    if target.capability is not None and target.capability < TRITON_CAPABILITY:
        return f"Triton needs compute capability 8.0, {target.name} has {_dotted(target.capability)}"
    return None


def cpu(case: Case) -> str | None:
    """The CPU implementation of the operators."""
    if reason := _no_operators(case):
        return reason
    return None if case.target.device_type == "cpu" else f"it is for CPU tensors, not for {case.target.device_type}"


def torch_matmul(case: Case) -> str | None:
    """torch's own matmul, on whatever torch runs on."""
    return wrong_format(case)
