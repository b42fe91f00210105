"""The operators inside torch: opcheck, meta tensors, torch.compile with dynamic M, autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
from compiles_once import check_compiles_once
from torch import Tensor
from torch.autograd import forward_ad

import barrow

OPS = torch.ops.barrow
NAMES = ("a", "a_scale", "b", "b_scale", "out")
SHAPES = [(33, 129, 300), (1, 1, 1), (4, 128, 128), (0, 5, 7), (5, 0, 7), (5, 6, 0)]


@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
@pytest.mark.parametrize("out_dtype", [torch.bfloat16, torch.float32], ids=str)
def test_opcheck_of_the_gemm(m: int, n: int, k: int, out_dtype: torch.dtype) -> None:
    p = reference.random_problem(m, n, k)
    reference.opcheck(OPS.fp8_gemm_nt.default, (*p.args, out_dtype == torch.float32))
    reference.opcheck(OPS.fp8_gemm_nt.out, p.args, {"out": torch.zeros((m, n), dtype=out_dtype)})


@pytest.mark.parametrize(("rows", "k"), [(33, 300), (1, 1), (129, 128), (0, 7), (7, 0)])
@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_opcheck_of_the_quantizers(rows: int, k: int, use_ue8m0: bool, dtype: torch.dtype) -> None:
    x = torch.randn(rows, k).to(dtype)
    reference.opcheck(OPS.per_token_group_quant_fp8.default, (x, use_ue8m0))
    reference.opcheck(OPS.per_block_quant_fp8.default, (x, use_ue8m0))


@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
def test_meta_tensors_have_the_shapes_dtypes_and_strides_of_real_ones(m: int, n: int, k: int) -> None:
    def run(x: Tensor, w: Tensor) -> list[Tensor]:
        q, scale = barrow.per_token_group_quant_fp8(x)
        wq, w_scale = barrow.per_block_quant_fp8(w)
        product = barrow.fp8_gemm_nt(q, scale, wq, w_scale)
        out = barrow.fp8_gemm_nt(q, scale, wq, w_scale, out=x.new_empty((m, n), dtype=torch.float32))
        return [q, scale, wq, w_scale, product, out]

    x, w = torch.randn(m, k), torch.randn(n, k)
    for real, meta in zip(run(x, w), run(x.to("meta"), w.to("meta")), strict=True):
        assert meta.device.type == "meta"
        assert (meta.shape, meta.dtype, meta.stride()) == (real.shape, real.dtype, real.stride())


@pytest.mark.parametrize("quantize", [barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_is_quantized_has_two_dimensions(quantize: Callable[[Tensor], object], device: str) -> None:
    with pytest.raises(RuntimeError, match=r"x has 3 dimensions but needs 2, rows and K; flatten .* reshape\(-1, K\)"):
        quantize(torch.zeros(2, 3, 4, device=device))


@pytest.mark.parametrize("name", ["a_scale", "b", "b_scale", "out"])
def test_one_meta_tensor_among_real_ones(name: str) -> None:
    p = reference.random_problem(3, 4, 5)
    arguments: dict[str, Any] = dict(zip(NAMES, (*p.args, torch.empty(3, 4)), strict=True))
    arguments[name] = arguments[name].to("meta")
    with pytest.raises(RuntimeError, match=f"{name} is on meta but a is on cpu; pass all tensors on one device"):
        barrow.fp8_gemm_nt(**arguments)


def quantized_product(x: Tensor, w: Tensor, w_scale: Tensor) -> Tensor:
    q, scale = barrow.per_token_group_quant_fp8(x * 2)
    return barrow.fp8_gemm_nt(q, scale, w, w_scale).relu()


def product_into(x: Tensor, w: Tensor, w_scale: Tensor) -> Tensor:
    q, scale = barrow.per_token_group_quant_fp8(x)
    out = torch.ones((x.shape[0], w.shape[0]), dtype=torch.float32)
    barrow.fp8_gemm_nt(q, scale, w, w_scale, out=out)
    return out + 1


@pytest.mark.parametrize("function", [quantized_product, product_into])
@pytest.mark.parametrize("backend", ["inductor", "aot_eager"])
def test_compile_fullgraph_with_dynamic_m_compiles_once(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], backend: str
) -> None:
    w, w_scale = barrow.per_block_quant_fp8(torch.randn(200, 300))
    compiled = check_compiles_once(function, backend, 300, w, w_scale)
    for m in (1, 0):
        x = torch.randn(m, 300)
        assert reference.same_bits(compiled(x, w, w_scale), function(x, w, w_scale))


@pytest.mark.parametrize("name", ["a_scale", "b_scale", "out"])
def test_the_gemm_refuses_what_requires_grad(name: str) -> None:
    p = reference.random_problem(3, 4, 5)
    arguments: dict[str, Any] = dict(zip(NAMES, (*p.args, torch.empty(3, 4)), strict=True))
    arguments[name].requires_grad_()
    with pytest.raises(RuntimeError, match=rf"barrow.fp8_gemm_nt: {name} requires grad.*torch.no_grad\(\)"):
        barrow.fp8_gemm_nt(**arguments)
    with torch.no_grad():
        reference.judge(barrow.fp8_gemm_nt(**arguments), p)


@pytest.mark.parametrize("name", ["a_scale", "b_scale", "out"])
def test_the_gemm_refuses_what_carries_a_tangent(name: str) -> None:
    p = reference.random_problem(3, 4, 5)
    arguments: dict[str, Any] = dict(zip(NAMES, (*p.args, torch.empty(3, 4)), strict=True))
    with forward_ad.dual_level():
        reference.judge(barrow.fp8_gemm_nt(**arguments), p)  # nobody asks for a derivative of these
        arguments[name] = forward_ad.make_dual(arguments[name], torch.ones_like(arguments[name]))
        with pytest.raises(RuntimeError, match=rf"barrow.fp8_gemm_nt: {name} carries a tangent.*torch.no_grad\(\)"):
            barrow.fp8_gemm_nt(**arguments)


@pytest.mark.parametrize("derivative", [torch.func.jacfwd, torch.func.hessian, torch.func.jacrev, torch.func.grad])
@pytest.mark.parametrize("layer", [False, True])
def test_what_torch_func_differentiates_is_refused(derivative: Callable[..., Any], layer: bool) -> None:
    linear = barrow.Fp8Linear.from_linear(torch.nn.Linear(8, 8))

    def of(x: Tensor) -> Tensor:
        return linear(x).square().sum() if layer else barrow.per_token_group_quant_fp8(x)[1].sum()

    with pytest.raises(RuntimeError, match=r"barrow\.\w+: x (requires grad|carries a tangent)"):
        derivative(of)(torch.randn(2, 8))


@pytest.mark.parametrize("name", ["per_token_group_quant_fp8", "per_block_quant_fp8"])
def test_the_quantizers_refuse_what_requires_grad(name: str) -> None:
    quantizer = getattr(barrow, name)
    x = torch.randn(3, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match=rf"barrow.{name}: x requires grad.*detached"):
        quantizer(x)
    with torch.inference_mode():
        q, _ = quantizer(x)
    assert reference.same_bits(q, quantizer(x.detach())[0])
