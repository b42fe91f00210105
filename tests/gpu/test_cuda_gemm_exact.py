"""Every kernel of the catalogue on integers: right in every bit, and nothing written outside `out`."""

import itertools

import pytest
import torch
from edges import edge_cases, wave_cases
from exact import Case, expected, fault, operands, wrong_values
from gemm_kernels import Kernel, all_kernels, of_kind

import barrow
from barrow.bench.shapes import DEEPSEEK_NK

# Decode batches, prefill chunks, and sizes that fit no tile.
DEEPSEEK_MS = [1, 17, 64, 130, 515, 4096]


def _report(faults: list[str]) -> str:
    shown = "\n".join(faults[:12])
    return f"{len(faults)} faults\n{shown}" + ("\n..." if len(faults) > 12 else "")


def _faults(kernel: Kernel, cases: list[Case], device: torch.device) -> list[str]:
    faults = []
    for seed, case in enumerate(cases):
        x = operands(case, kernel.dtype, device, seed)
        want = expected(x)
        # With B loaded ahead, stages are filled in another order, and math threads may hold a part of B.
        for prefetch_b in (False, True):
            x.out.fill_(float("nan"))
            kernel.run(x, prefetch_b=prefetch_b)
            if found := fault(x, want):
                faults.append(f"{case}, prefetch_b={prefetch_b}: {found}")
    return faults


def test_edge_shapes(kernel: Kernel, device: torch.device) -> None:
    faults = _faults(kernel, edge_cases(kernel), device)
    assert not faults, _report(faults)


def test_more_tiles_than_sms(kernel: Kernel, device: torch.device) -> None:
    num_sms = torch.cuda.get_device_properties(device).multi_processor_count
    faults = _faults(kernel, wave_cases(kernel, num_sms), device)
    assert not faults, _report(faults)


@pytest.mark.parametrize("m", DEEPSEEK_MS)
@pytest.mark.parametrize(("n", "k"), DEEPSEEK_NK)
def test_deepseek_shapes(m: int, n: int, k: int, device: torch.device) -> None:
    """All kernels, and the operator's own choice, against one reference per shape."""
    x = operands(Case(m, n, k), torch.float32, device, seed=m)
    exact = expected(x)
    faults = []
    for dtype in (torch.float32, torch.bfloat16):
        want = exact.to(dtype)
        out = barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out_dtype=dtype)
        if found := wrong_values(out, want):
            faults.append(f"the operator's choice, {dtype}: {found}")
        for kernel, prefetch_b in itertools.product(of_kind(dtype), (False, True)):
            out.fill_(float("nan"))
            torch.ops.barrow.fp8_gemm_nt_with(x.a, x.a_scale, x.b, x.b_scale, kernel.index, prefetch_b, out=out)
            if found := wrong_values(out, want):
                faults.append(f"{kernel.name}, prefetch_b={prefetch_b}: {found}")
    assert not faults, f"M={m} N={n} K={k}: {_report(faults)}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_checks_see_a_planted_fault(dtype: torch.dtype, device: torch.device) -> None:
    """One wrong value, one unwritten value and one write outside `out` are each reported."""
    kernel = next(k for k in all_kernels() if k.dtype is dtype)
    x = operands(Case(70, 40, 200, out="aligned"), dtype, device)
    kernel.run(x)
    want = expected(x)
    assert fault(x, want) is None
    kept = x.out[69, 39].clone()
    x.out[69, 39] += 8
    assert "1 of 2800 wrong, first [69, 39]" in str(fault(x, want))
    x.out[69, 39] = float("nan")
    assert "got nan" in str(fault(x, want))
    x.out[69, 39] = kept
    x.guard[-1] = 0
    assert "wrote 1 elements outside out" in str(fault(x, want))


def test_a_kernel_of_the_other_dtype_is_refused(device: torch.device) -> None:
    kernel = next(k for k in all_kernels() if k.dtype is torch.bfloat16)
    x = operands(Case(8, 8, 128), torch.float32, device)
    with pytest.raises(RuntimeError, match="kernel"):
        kernel.run(x)


def test_a_kernel_index_out_of_range_is_refused(device: torch.device) -> None:
    x = operands(Case(8, 8, 128), torch.bfloat16, device)
    for index in (-1, len(all_kernels())):
        with pytest.raises(RuntimeError, match="kernel"):
            torch.ops.barrow.fp8_gemm_nt_with(x.a, x.a_scale, x.b, x.b_scale, index, out=x.out)
