"""What all tests share: the import path, one thread for torch, the settings of hypothesis, the fake GPU."""

import sys
from pathlib import Path
from typing import Any

import fake_driver
import pytest
import torch
from cxx import compiler
from hypothesis import HealthCheck, settings

# Makes barrow_build and the benchmarks importable, after everything installed: `barrow` is the wheel's and never the
# source tree's.
sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("src", "benchmarks")]

# The matrices are small, and threads that wait for each other take 100 times longer on a busy machine.
torch.set_num_threads(1)

# The same examples on every run, so that a failure in CI is a failure at the desk; the first example of a test may
# compile or fill caches, so there is no deadline.
settings.register_profile(
    "barrow", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("barrow")


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the fake libcuda.so.1 and the library to preload."""
    if (found := compiler()) is None:
        pytest.skip("compiling the fake driver needs a C++ compiler")
    folder = tmp_path_factory.mktemp("fake")
    fake_driver.build(found, folder)
    return folder


@pytest.fixture
def on_fake_gpu(fake: Path, tmp_path: Path) -> fake_driver.Run:
    """`fake_driver.run` on that folder."""

    def run(code: str, **settings: Any) -> tuple[Any, fake_driver.Log]:
        return fake_driver.run(fake, tmp_path / "log", code, **settings)

    return run
