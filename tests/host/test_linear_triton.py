"""The Triton kernel in Triton's interpreter: indices, masks, decoding of e4m3, scales.

The interpreter truncates where a GPU rounds, so inputs are such that nothing needs rounding; it has no NaN in e4m3, and
cannot multiply bfloat16 matrices. tests/gpu/test_cuda_backends.py has both.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is an extra, and not published for this Python")

CHECK = """
import sys, torch, reference
from barrow.linear import matmuls

# Compiled before anything has imported Triton, as in a process whose first call is compiled.
p = reference.integer_problem(5, 130, 300)
compiled = torch.compile(matmuls.triton, backend="aot_eager", fullgraph=True)
y = compiled(p.a.float(), p.b, p.b_scale, False)
assert torch.equal(y.double(), p.a.double() @ reference.dequantize(p.b, p.b_scale, 128).T)
assert "barrow.linear.triton_kernel" in sys.modules

for m, n, k in [(1, 1, 1), (1, 64, 128), (5, 130, 300), (33, 70, 129), (70, 129, 64), (0, 3, 5), (3, 0, 5), (3, 5, 0)]:
    p = reference.integer_problem(m, n, k)
    x = p.a.float()
    # One 448 in every group makes its scale 1.
    x[:, ::128] = 448.0
    exact = x.double() @ reference.dequantize(p.b, p.b_scale, 128).T
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for quantize in (False, True):
            if not quantize and dtype == torch.bfloat16:
                continue
            for ue8m0 in (False, True):
                y = torch.ops.barrow.triton_linear(x.to(dtype), p.b, p.b_scale, ue8m0, quantize)
                assert y.dtype == dtype
                torch.testing.assert_close(y, exact.to(dtype), rtol=0 if dtype == torch.float32 else 2**-7, atol=0)

# Every e4m3 value, NaN of both signs included, times one; scales with strides.
w = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).view(256, 1)
scale = torch.tensor([[2.0, 0.0], [4.0, 0.0]])[:, :1]
y = torch.ops.barrow.triton_linear(torch.ones(1, 1), w, scale, False, False)
expected = (w.float() * scale.repeat_interleave(128, 0)).T
assert torch.equal(y.nan_to_num(12345.0), expected.nan_to_num(12345.0))

# NaN and infinity in the input show in the product.
x = torch.ones(2, 128)
x[0, 3], x[1, 5] = float("inf"), float("nan")
y = torch.ops.barrow.triton_linear(x, torch.ones(1, 128).to(torch.float8_e4m3fn), torch.ones(1, 1), False, False)
assert not y.isfinite().any()

# A weight that is a view with longer rows.
p = reference.integer_problem(4, 9, 60)
wide = torch.zeros(9, 64, dtype=torch.uint8).view(torch.float8_e4m3fn)
wide[:, :60].copy_(p.b)
y = torch.ops.barrow.triton_linear(p.a.float(), wide[:, :60], p.b_scale, False, False)
assert torch.equal(y.double(), p.a.double() @ reference.dequantize(p.b, p.b_scale, 128).T)
"""


def test_in_the_interpreter() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


COMPILE = """
import itertools
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from barrow.linear.triton_kernel import BLOCK_M, BLOCK_N, _kernel

pointers = {"x": "*bf16", "w": "*u8", "w_scale": "*fp32", "y": "*bf16"}
numbers = dict.fromkeys(("m", "n", "k", "x_stride", "w_stride", "scale_stride_n", "scale_stride_k"), "i32")
FP8 = [GPUTarget("cuda", 89, 32), GPUTarget("cuda", 90, 32), GPUTarget("cuda", 100, 32)]
PLAIN = [GPUTarget("cuda", 80, 32), GPUTarget("hip", "gfx942", 64)]
for target, block_m in itertools.product(FP8 + PLAIN, (BLOCK_M[0], BLOCK_M[-1])):
    constants = {"QUANTIZE": target in FP8, "UE8M0": target in FP8, "BLOCK_K": 128}
    constants |= {"BLOCK_M": block_m, "BLOCK_N": BLOCK_N}
    source = ASTSource(_kernel, pointers | numbers | dict.fromkeys(constants, "constexpr"), constexprs=constants)
    assert triton.compile(source, target=target).metadata.shared <= 64 * 1024, target
"""


def test_compiles_for_gpus_that_are_not_here(tmp_path: Path) -> None:
    """Ampere, Ada, Hopper, Blackwell and MI300: Triton needs no GPU to compile."""
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
