"""What surrounds the grouped GEMMs of a mixture of experts: rows to experts and back, and the activation between."""

import torch
from torch import Tensor

import barrow.launcher  # noqa: F401  (its library defines the operators)
from barrow.ops.grad import in_dual_level, refuse_derivatives
from barrow.ops.tensors import check_tensors

_sort = torch.ops.barrow.moe_sort.default
_permute_quant = torch.ops.barrow.moe_permute_quant.default
_silu_mul_quant = torch.ops.barrow.silu_mul_quant.default
_unpermute = torch.ops.barrow.moe_unpermute.default


def moe_sort(topk_ids: Tensor, num_experts: int, *, max_m: int | None = None) -> tuple[Tensor, Tensor]:
    """Give each row of each token its place among the rows of its expert.

    Rows are ordered by expert, then by token, then by place in the token's top_k, the same on every call. Experts lie
    one after another without a gap, or, with `max_m`, in slabs of that many rows each. An id outside of
    [0, num_experts), such as the -1 of an expert on another GPU, takes no row.

    Args:
        topk_ids: [T, top_k] int32 or int64, any strides: the experts of each token, which may repeat.
        num_experts: E, from 1 to 1024.
        max_m: rows of an expert's slab. Rows beyond get no place.

    Returns:
        groups: [E] int32: the row after the last one of each expert, which `m_grouped_fp8_gemm_nt` takes for
            `group_ends`. With `max_m` how many rows each expert was asked for, those beyond `max_m` included, which
            `m_grouped_fp8_gemm_nt_masked` takes for `masked_m`.
        positions: [T, top_k] int32: the row of the sorted matrix, of T * top_k rows or E * max_m, or -1 for none.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs.
    """
    try:
        result: tuple[Tensor, Tensor] = _sort(topk_ids, num_experts, max_m)
        return result
    except RuntimeError:
        check_tensors("moe_sort", topk_ids=topk_ids)
        raise


def moe_permute_quant(x: Tensor, positions: Tensor, rows: int, *, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    """Quantize tokens and copy each to the rows of its experts.

    A row that `positions` names gets the bits that `per_token_group_quant_fp8` gives the token. All others stay
    uninitialized. Positions outside of [0, rows) are left out; if two are the same, either token may be found there.

    Args:
        x: [T, K] bfloat16, float16 or float32; last stride 1, any row stride.
        positions: [T, top_k] int32, any strides, as `moe_sort` returns them.
        rows: of the result: T * top_k, or E * max_m where `moe_sort` was given `max_m`.
        use_ue8m0: see `per_token_group_quant_fp8`.

    Returns:
        q: [rows, K] float8_e4m3fn, contiguous.
        scale: [rows, ceil(K / 128)] float32 with strides (1, rows rounded up to 4): the layout that GEMMs read fastest.
            With `max_m`, `q.view(E, max_m, K)` and `scale.view(E, max_m, -1)` are the operands of the masked GEMM.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if x requires grad, or carries a tangent,
            while grad mode is on.
    """
    try:
        if torch.is_grad_enabled() and (x.requires_grad or in_dual_level()):
            refuse_derivatives("moe_permute_quant", x=x)
        result: tuple[Tensor, Tensor] = _permute_quant(x, positions, rows, use_ue8m0)
        return result
    except (AttributeError, RuntimeError):
        check_tensors("moe_permute_quant", x=x, positions=positions)
        raise


def silu_mul_quant(x: Tensor, groups: Tensor | None = None, *, use_ue8m0: bool = False) -> tuple[Tensor, Tensor]:
    """Activate the gates, multiply with the values beside them, and quantize the products for the next GEMM.

    With IEEE float32 arithmetic, each operation rounded once:

        gate, value = x[..., :I], x[..., I:]
        product     = gate / (1 + exp(-gate)) * value

    and product is quantized as by `per_token_group_quant_fp8`. Where exp(-gate) overflows, for gates below -88.7,
    the product is a zero. What is not finite becomes NaN in q, a gate of either infinity as well. Only the last bit of
    exp may differ between a CPU and a GPU: then scales differ by a few units in their last place, and elements of q
    by one e4m3 value where the quotient is nearly halfway between two.

    Args:
        x: [M, 2 * I] bfloat16, or [G, max_m, 2 * I] for a slab per expert; last stride 1, any other strides.
        groups: [G] int32, any stride, as `moe_sort` returns them: rows from `groups[-1]` on are not read and those of
            the result stay uninitialized. With slabs: those of slab g from `groups[g]` on. None: all rows count.
        use_ue8m0: see `per_token_group_quant_fp8`. That last bit of exp may then double a scale, where it is nearly a
            power of two.

    Returns:
        q: [M, I] or [G, max_m, I] float8_e4m3fn, contiguous.
        scale: [M, ceil(I / 128)] float32 with strides (1, P) or [G, max_m, ceil(I / 128)] with strides
            (ceil(I / 128) * P, 1, P), where P is M or max_m rounded up to 4: the layout that GEMMs read fastest.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if x requires grad, or carries a tangent,
            while grad mode is on.
    """
    try:
        if torch.is_grad_enabled() and (x.requires_grad or in_dual_level()):
            refuse_derivatives("silu_mul_quant", x=x)
        result: tuple[Tensor, Tensor] = _silu_mul_quant(x, groups, use_ue8m0)
        return result
    except (AttributeError, RuntimeError):
        check_tensors("silu_mul_quant", x=x, groups=groups, may_be_none="groups")
        raise


def moe_unpermute(y: Tensor, positions: Tensor, weights: Tensor) -> Tensor:
    """Add up what its experts made of each token, weighted: out[t] = sum_j weights[t, j] * y[positions[t, j]].

    The sum starts at 0 and is in float32, in the order of j, each product and each sum rounded (no fused multiply-add),
    so that a CPU and a GPU give the same bits; the result is rounded once more. Positions outside of [0, R) add
    nothing.

    Args:
        y: [R, N] bfloat16; last stride 1, any row stride.
        positions: [T, top_k] int32, any strides, as `moe_sort` returns them.
        weights: [T, top_k] float32, any strides.

    Returns:
        [T, N] bfloat16, contiguous.

    Raises:
        TypeError: naming the argument that is no tensor.
        RuntimeError: naming the argument, what it got, what it needs; also if y or weights requires grad, or carries a
            tangent, while grad mode is on.
    """
    try:
        if torch.is_grad_enabled() and (y.requires_grad or weights.requires_grad or in_dual_level()):
            refuse_derivatives("moe_unpermute", y=y, weights=weights)
        result: Tensor = _unpermute(y, positions, weights)
        return result
    except (AttributeError, RuntimeError):
        check_tensors("moe_unpermute", y=y, positions=positions, weights=weights)
        raise
