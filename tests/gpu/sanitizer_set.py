"""A short run of every kernel of the wheel, to be watched by compute-sanitizer.

compute-sanitizer --tool memcheck python tests/gpu/sanitizer_set.py

Inputs are made on the CPU and copied, so that little but barrow's kernels runs under the tool, and every tensor is an
allocation of exactly its size, so that an access beyond it is one beyond the allocation.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Read at the first allocation on the GPU: the caching allocator would hide accesses beyond a tensor's end.
os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from exact import Case, expected, operands, wrong_values
from gemm_kernels import Kernel, all_kernels, grouped_kernels, of_kind
from grouped import GroupedCase, grouped_expected, grouped_operands
from reference import BLOCK, groups_of_k, integer_problem, product, same_bits

import barrow

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def cases(kernel: Kernel, num_sms: int) -> list[Case]:
    """One element; partial tiles through registers and through bulk stores, the ring of stages wrapping; rows that need
    padding; more tiles than SMs, so that a CTA carries its shared memory from one tile to the next."""
    m, n = kernel.block_m, kernel.block_n
    ring = BLOCK * kernel.stages
    rows = kernel.row_scales_b
    return [
        Case(1, 1, 1, out="bare", row_scales_b=rows),
        Case(m + 1, n + 9, 4 * ring + BLOCK + 8, a_scale="row_major", out="bare", row_scales_b=rows),
        Case(m - 1, n + 8, 2 * BLOCK + 16, b_scale="k_block_major", out="bare", row_scales_b=rows),
        Case(3, 16, 130, a_offset=1, b_pad=3, out="bare", row_scales_b=rows),
        Case(5, kernel.block_n * (num_sms + 3), BLOCK + 16, out="bare", row_scales_b=rows),
    ]


def gemm_faults(device: torch.device) -> list[str]:
    num_sms = torch.cuda.get_device_properties(device).multi_processor_count
    faults = []
    for kernel in all_kernels():
        for case in cases(kernel, num_sms):
            x = operands(case, kernel.dtype, torch.device("cpu"))
            y = x.to(device)
            # B that is loaded ahead is held by some kernels where it is longer than the stages.
            kernel.run(y, prefetch_b=case.k > BLOCK * kernel.stages)
            if found := wrong_values(y.out.cpu(), expected(x)):
                faults.append(f"{kernel.name}, {case}: {found}")
    return faults


def grouped_cases(kernel: Kernel) -> list[GroupedCase]:
    """An empty and a ragged group in each layout, rows of A copied and their scales too; more groups than a warp has
    lanes, whose tiles overlap."""
    m, n = kernel.block_m, kernel.block_n
    return [
        GroupedCase((3, 0, m + 1), n + 8, 2 * BLOCK + 16, out="bare"),
        GroupedCase((m - 1, 0, 5), n + 9, BLOCK + 16, "counts", spare=1, out="bare"),
        GroupedCase((2, 0, m + 3), 24, 130, "indices", 4, a_offset=1, a_scale="row_major", out="bare"),
        GroupedCase(tuple(i % 3 for i in range(40)), 16, 48, out="bare"),
    ]


def grouped_faults(device: torch.device) -> list[str]:
    faults = []
    for kernel in grouped_kernels():
        for case in grouped_cases(kernel):
            x = grouped_operands(case, torch.device("cpu"))
            y = x.to(device)
            # Groups and B loaded ahead, too.
            y.run(kernel.index, prefetch_b=case.kind != "indices")
            rows = (-1, case.n)
            if found := wrong_values(y.out.cpu().reshape(rows), grouped_expected(x).reshape(rows)):
                faults.append(f"{kernel.name}, {case}: {found}")
    return faults


def accumulation_faults(device: torch.device) -> list[str]:
    """Where the last row of tiles reaches back: by the copy engine where the kernel stages D, and from registers."""
    faults = []
    for kernel in (*of_kind(torch.float32), *of_kind(torch.float32, row_scales_b=True)):
        for n in (kernel.block_n + 8, 9):
            case = Case(kernel.block_m + 5, n, BLOCK + 16, out="bare", row_scales_b=kernel.row_scales_b)
            x = operands(case, kernel.dtype, torch.device("cpu"))
            x.out.fill_(3)
            y = x.to(device)
            kernel.run(y, accumulate=True)
            if found := wrong_values(y.out.cpu(), expected(x) + 3):
                faults.append(f"{kernel.name}, {case}, added: {found}")
    return faults


def k_grouped_faults(device: torch.device) -> list[str]:
    """Groups of K that end inside of a block, in two launches; in sizes that take every kernel."""
    ks = [BLOCK + 16, 0, BLOCK, 5, 3 * BLOCK] * 4
    faults = []
    for m, n in ((69, 72), (300, 520), (1090, 136)):
        parts = [integer_problem(m, n, k, seed=g, b_rows=1) for g, k in enumerate(ks)]
        a, a_scale, b, b_scale = groups_of_k(parts)
        a_scale, b_scale = (scale.T.contiguous().to(device).T for scale in (a_scale, b_scale))
        out = torch.full((len(ks), m, n), 3.0, device=device)
        barrow.k_grouped_fp8_gemm_nt(a.to(device), a_scale, b.to(device), b_scale, ks, out=out)
        want = torch.stack([product(p) for p in parts]).float() + 3
        if not torch.equal(out.cpu(), want):
            faults.append(f"groups of K added to {m} x {n}: {(out.cpu() != want).sum()} wrong")
    return faults


def quantizer_faults(device: torch.device) -> list[str]:
    faults = []
    for quantize in (barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8):
        for dtype in DTYPES:
            for shape in ((1, 1), (33, 129), (130, 300)):
                x = torch.randn(shape, dtype=dtype)
                got, want = quantize(x.to(device)), quantize(x)
                if not all(same_bits(g.cpu(), w) for g, w in zip(got, want, strict=True)):
                    faults.append(f"{quantize.__name__} of {dtype} {shape} differs from the CPU's result")
    return faults


def expert_faults(device: torch.device) -> list[str]:
    """Whole vectors of columns and odd ones, more tokens than one warp sorts. Every row of a result is written, or
    reading it would be a fault of its own."""
    faults = []
    for tokens, columns in ((1, 1024), (70, 1032), (5, 129)):
        # Of seven experts, some of none; each token's rows, the last token first.
        ids = torch.arange(tokens * 3).view(tokens, 3) % 9 - 1
        rows = torch.arange(tokens * 3, dtype=torch.int32).view(tokens, 3).flip(0)
        x, y = torch.randn(tokens, columns).bfloat16(), torch.randn(tokens * 3, 2 * columns).bfloat16()
        ends, counts = torch.tensor([1, tokens * 3]).int(), torch.full((3,), tokens).int()
        calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
            (torch.ops.barrow.moe_sort, (ids, 7, None)),
            (torch.ops.barrow.moe_sort, (ids.int().T.contiguous().T, 7, 2)),
            *((barrow.moe_permute_quant, (x.to(dtype), rows, tokens * 3)) for dtype in DTYPES),
            (barrow.silu_mul_quant, (y, ends)),
            (barrow.silu_mul_quant, (y.view(3, tokens, -1), counts)),
            (barrow.moe_unpermute, (y, rows, torch.rand(tokens, 3))),
        ]
        for op, arguments in calls:
            moved = [a.to(device) if isinstance(a, torch.Tensor) else a for a in arguments]
            got, want = op(*moved), op(*arguments)
            pairs = [(got, want)] if isinstance(got, torch.Tensor) else list(zip(got, want, strict=True))
            # The last bit of exp may differ, and with it a rounding to e4m3.
            rtol, atol = (0.13, 2.0**-9) if op is barrow.silu_mul_quant else (0.0, 0.0)
            if not all(torch.allclose(g.cpu().float(), w.float(), rtol, atol) for g, w in pairs):
                faults.append(f"{op} of {tokens} x {columns} differs from the CPU's result")
    return faults


def main() -> int:
    device = torch.device("cuda")
    faults = [
        *gemm_faults(device),
        *grouped_faults(device),
        *accumulation_faults(device),
        *k_grouped_faults(device),
        *quantizer_faults(device),
        *expert_faults(device),
    ]
    torch.cuda.synchronize()
    for line in faults:
        print(line)
    print(
        f"{len(all_kernels())} GEMM kernels, {len(grouped_kernels())} for groups, the quantizers and what surrounds "
        f"experts ran, {len(faults)} wrong results"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
