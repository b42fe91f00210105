"""Which backend and which kernel a linear layer or a product of experts gets, in words; asks nothing of a GPU."""

from dataclasses import dataclass
from typing import Literal

import torch

from barrow import launcher
from barrow.linear import backends
from barrow.linear.case import GEMM_DTYPE, Case
from barrow.linear.target import NAMED, Target

SMS = NAMED["H100"].num_sms or 0


@dataclass(frozen=True)
class Explanation:
    """What runs y = x W^T for x [m, k], W [n, k] on `target`, and which kernel a Hopper GPU runs for that shape.

    Attributes:
        m, n, k: the shape.
        experts: how many W there are, whose rows of x lie one group after another; 0 for a plain product.
        dtype: of x.
        target: where it runs.
        backend: name of the backend there.
        reason: what that backend is.
        others: for every other backend, why it does not run.
        kernel: name of the kernel on a Hopper GPU with `num_sms` SMs; None where nothing is to be computed or
            this build carries no kernels.
        kernel_reason: why that kernel.
        num_sms: SMs assumed for `kernel`.
    """

    m: int
    n: int
    k: int
    dtype: torch.dtype
    target: Target
    backend: str
    reason: str
    others: dict[str, str]
    kernel: str | None
    kernel_reason: str
    num_sms: int
    experts: int = 0


def _explain_kernel(
    m: int, n: int, k: int, dtype: torch.dtype, num_sms: int, memory_gb_s: int, experts: int
) -> tuple[str | None, str]:
    if m == 0 or n == 0 or k == 0:
        return None, "a dimension is 0: no kernel is launched"
    # What lies between the steps of a mixture is bfloat16.
    out: Literal["bf16", "f32"] = "bf16" if experts or GEMM_DTYPE[dtype] == torch.bfloat16 else "f32"
    candidates = launcher.choose(m, n, k, out, num_sms, memory_gb_s, groups=experts)
    if not candidates:
        return None, f"this build of barrow carries no kernel with {out} output"
    best, *rest = candidates
    spec = next(kernel for kernel in launcher.kernels() if kernel["kind"] != "aux" and kernel["name"] == best["kernel"])
    block_m, block_n = spec["block_m"], spec["block_n"]
    # Only the GPU will know how many rows each expert has, and with them the number of tiles.
    count = "" if experts else f"{-(-m // block_m) * -(-n // block_n)} "
    split = f" with K split in {spec['cluster_k']}" if spec["cluster_k"] > 1 else ""
    reason = f"{count}tiles of {block_m}x{block_n}{split} on {num_sms} SMs, predicted {best['predicted_us']:.1f} us"
    if best["measured"]:
        reason += ", measured as the fastest"
    if rest:
        reason += f"; next of {len(candidates)}: {rest[0]['kernel']}, {rest[0]['predicted_us']:.1f} us"
    return best["kernel"], reason


def explain(
    m: int,
    n: int,
    k: int,
    *,
    dtype: torch.dtype,
    target: Target,
    bias: bool = False,
    use_ue8m0: bool = False,
    num_sms: int | None = None,
    preference: tuple[str, ...] | None = None,
    experts: int = 0,
) -> Explanation:
    """Explain y = x W^T for x [m, k] of `dtype` and W [n, k], or as many W as there are `experts`; see `Explanation`.

    The backend is that of a layer: chosen once for all M. `num_sms` is the target's if None, or else an H100's.

    Raises:
        ValueError: if m is negative, num_sms is not positive or dtype is not bfloat16, float16 or float32.
    """
    sms = num_sms if num_sms is not None else target.num_sms or SMS
    if m < 0 or sms < 1 or dtype not in GEMM_DTYPE:
        raise ValueError(
            f"barrow.explain: m = {m}, num_sms = {sms}, dtype = {dtype}; pass m >= 0, num_sms >= 1 "
            "and bfloat16, float16 or float32"
        )
    case = Case(n=n, k=k, target=target, dtype=dtype, bias=bias, use_ue8m0=use_ue8m0, experts=experts)
    choice = backends.choose(case, preference)
    kernel, kernel_reason = _explain_kernel(m, n, k, dtype, sms, target.memory_gb_s, experts)
    return Explanation(
        m=m,
        n=n,
        k=k,
        dtype=dtype,
        target=target,
        backend=choice.backend.name,
        reason=choice.backend.summary,
        others=choice.others,
        kernel=kernel,
        kernel_reason=kernel_reason,
        num_sms=sms,
        experts=experts,
    )
