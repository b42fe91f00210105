"""Every backend of the linear layer on a Hopper GPU, and a package of AOTInductor without Python."""

import pytest
import torch
from reference import dequantize, quantize
from torch import Tensor, nn

from barrow import Fp8Linear
from barrow.linear import Case, backends, here

# M around cuBLASLt's multiple of 4, and what a decode batch and a prefill look like.
MS = (0, 1, 3, 4, 5, 64, 129)
# N and K that every backend takes, and odd ones.
NK = ((2112, 7168), (576, 512), (4096, 1536), (100, 130), (64, 1), (1, 200))


def assert_close(y: Tensor, x: Tensor, layer: Fp8Linear, *, quantized: bool) -> None:
    """Bound the error of every row by the size that sums of its products have (judge.py): a fiftieth.

    bfloat16's rounding of results and of dequantised weights takes a quarter, what tensor cores cut a twentieth.
    """
    weight = dequantize(layer.weight, layer.weight_scale_inv, 128)
    a = dequantize(*quantize(x, 1, layer.use_ue8m0), 1) if quantized else x.double()
    wanted, size = a @ weight.T, (a.square() @ weight.square().T).sqrt()
    assert y.shape == wanted.shape
    assert not y.isnan().any()
    error, limit = (y.double() - wanted).norm(dim=1), 0.02 * size.norm(dim=1)
    assert (error <= limit).all(), (error / limit).max()


@pytest.mark.parametrize("name", ["barrow", "cublaslt", "triton", "torch"])
@pytest.mark.parametrize(("n", "k"), NK)
@pytest.mark.parametrize("use_ue8m0", [False, True])
def test_every_backend(name: str, n: int, k: int, use_ue8m0: bool, device: torch.device) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(k, n, bias=False, device=device, dtype=torch.bfloat16)
    layer = Fp8Linear.from_linear(linear, use_ue8m0=use_ue8m0, backends=[name])
    case = Case(n=n, k=k, target=here(device), use_ue8m0=use_ue8m0)
    if reason := backends.registered()[name].why_not(case):
        with pytest.raises(RuntimeError, match="no backend can run"):
            layer(torch.zeros(1, k, device=device, dtype=torch.bfloat16))
        # The others take every shape.
        assert name == "cublaslt", reason
        assert n % 16 or k % 512, reason
        return
    for m in MS:
        x = torch.randn(m, k, device=device, dtype=torch.bfloat16)
        assert_close(layer(x), x, layer, quantized=name != "torch")


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_triton_kernel(quantized: bool, dtype: torch.dtype, device: torch.device) -> None:
    from barrow.linear import triton_kernel  # noqa: F401  (registers the operator)

    torch.manual_seed(0)
    for n, k in NK:
        layer = Fp8Linear.from_linear(nn.Linear(k, n, bias=False, device=device))
        for m in MS:
            x = torch.randn(m, k, device=device).to(dtype)
            y = torch.ops.barrow.triton_linear(x, layer.weight, layer.weight_scale_inv, False, quantized)
            assert y.dtype == dtype
            assert_close(y, x, layer, quantized=quantized)


def test_nan_and_infinity_show_through_the_triton_kernel(device: torch.device) -> None:
    layer = Fp8Linear.from_linear(nn.Linear(256, 64, bias=False, device=device), backends=["triton"])
    x = torch.ones(3, 256, device=device, dtype=torch.bfloat16)
    x[0, 3], x[1, 200] = float("inf"), float("nan")
    assert layer(x).isnan().all(1).tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["barrow", "cublaslt", "triton", "torch"])
def test_every_backend_compiles(name: str, device: torch.device) -> None:
    torch.compiler.reset()
    layer = Fp8Linear.from_linear(nn.Linear(512, 320, device=device, dtype=torch.bfloat16), backends=[name])
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    with torch.no_grad():
        for m in (5, 8, 33):
            x = torch.randn(m, 512, device=device, dtype=torch.bfloat16)
            torch.testing.assert_close(compiled(x), layer(x), rtol=0.02, atol=0.02)
