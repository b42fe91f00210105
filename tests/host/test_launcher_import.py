"""Importing the launcher: what it registers in torch, what it says to an old torch, and that its calls leak nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import barrow  # noqa: F401  (registers the operators)

SCHEMAS = [
    "barrow::fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, bool float32_out, "
    "bool prefetch_b=False) -> Tensor",
    "barrow::fp8_gemm_nt.out(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, bool prefetch_b=False, "
    "bool accumulate=False, *, Tensor(a!) out) -> ()",
    "barrow::fp8_gemm_nt_with(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, int kernel, "
    "bool prefetch_b=False, bool accumulate=False, *, Tensor(a!) out) -> ()",
    "barrow::m_grouped_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, int kind, "
    "int alignment, SymInt expected_m, bool prefetch_b=False) -> Tensor",
    "barrow::m_grouped_fp8_gemm_nt.out(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, int kind, "
    "int alignment, SymInt expected_m, bool prefetch_b=False, *, Tensor(a!) out) -> ()",
    "barrow::per_token_group_quant_fp8(Tensor x, bool use_ue8m0) -> (Tensor, Tensor)",
    "barrow::per_block_quant_fp8(Tensor x, bool use_ue8m0) -> (Tensor, Tensor)",
    "barrow::moe_sort(Tensor topk_ids, int num_experts, SymInt? max_m) -> (Tensor, Tensor)",
    "barrow::moe_permute_quant(Tensor x, Tensor positions, SymInt rows, bool use_ue8m0=False) -> (Tensor, Tensor)",
    "barrow::silu_mul_quant(Tensor x, Tensor? groups, bool use_ue8m0=False) -> (Tensor, Tensor)",
    "barrow::moe_unpermute(Tensor y, Tensor positions, Tensor weights) -> Tensor",
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_operators_have_the_documented_schema_and_a_cuda_kernel(schema: str) -> None:
    name, _, overload = schema.split("(")[0].removeprefix("barrow::").partition(".")
    operator = getattr(getattr(torch.ops.barrow, name), overload or "default")
    assert str(operator._schema) == schema
    assert torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), "CUDA")


@pytest.mark.parametrize("version", ["2.9.1", "1.13.0", "2.9.0+cu128"])
def test_a_torch_too_old_is_named(version: str) -> None:
    code = f"import torch\ntorch.__version__ = '{version}'\nimport barrow.launcher"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == f"ImportError: barrow needs torch 2.10 or newer but found {version}"


def test_importing_barrow_imports_neither_the_compiler_nor_an_optional_package() -> None:
    code = (
        "import sys, torch\nbefore = set(sys.modules)\nimport barrow\n"
        "names = ('torch._dynamo', 'torch.distributed.tensor', 'triton', 'safetensors', 'transformers', 'numpy')\n"
        "print([name for name in names if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def grown_kib(call: Callable[[], object], times: int) -> int:
    """KiB by which the resident memory of this process grows over the calls, once the first ones have warmed up."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4

    for _ in range(1000):
        call()
    before = resident()
    for _ in range(times):
        call()
    return resident() - before


def test_calls_leak_nothing() -> None:
    a, scale = torch.zeros(3, 4, dtype=torch.uint8).view(torch.float8_e4m3fn), torch.ones(3, 1)
    out = torch.empty(3, 3, dtype=torch.bfloat16)
    check = torch.ops.barrow.check_fp8_gemm_nt.default

    def refused() -> None:
        with pytest.raises(RuntimeError):
            check(a, scale, a, scale, out.half())

    ids, sort = torch.zeros(3, 2, dtype=torch.int32), torch.ops.barrow.check_moe_sort.default
    # The smallest piece of heap, 32 bytes, lost a call would be 1,560 and 625 KiB.
    assert grown_kib(lambda: check(a, scale, a, scale[:1], out), 50_000) < 128
    assert grown_kib(lambda: sort(ids, 5, 7), 50_000) < 128
    assert grown_kib(refused, 20_000) < 128
