"""What every GPU test needs: a Hopper GPU, or a failure that says so. Skipped tests would look like passed ones."""

import pytest
import torch
from gemm_kernels import Kernel, all_kernels

HOPPER = (9, 0)


@pytest.fixture(scope="session", autouse=True)
def device() -> torch.device:
    """The Hopper GPU under test."""
    if not torch.cuda.is_available():
        pytest.fail(
            f"tests/gpu needs an NVIDIA Hopper GPU, but torch {torch.__version__} sees none; "
            "run `make test` on machines without one",
            pytrace=False,
        )
    if (capability := torch.cuda.get_device_capability()) != HOPPER:
        pytest.fail(
            f"tests/gpu needs compute capability 9.0 (H100, H200), but {torch.cuda.get_device_name()} has "
            f"{'.'.join(map(str, capability))}",
            pytrace=False,
        )
    return torch.device("cuda", torch.cuda.current_device())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `kernel` runs once for every GEMM kernel of the catalogue."""
    if "kernel" in metafunc.fixturenames:
        kernels: list[Kernel] = all_kernels()
        if not kernels:
            raise pytest.UsageError("this barrow was built without kernels (BARROW_TARGET_DEVICE=cpu)")
        metafunc.parametrize("kernel", kernels, ids=[k.name for k in kernels])
