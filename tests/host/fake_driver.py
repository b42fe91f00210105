"""Builds the fake libcuda of fake_gpu/, and tells the environment of a process that shall have it for its driver."""

import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "fake_gpu"


def build(compiler: str, folder: Path) -> None:
    """Put libcuda.so.1 and torch_cuda.so, which gives CPU tensors the index of a GPU, into `folder`."""
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    for source, target in (("libcuda.cpp", "libcuda.so.1"), ("torch_cuda.cpp", "torch_cuda.so")):
        subprocess.run([compiler, *flags, "-o", str(folder / target), str(SOURCES / source)], check=True)


def environment(folder: Path) -> dict[str, str]:
    """Variables that make the libraries in `folder` those of a process."""
    return {"LD_LIBRARY_PATH": str(folder), "LD_PRELOAD": str(folder / "torch_cuda.so")}
