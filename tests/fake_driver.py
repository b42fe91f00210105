"""The fake libcuda of fake_gpu/: builds it, and runs code in a process that has it for its driver."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "host" / "fake_gpu"
# Of its GPUs, an H100's.
SMS = 132
GB_S = 3352


def build(compiler: str, folder: Path) -> None:
    """Put libcuda.so.1 and torch_cuda.so, which gives CPU tensors the index of a GPU, into `folder`."""
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    for source, target in (("libcuda.cpp", "libcuda.so.1"), ("torch_cuda.cpp", "torch_cuda.so")):
        subprocess.run([compiler, *flags, "-o", str(folder / target), str(SOURCES / source)], check=True)


def environment(folder: Path) -> dict[str, str]:
    """Variables that make the libraries in `folder` those of a process."""
    return {"LD_LIBRARY_PATH": str(folder), "LD_PRELOAD": str(folder / "torch_cuda.so")}


# Runs in a process of its own, where the fake is the driver. CPU tensors stand for the fake GPU's.
PREAMBLE = """
import json, threading, torch, barrow
from barrow import per_block_quant_fp8, per_token_group_quant_fp8
FP8 = torch.float8_e4m3fn
CUDA = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
ops = torch.ops.barrow
def on_gpu(op, *args, **kwargs):
    return op.redispatch(CUDA, *args, **kwargs)
def gemm(a, a_scale, b, b_scale, dtype=torch.bfloat16, prefetch_b=False):
    return on_gpu(ops.fp8_gemm_nt.default, a, a_scale, b, b_scale, dtype == torch.float32, prefetch_b)
def problem(m, n, k, seed=0):
    torch.manual_seed(seed)
    return [*per_token_group_quant_fp8(torch.randn(m, k)), *per_block_quant_fp8(torch.randn(n, k))]
def problem_rows(m, n, k, seed=0):
    torch.manual_seed(seed)
    return [t for rows in (m, n) for t in per_token_group_quant_fp8(torch.randn(rows, k))]
def wrong(got, args, dtype=torch.bfloat16):
    want = ops.fp8_gemm_nt.default(*args, True)
    error = (got.float() - want).abs().max() / want.abs().max().clamp_min(1e-30)
    return bool(error > (2**-8 if dtype == torch.bfloat16 else 1e-5)) if want.numel() else got.shape != want.shape
def caught(call):
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""

Log = list[dict[str, Any]]
Run = Callable[..., tuple[Any, Log]]


def gemms(log: Log) -> Log:
    """The launches of GEMM kernels."""
    return [line for line in log if line.get("kernel", "").startswith("fp8_gemm_nt")]


def copies(log: Log) -> list[int]:
    """Rows of every copy that makes an operand addressable."""
    return [line["rows"] for line in log if line.get("kernel", "").startswith("pad_rows")]


def run(folder: Path, log: Path, code: str, **settings: Any) -> tuple[Any, Log]:
    """Run code that leaves a value in `result`; return it, and what the fake GPU in `folder` was told."""
    log.write_text("")
    variables = {"FAKE_CUDA_LOG": str(log), **{name: str(value) for name, value in settings.items()}}
    done = subprocess.run(
        [sys.executable, "-c", f"{PREAMBLE}\n{code}\nprint(json.dumps(result))"],
        env={**os.environ, **environment(folder), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), [json.loads(line) for line in log.read_text().splitlines()]
