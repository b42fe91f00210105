"""The operators around a grouped GEMM inside torch: opcheck, meta tensors, torch.compile with dynamic T, autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad

import barrow

OPS = torch.ops.barrow
EXPERTS = 4


def routing(tokens: int, top_k: int) -> Tensor:
    """Experts of tokens, each token's differing; all rows of experts are in use where tokens are many."""
    return (torch.arange(tokens)[:, None] + torch.arange(top_k)) % EXPERTS


@pytest.mark.parametrize(("tokens", "top_k"), [(9, 3), (1, 1), (0, 3), (3, 0)])
@pytest.mark.parametrize("max_m", [None, 1, 7])
def test_opcheck_of_sort(tokens: int, top_k: int, max_m: int | None) -> None:
    for dtype in (torch.int32, torch.int64):
        reference.opcheck(OPS.moe_sort.default, (routing(tokens, top_k).to(dtype), EXPERTS, max_m))


# Rows that stay uninitialized differ from call to call, so these cases have none.
@pytest.mark.parametrize(("tokens", "top_k", "k"), [(9, 3, 300), (1, 1, 1), (0, 3, 128), (3, 0, 128), (5, 2, 0)])
def test_opcheck_of_permute(tokens: int, top_k: int, k: int) -> None:
    _, positions = barrow.moe_sort(routing(tokens, top_k), EXPERTS)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        x = torch.randn(tokens, k).to(dtype)
        reference.opcheck(OPS.moe_permute_quant.default, (x, positions, tokens * top_k))


@pytest.mark.parametrize("shape", [(5, 300), (4, 2), (0, 8), (3, 0), (2, 5, 300), (0, 3, 4), (3, 1, 256)])
def test_opcheck_of_silu(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape).bfloat16()
    reference.opcheck(OPS.silu_mul_quant.default, (x, None))
    groups = torch.full(shape[:1] if len(shape) == 3 else (3,), shape[-2], dtype=torch.int32)
    reference.opcheck(OPS.silu_mul_quant.default, (x, groups))


@pytest.mark.parametrize(("tokens", "top_k", "n"), [(9, 3, 300), (1, 1, 1), (0, 3, 8), (3, 0, 8), (5, 2, 0)])
def test_opcheck_of_unpermute(tokens: int, top_k: int, n: int) -> None:
    _, positions = barrow.moe_sort(routing(tokens, top_k), EXPERTS)
    y = torch.randn(tokens * top_k, n).bfloat16()
    reference.opcheck(OPS.moe_unpermute.default, (y, positions, torch.rand(tokens, top_k)))


def chain(x: Tensor, ids: Tensor, weights: Tensor) -> list[Tensor]:
    """All four, contiguous and in slabs, without the GEMMs."""
    tokens, k = x.shape
    groups, positions = barrow.moe_sort(ids, EXPERTS)
    q, scale = barrow.moe_permute_quant(x, positions, ids.shape[0] * ids.shape[1])
    hidden, hidden_scale = barrow.silu_mul_quant(x.bfloat16(), groups.clamp(min=tokens))
    counts, places = barrow.moe_sort(ids, EXPERTS, max_m=tokens)
    slabs = x.bfloat16().expand(EXPERTS, tokens, k)
    slab_q, slab_scale = barrow.silu_mul_quant(slabs, counts.clamp(min=tokens))
    total = barrow.moe_unpermute(slabs.reshape(EXPERTS * tokens, k), places, weights)
    return [groups, positions, q, scale, hidden, hidden_scale, counts, places, slab_q, slab_scale, total]


@pytest.mark.parametrize(("tokens", "top_k", "k"), [(9, 3, 300), (1, 1, 2), (0, 3, 8), (3, 0, 8), (5, 2, 0)])
def test_meta_tensors_have_the_shapes_dtypes_and_strides_of_real_ones(tokens: int, top_k: int, k: int) -> None:
    arguments = torch.randn(tokens, k), routing(tokens, top_k), torch.rand(tokens, top_k)
    metas = chain(*(tensor.to("meta") for tensor in arguments))
    for real, meta in zip(chain(*arguments), metas, strict=True):
        assert meta.device.type == "meta"
        assert (meta.shape, meta.dtype, meta.stride()) == (real.shape, real.dtype, real.stride())


def layer(x: Tensor, ids: Tensor, weights: Tensor, up: tuple[Tensor, Tensor], down: tuple[Tensor, Tensor]) -> Tensor:
    """A mixture whose experts share their weights, so that one GEMM serves for all."""
    groups, positions = barrow.moe_sort(ids, EXPERTS)
    q, scale = barrow.moe_permute_quant(x * 2, positions, ids.shape[0] * ids.shape[1])
    q, scale = barrow.silu_mul_quant(barrow.fp8_gemm_nt(q, scale, *up), groups)
    return barrow.moe_unpermute(barrow.fp8_gemm_nt(q, scale, *down), positions, weights).relu()


@pytest.mark.parametrize("backend", ["inductor", "aot_eager"])
def test_compile_fullgraph_with_dynamic_tokens_compiles_once(backend: str) -> None:
    torch.compiler.reset()
    counter: Any = CompileCounterWithBackend(backend)
    compiled = torch.compile(layer, backend=counter, fullgraph=True, dynamic=True)
    up, down = (barrow.per_block_quant_fp8(torch.randn(shape)) for shape in ((400, 300), (300, 200)))
    for tokens in (5, 4, 8, 131, 2):
        arguments = torch.randn(tokens, 300).bfloat16(), routing(tokens, 3), torch.rand(tokens, 3), up, down
        assert reference.same_bits(compiled(*arguments), layer(*arguments))
    assert counter.frame_count == 1


def test_max_m_may_be_symbolic() -> None:
    def by_slab(ids: Tensor) -> tuple[Tensor, Tensor]:
        return barrow.moe_sort(ids, EXPERTS, max_m=ids.shape[0] // 2)

    compiled = torch.compile(by_slab, backend="aot_eager", fullgraph=True, dynamic=True)
    for tokens in (6, 9, 20):
        for got, wanted in zip(compiled(routing(tokens, 3)), by_slab(routing(tokens, 3)), strict=True):
            assert torch.equal(got, wanted)


POSITIONS = torch.zeros((3, 2), dtype=torch.int32)

ON_META: list[tuple[Callable[..., Any], dict[str, Any], str, str]] = [
    (barrow.moe_permute_quant, {"x": torch.ones(3, 4), "positions": POSITIONS, "rows": 6}, "positions", "x"),
    (barrow.silu_mul_quant, {"x": torch.ones(3, 4).bfloat16(), "groups": POSITIONS[0]}, "groups", "x"),
    (
        barrow.moe_unpermute,
        {"y": torch.ones(6, 4).bfloat16(), "positions": POSITIONS, "weights": torch.ones(3, 2)},
        "weights",
        "y",
    ),
]


@pytest.mark.parametrize(("op", "arguments", "name", "first"), ON_META)
def test_one_meta_tensor_among_real_ones(
    op: Callable[..., Any], arguments: dict[str, Any], name: str, first: str
) -> None:
    with pytest.raises(RuntimeError, match=f"{name} is on meta but {first} is on cpu; pass all tensors on one device"):
        op(**{**arguments, name: arguments[name].to("meta")})


WITH_GRAD = [
    (op, arguments, name)
    for op, arguments, *_ in ON_META
    for name, tensor in arguments.items()
    if isinstance(tensor, Tensor) and tensor.is_floating_point()
]


@pytest.mark.parametrize(("op", "arguments", "name"), WITH_GRAD)
def test_what_requires_grad_is_refused(op: Callable[..., Any], arguments: dict[str, Any], name: str) -> None:
    arguments = {**arguments, name: arguments[name].clone().requires_grad_()}
    with pytest.raises(RuntimeError, match=rf"barrow.{op.__name__}: {name} requires grad.*torch.no_grad\(\)"):
        op(**arguments)
    with torch.no_grad():
        op(**arguments)


@pytest.mark.parametrize(("op", "arguments", "name"), WITH_GRAD)
def test_what_carries_a_tangent_is_refused(op: Callable[..., Any], arguments: dict[str, Any], name: str) -> None:
    with forward_ad.dual_level():
        op(**arguments)
        dual = forward_ad.make_dual(arguments[name], torch.ones_like(arguments[name]))
        with pytest.raises(RuntimeError, match=rf"barrow.{op.__name__}: {name} carries a tangent.*torch.no_grad\(\)"):
            op(**{**arguments, name: dual})
