"""Every backend of the linear layer on a Hopper GPU, and a package of AOTInductor without Python."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from reference import dequantize, quantize
from torch import Tensor, nn
from torch.utils.cpp_extension import include_paths, library_paths

from barrow import Fp8Linear, launcher, quantize_
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


@torch.no_grad()
def test_a_package_runs_without_python(tmp_path: Path, device: torch.device) -> None:
    """In a process that has no interpreter: a C++ program, libtorch, barrow's extension and the package."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(512, 2112), nn.SiLU(), nn.Linear(2112, 512)).to(device, torch.bfloat16).eval()
    quantize_(model)
    x = torch.randn(40, 512, device=device, dtype=torch.bfloat16)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("m", min=2, max=4096)},))
    package = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "block.pt2"))
    (libraries, *_), runner = library_paths(device_type="cuda"), tmp_path / "runner"
    command = [shutil.which("g++") or "g++", "-std=c++20", str(Path(__file__).with_name("aoti_runner.cpp"))]
    command += ["-o", str(runner), "-rdynamic", *(f"-I{path}" for path in include_paths())]
    command += [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-Wl,--no-as-needed"]
    command += ["-ltorch", "-ltorch_cpu", "-ltorch_cuda", "-lc10", "-lc10_cuda", "-ldl"]
    subprocess.run(command, check=True)
    for m in (40, 3, 1000):
        x = torch.randn(m, 512, device=device, dtype=torch.bfloat16)
        (tmp_path / "x").write_bytes(x.cpu().view(torch.uint8).numpy().tobytes())
        extension = str(launcher._C.__file__)
        arguments = [extension, package, str(tmp_path / "x"), str(tmp_path / "y"), str(device), str(m), "512"]
        done = subprocess.run([str(runner), *arguments], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        y = torch.frombuffer(bytearray((tmp_path / "y").read_bytes()), dtype=torch.bfloat16).view(m, 512)
        torch.testing.assert_close(y.to(device), model(x), rtol=0.02, atol=0.02)
