"""Packages of AOTInductor in a process without Python: a C++ program, libtorch, barrow's extension and the package."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from cxx import compiler
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.cpp_extension import include_paths, library_paths

from barrow import Fp8Experts, Fp8Linear, launcher

RUNNER = Path(__file__).with_name("aoti_runner.cpp")


class Block(nn.Module):
    """Two FP8 layers, the first on bfloat16 and the second on float32: both dtypes that the GEMM writes.

    What lies between them is rounded to bfloat16 in one place only, by the GEMM. Inductor keeps float32 where eager
    torch rounds after every operator, which would move inputs of the second layer over to the next e4m3 value.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.up = Fp8Linear.from_linear(nn.Linear(features, hidden, bias=False, dtype=torch.bfloat16))
        self.down = Fp8Linear.from_linear(nn.Linear(hidden, features))

    def forward(self, x: Tensor) -> Tensor:
        """x [M, features] in bfloat16; the result is float32."""
        result: Tensor = self.down(functional.silu(self.up(x).float()))
        return result


class Mixture(nn.Module):
    """A router and FP8 experts, of which each token has two."""

    def __init__(self, features: int, hidden: int, experts: int) -> None:
        super().__init__()
        self.router = nn.Linear(features, experts, bias=False)
        gate, up = torch.randn(2, experts, hidden, features) / features**0.5
        down = torch.randn(experts, features, hidden) / hidden**0.5
        self.experts = Fp8Experts.from_weights(gate, up, down)

    def forward(self, x: Tensor) -> Tensor:
        """x [M, features] in bfloat16; the result is float32."""
        weights, ids = self.router(x.float()).softmax(-1).topk(2)
        result: Tensor = self.experts(x, ids, weights)
        return result.float()


def build_runner(target: Path, device_type: str, *more_sources: Path) -> None:
    """Compile the program that runs a package against the installed torch.

    Raises:
        RuntimeError: without a C++ compiler, which AOTInductor needs as well.
    """
    if (found := compiler()) is None:
        raise RuntimeError("a package of AOTInductor needs a C++ compiler; install g++ or clang++")
    libraries = library_paths(device_type=device_type)[0]
    parts = ["torch", "torch_cpu", "c10", *(["torch_cuda", "c10_cuda"] if device_type == "cuda" else [])]
    command = [found, "-std=c++20", str(RUNNER), *map(str, more_sources), "-o", str(target)]
    command += [f"-isystem{path}" for path in include_paths()]
    command += [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-Wl,--no-as-needed", *(f"-l{part}" for part in parts)]
    subprocess.run([*command, "-ldl"], check=True)


def package(model: nn.Module, x: Tensor, path: Path) -> str:
    """Export `model` with dynamic M of its input x [M, K] and compile it; return where the package is."""
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("m", min=2, max=4096)},))
    result: str = torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    return result


def run(
    runner: Path, package: str, xs: Sequence[Tensor], folder: Path, environment: Mapping[str, str] | None = None
) -> list[Tensor]:
    """Run the package of a model on bfloat16 inputs [M, K], in one process; the results are float32 [M, N]."""
    (folder / "x").write_bytes(b"".join(x.cpu().view(torch.uint8).numpy().tobytes() for x in xs))
    rows = [len(x) for x in xs]
    arguments = [str(launcher._C.__file__), package, str(folder / "x"), str(folder / "y"), str(xs[0].device)]
    done = subprocess.run(
        [str(runner), *arguments, str(xs[0].shape[1]), *map(str, rows)],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    y = torch.frombuffer(bytearray((folder / "y").read_bytes()), dtype=torch.float32)
    return list(y.view(sum(rows), -1).to(xs[0].device).split(rows))


def assert_close(y: Tensor, wanted: Tensor) -> None:
    """Compare the results of a package with those of the model called from Python.

    Sums in another order and another exponential move few values over to the next bfloat16 or e4m3 one. In float32 nine
    rows of ten agree; what is left is an input of the second layer that is off by an eighth, among hundreds.
    """
    assert y.shape == wanted.shape
    error = (y - wanted).norm(dim=1) / wanted.norm(dim=1)
    assert error.quantile(0.9) <= 1e-5, error
    assert error.max() <= 0.01, error.max()
