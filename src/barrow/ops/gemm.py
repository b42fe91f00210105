"""FP8 GEMM with block scales."""

import torch
from torch import Tensor

import barrow.launcher  # noqa: F401  (its library defines the operators)
from barrow.ops.grad import in_dual_level, refuse_derivatives
from barrow.ops.tensors import check_tensors

# The overloads themselves: going through the packet costs a lookup on every call.
_gemm = torch.ops.barrow.fp8_gemm_nt.default
_gemm_out = torch.ops.barrow.fp8_gemm_nt.out


def fp8_gemm_nt(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    *,
    out: Tensor | None = None,
    out_dtype: torch.dtype = torch.bfloat16,
    prefetch_b: bool = False,
    accumulate: bool = False,
) -> Tensor:
    """Multiply two block-scaled FP8 matrices: D[M, N] = A[M, K] x B[N, K]^T.

    With `ka = k // 128` and `nb = n // 128`, every 128 of K accumulated apart and added up in float32:

        D[m, n] = sum_k  a[m, k] * a_scale[m, ka]  *  b[n, k] * b_scale[nb, ka]

    This is the scaling of DeepSeek-V3 (arXiv:2412.19437, section 3.3). Its weight gradients, where both operands are
    activations, need a scale per row of b as well: with `b_scale` of shape [N, ceil(K / 128)], `nb = n`. M, N and K are
    free: none needs to be a multiple of anything, and each may be 0 (K = 0 gives zeros).

    Args:
        a: [M, K] float8_e4m3fn; last stride 1, any row stride.
        a_scale: [M, ceil(K / 128)] float32, any strides. As `per_token_group_quant_fp8` returns it is fastest.
        b: [N, K] float8_e4m3fn; last stride 1, any row stride.
        b_scale: [ceil(N / 128), ceil(K / 128)] or [N, ceil(K / 128)] float32, any strides; the shape says which.
            A scale per row is fastest laid out like `a_scale`.
        out: [M, N] bfloat16 or float32 to write to; last stride 1, no overlap with an input. Its dtype counts, and
            `out_dtype` is ignored.
        out_dtype: torch.bfloat16 or torch.float32, the dtype of a new result.
        prefetch_b: start to load `b` and `b_scale` before the work in front of this call on the stream is done
            (programmatic dependent launch), which hides most of a small product's start. Only for what that work does
            not write, such as the weights of a model; `a` and `a_scale` are waited for as ever. Without effect on
            shapes whose kernel is faster when it starts in its turn.
        accumulate: add the product to `out`, which has to be float32: gradients of weights. On a GPU a sum below 2^-126
            becomes zero, as the PTX ISA says of additions in memory.

    Returns:
        `out`, or a new contiguous [M, N] tensor on the device of `a`.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if an argument requires grad, or carries a
            tangent, while grad mode is on, or if the GPU or its driver cannot run the kernels.
    """
    try:
        if torch.is_grad_enabled() and (
            a.requires_grad
            or a_scale.requires_grad
            or b.requires_grad
            or b_scale.requires_grad
            or (out is not None and out.requires_grad)
            or in_dual_level()
        ):
            refuse_derivatives("fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, out=out)
        if out is None:
            if accumulate:
                raise RuntimeError("barrow.fp8_gemm_nt: accumulate is True but out is None; pass the tensor to add to")
            float32_out = out_dtype is torch.float32
            if not float32_out and out_dtype is not torch.bfloat16:
                name = str(out_dtype) if isinstance(out_dtype, torch.dtype) else repr(out_dtype)
                raise RuntimeError(
                    f"barrow.fp8_gemm_nt: out_dtype is {name} but needs to be torch.bfloat16 or torch.float32; "
                    "convert the result afterwards"
                )
            result: Tensor = _gemm(a, a_scale, b, b_scale, float32_out, prefetch_b)
            return result
        _gemm_out(a, a_scale, b, b_scale, prefetch_b, accumulate, out=out)
        return out
    except (AttributeError, RuntimeError):
        check_tensors("fp8_gemm_nt", a=a, a_scale=a_scale, b=b, b_scale=b_scale, out=out, may_be_none="out")
        raise
