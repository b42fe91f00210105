"""`barrow.deep_gemm` on the GPU: recipes, accumulation, and that nothing is compiled, spawned or written."""

import pytest
import torch
from fresh import run_fresh
from judge import judge
from reference import assert_exact, integer_problem, product, random_problem

import barrow.deep_gemm as deep_gemm

DTYPES = (torch.bfloat16, torch.float32)
SHAPES = [(1, 1, 128), (1, 576, 7168), (77, 200, 300), (130, 129, 2112), (515, 1100, 2048), (2112, 4096, 7168)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products(shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> None:
    m, n, k = shape
    for p in (integer_problem(m, n, k, device=device), random_problem(m, n, k, device=device)):
        d = torch.full((m, n), float("nan"), dtype=dtype, device=device)
        deep_gemm.fp8_gemm_nt((p.a, p.a_scale), (p.b, p.b_scale), d)
        verdict = judge(d, p)
        assert verdict.sound, str(verdict)
    exact = integer_problem(m, n, k, device=device)
    deep_gemm.fp8_gemm_nn((exact.a, exact.a_scale), (exact.b.T, exact.b_scale.T), d)
    assert_exact(d, exact)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("in_place", [True, False])
def test_accumulation(in_place: bool, dtype: torch.dtype, device: torch.device) -> None:
    p = integer_problem(300, 520, 640, device=device)
    c = torch.randint(-300, 300, (300, 520), device=device).to(dtype)
    expected = (product(p) + c.double()).float().to(dtype)
    d = c if in_place else torch.full_like(c, float("nan"))
    deep_gemm.fp8_gemm_nt((p.a, p.a_scale), (p.b, p.b_scale), d, c=c)
    assert torch.equal(d, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("laid_out", [True, False])
def test_the_recipe_of_weight_gradients(laid_out: bool, dtype: torch.dtype, device: torch.device) -> None:
    p = integer_problem(300, 520, 640, device=device, b_rows=1)
    lay = deep_gemm.get_mn_major_tma_aligned_tensor if laid_out else torch.Tensor.contiguous
    c = torch.randint(-300, 300, (300, 520), device=device).to(dtype)
    expected = (product(p) + c.double()).float().to(dtype)
    deep_gemm.fp8_gemm_nt((p.a, lay(p.a_scale)), (p.b, lay(p.b_scale)), c, c=c, recipe=(1, 1, 128))
    assert torch.equal(c, expected)


def test_casts_and_layouts_are_those_of_the_cpu(device: torch.device) -> None:
    x = torch.randn(260, 700)
    for cast in (deep_gemm.per_token_cast_to_fp8, deep_gemm.per_block_cast_to_fp8):
        for use_ue8m0 in (False, True):
            (q, sf), (cpu_q, cpu_sf) = cast(x.to(device), use_ue8m0), cast(x, use_ue8m0)
            # Two divisions and a rounding; torch's GPU division may differ by one unit in the last place.
            torch.testing.assert_close(sf.cpu(), cpu_sf, rtol=2**-23, atol=0)
            torch.testing.assert_close(q.cpu().float(), cpu_q.float(), rtol=2**-3, atol=2**-9)
    laid = deep_gemm.get_mn_major_tma_aligned_tensor(sf)
    assert laid.stride() == (1, -(-sf.shape[0] // 4) * 4)
    assert torch.equal(laid, sf)


FRESH = """
import logging, os, pathlib, sys, types
logging.basicConfig(level=logging.INFO)
import torch

# A DeepGEMM that must not be called.
module = types.ModuleType("deep_gemm")
def refuse(*args, **kwargs):
    raise AssertionError("DeepGEMM was called")
names = ("fp8_gemm_nt", "get_mn_major_tma_aligned_tensor", "transform_sf_into_required_layout")
for name in names:
    setattr(module, name, refuse)
sys.modules["deep_gemm"] = module
from barrow.integrations.vllm import register
register()

x = torch.randn(4096, 1536, device="cuda").bfloat16()
b = torch.randn(2112, 1536, device="cuda").bfloat16()
import barrow
b, b_scale = barrow.per_block_quant_fp8(b)
torch.cuda.synchronize()

seen = []
def watch(event, arguments):
    if event.startswith(("subprocess.", "os.exec", "os.posix_spawn", "os.fork", "os.system", "os.mkdir")):
        seen.append((event, arguments))
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append((event, arguments))
sys.addaudithook(watch)
for m in (1, 16, 64, 100, 128, 1000, 4096):
    a, a_scale = barrow.per_token_group_quant_fp8(x[:m])
    a_scale = module.transform_sf_into_required_layout(a_scale.contiguous(), m, 1536, (1, 128, 128), is_sfa=True)
    d = torch.empty(m, 2112, dtype=torch.bfloat16, device="cuda")
    module.fp8_gemm_nt((a, a_scale), (b, b_scale), d, disable_ue8m0_cast=True)
    assert torch.equal(d, barrow.fp8_gemm_nt(a, a_scale, b, b_scale))
torch.cuda.synchronize()
assert seen == [], seen
print("nothing compiled")
"""


def test_an_engine_compiles_nothing_for_dense_layers(device: torch.device) -> None:
    assert "nothing compiled" in run_fresh(FRESH)
