"""What DeepGEMM's arguments must look like, as far as barrow's operators do not check it themselves."""

from collections.abc import Sequence
from typing import SupportsIndex, TypeGuard

import torch
from torch import Tensor

from barrow.ops.grad import in_dual_level, refuse_derivatives

Scaled = tuple[Tensor, Tensor]

# Rows of A and of B, and columns of K, that one scale covers.
BLOCKS_OF_B = (1, 128, 128)
ROWS_OF_B = (1, 1, 128)


def whole_numbers(value: object) -> TypeGuard[Sequence[int]]:
    """Whether it is a list of whole numbers; numpy's are as good."""
    return isinstance(value, (tuple, list)) and all(isinstance(number, SupportsIndex) for number in value)


def _numbers(op: str, name: str, value: object, example: tuple[int, ...]) -> tuple[int, ...]:
    """A recipe as a tuple of as many numbers as the example has."""
    if not whole_numbers(value) or len(value) != len(example):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: {name} is {value!r} but needs to be {len(example)} whole numbers; pass {example}"
        )
    return tuple(value)


def one_recipe(
    op: str,
    recipe: Sequence[int] | None,
    recipe_a: Sequence[int] | None,
    recipe_b: Sequence[int] | None,
    known: tuple[tuple[int, ...], ...],
) -> tuple[int, ...]:
    """One triple, one of `known`, out of both ways to state a recipe."""
    if (recipe_a is None) != (recipe_b is None) or (recipe is not None and recipe_a is not None):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: got recipe={recipe}, recipe_a={recipe_a}, recipe_b={recipe_b}; "
            "pass recipe, or both recipe_a and recipe_b, or none of them"
        )
    if recipe_a is not None and recipe_b is not None:
        rows_a, k_a = _numbers(op, "recipe_a", recipe_a, known[0][::2])
        rows_b, k_b = _numbers(op, "recipe_b", recipe_b, known[0][1:])
        chosen: tuple[int, ...] = (rows_a, rows_b, k_a) if k_a == k_b else (rows_a, k_a, rows_b, k_b)
    else:
        chosen = BLOCKS_OF_B if recipe is None else _numbers(op, "recipe", recipe, known[0])
    if chosen not in known:
        rows = " or ".join("row" if triple == ROWS_OF_B else "128 x 128 block" for triple in known)
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: recipe is {chosen} but barrow has {' and '.join(map(str, known))}; quantize with "
            f"a scale per row of a and 128 of K, and per {rows} of b"
        )
    return chosen


def scaled_pair(op: str, name: str, pair: Scaled) -> Scaled:
    """`pair` as elements in e4m3 and their scales in float32."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: {name} is a {type(pair).__name__} but needs to be a pair of tensors, "
            "elements and their scales"
        )
    x, scale = pair
    if x.dtype != torch.float8_e4m3fn:
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: {name} has dtype {x.dtype} but barrow multiplies float8_e4m3fn only, "
            "as DeepGEMM does on Hopper; quantize it with per_token_cast_to_fp8 or per_block_cast_to_fp8"
        )
    if scale.dtype != torch.float32:
        raise NotImplementedError(
            f"barrow.deep_gemm.{op}: the scales of {name} have dtype {scale.dtype} but Hopper takes float32; "
            "turn packed UE8M0 scales into float32 with unpack_ue8m0_from_int"
        )
    return x, scale


def transposed(op: str, name: str, pair: Scaled, ndim: int = 2) -> Scaled:
    """The K-major operand, [..., M, K] or [..., N, K], behind one that is passed as [..., K, M] or [..., K, N]."""
    x, scale = scaled_pair(op, name, pair)
    if x.ndim != ndim or scale.ndim != ndim:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: {name} has {x.ndim} dimensions and its scales {scale.ndim}, but both need {ndim}; "
            "flatten or add leading dimensions"
        )
    if x.shape[-2] > 1 and x.shape[-1] > 0 and x.stride(-2) != 1:
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: {name} has stride {x.stride(-2)} along K but needs 1: on Hopper FP8 operands are "
            "K-major, whatever the layout of the call; pass the transposed view of a K-major tensor, or quantize "
            f"into one: {name}.mT.contiguous().mT"
        )
    return x.mT, scale.mT


def refuse(op: str, **unsupported: object) -> None:
    """Raise NotImplementedError if one of the arguments was given."""
    for name, value in unsupported.items():
        if value is not None:
            raise NotImplementedError(f"barrow.deep_gemm.{op}: {name} is not supported; apply it to the result")


def one_tensor(op: str, name: str, value: object, needed: str) -> Tensor:
    """`value`, where it is a tensor."""
    if not isinstance(value, Tensor):
        raise RuntimeError(
            f"barrow.deep_gemm.{op}: {name} is a {type(value).__name__} but needs to be a tensor; pass {needed}"
        )
    return value


def check_no_grad(op: str, a: Scaled, b: Scaled, c: Tensor, d: Tensor) -> None:
    """Raise RuntimeError for what is to be differentiated, before c is written to d or d becomes a part of autograd."""
    tensors = {"a": a[0], "the scales of a": a[1], "b": b[0], "the scales of b": b[1], "c": c, "d": d}
    if torch.is_grad_enabled() and (in_dual_level() or any(tensor.requires_grad for tensor in tensors.values())):
        refuse_derivatives(f"deep_gemm.{op}", **tensors)


def check_result(op: str, d: object) -> None:
    """DeepGEMM on Blackwell can quantize its result into a pair."""
    if not isinstance(d, Tensor):
        raise NotImplementedError(f"barrow.deep_gemm.{op}: d is no tensor; quantize the result afterwards")
