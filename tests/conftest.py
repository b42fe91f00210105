"""What all tests share: the import path, one thread for torch, the settings of hypothesis."""

import sys
from pathlib import Path

import torch
from hypothesis import HealthCheck, settings

# Makes barrow_build importable, after everything installed: `barrow` is the wheel's and never the source tree's.
sys.path.append(str(Path(__file__).parents[1] / "src"))

# The matrices are small, and threads that wait for each other take 100 times longer on a busy machine.
torch.set_num_threads(1)

# The same examples on every run, so that a failure in CI is a failure at the desk; the first example of a test may
# compile or fill caches, so there is no deadline.
settings.register_profile(
    "barrow", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("barrow")
