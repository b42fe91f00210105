"""A short run of every kernel of the wheel, to be watched by compute-sanitizer.

compute-sanitizer --tool memcheck python tests/gpu/sanitizer_set.py

Inputs are made on the CPU and copied, so that little but barrow's kernels runs under the tool, and every tensor is an
allocation of exactly its size, so that an access beyond it is one beyond the allocation.
"""

import os
import sys
from pathlib import Path

# Read at the first allocation on the GPU: the caching allocator would hide accesses beyond a tensor's end.
os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from exact import Case, expected, operands, wrong_values
from gemm_kernels import Kernel, all_kernels
from reference import BLOCK, same_bits

import barrow


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
            kernel.run(y)
            if found := wrong_values(y.out.cpu(), expected(x)):
                faults.append(f"{kernel.name}, {case}: {found}")
    return faults


def quantizer_faults(device: torch.device) -> list[str]:
    faults = []
    for quantize in (barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8):
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            for shape in ((1, 1), (33, 129), (130, 300)):
                x = torch.randn(shape, dtype=dtype)
                got, want = quantize(x.to(device)), quantize(x)
                if not all(same_bits(g.cpu(), w) for g, w in zip(got, want, strict=True)):
                    faults.append(f"{quantize.__name__} of {dtype} {shape} differs from the CPU's result")
    return faults


def main() -> int:
    device = torch.device("cuda")
    faults = gemm_faults(device) + quantizer_faults(device)
    torch.cuda.synchronize()
    for line in faults:
        print(line)
    print(f"{len(all_kernels())} GEMM kernels and the quantizers ran, {len(faults)} wrong results")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
