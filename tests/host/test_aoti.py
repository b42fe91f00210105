"""FP8 layers and experts exported by torch.export and compiled by AOTInductor, run by a C++ program without Python.

barrow's operators on CPU tensors are Python, so the program hands them to what serves a GPU: the launcher, above the
fake driver of fake_gpu/. tests/gpu runs the same program with a real one.
"""

from pathlib import Path

import aoti
import fake_driver
import pytest
import torch

# What each model launches, and how many times.
KERNELS = {
    "layers": {
        "per_token_group_quant_bf16": 1,
        "fp8_gemm_nt_bf16": 1,
        "per_token_group_quant_f32": 1,
        "fp8_gemm_nt_f32": 1,
    },
    "experts": {
        "moe_sort_i64": 1,
        "moe_permute_quant_bf16": 1,
        "fp8_gemm_nt_bf16": 2,
        "silu_mul_quant": 1,
        "moe_unpermute": 1,
    },
}


@pytest.fixture(scope="module")
def runner(fake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program; it needs a C++ compiler as `fake` does, which skips without one."""
    target = tmp_path_factory.mktemp("runner") / "runner"
    aoti.build_runner(target, "cpu", fake_driver.SOURCES / "cpu_to_gpu.cpp")
    return target


# torch's own export, which the warning does not name as its origin.
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize("name", KERNELS)
@torch.no_grad()
def test_a_package_runs_without_python(name: str, runner: Path, fake: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    # Widths that cut scale blocks, and rows that are no multiple of 16 bytes and so copied by a kernel of their own.
    model = aoti.Block(192, 324) if name == "layers" else aoti.Mixture(192, 324, 5)
    xs = [torch.randn(m, 192, dtype=torch.bfloat16) for m in (40, 3, 130)]

    package = aoti.package(model, xs[0], tmp_path / "model.pt2")
    log = tmp_path / "log"
    environment = fake_driver.environment(fake) | {"FAKE_CUDA_LOG": str(log)}
    ys = aoti.run(runner, package, xs, tmp_path, environment)
    for x, y in zip(xs, ys, strict=True):
        aoti.assert_close(y, model(x))
    for kernel, times in KERNELS[name].items():
        assert log.read_text().count(f'"kernel": "{kernel}') == times * len(xs)
