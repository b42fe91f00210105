"""`barrow.deep_gemm` on the GPU: recipes, accumulation, groups, and that nothing is compiled, spawned or written."""

import pytest
import torch
from fresh import run_fresh
from grouped_problem import grouped_problem
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


@pytest.mark.parametrize("laid_out", [True, False])
@pytest.mark.parametrize(("step", "sizes"), [(128, (128, 0, 300, 1, 515)), (8, (7, 0, 64, 130, 9))])
def test_contiguous_groups(step: int, sizes: tuple[int, ...], laid_out: bool, device: torch.device) -> None:
    n, k = 1100, 2048
    starts, rows = [], 0
    for size in sizes:
        starts.append(rows)
        rows += deep_gemm.align(size, step)
    p = grouped_problem(rows, n, k, len(sizes), device)
    products = p.products().float().bfloat16()
    a = p.a, deep_gemm.get_mn_major_tma_aligned_tensor(p.a_scale) if laid_out else p.a_scale
    ends = torch.tensor([start + size for start, size in zip(starts, sizes, strict=True)], device=device)
    indices = torch.full((rows,), -1, dtype=torch.int32, device=device)
    by_ends, by_indices = (torch.full((rows, n), 77.0, dtype=torch.bfloat16, device=device) for _ in range(2))
    expected = by_ends.clone()
    padded = by_ends.clone()
    for group, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        indices[start : start + size] = group
        expected[start : start + size] = products[group, start : start + size]
        whole = slice(start, start + deep_gemm.align(size, step))
        padded[whole] = products[group, whole]
    deep_gemm.set_mk_alignment_for_contiguous_layout(step)
    try:
        grouped = deep_gemm.m_grouped_fp8_gemm_nt_contiguous
        grouped(a, (p.b, p.b_scale), by_ends, ends.int(), use_psum_layout=True)
        grouped(a, (p.b, p.b_scale), by_indices, indices)
        assert torch.equal(by_ends, expected)
        assert torch.equal(by_indices, padded)
        by_indices.fill_(77.0)
        transposed = p.b.mT, p.b_scale.mT
        deep_gemm.m_grouped_fp8_gemm_nn_contiguous(a, transposed, by_indices, indices)
        assert torch.equal(by_indices, padded)
    finally:
        deep_gemm.set_mk_alignment_for_contiguous_layout(128)


@pytest.mark.parametrize("max_m", [20, 192])
@pytest.mark.parametrize("laid_out", [True, False])
def test_masked_groups(laid_out: bool, max_m: int, device: torch.device) -> None:
    n, k, counts = 576, 1536, (0, max_m, 1, max_m + 5, 17, -1)
    p = grouped_problem(len(counts) * max_m, n, k, len(counts), device)
    products = p.products().float().bfloat16().unflatten(1, (len(counts), max_m))
    scale = p.a_scale.unflatten(0, (len(counts), max_m))
    a = p.a.unflatten(0, scale.shape[:2]), deep_gemm.get_mn_major_tma_aligned_tensor(scale) if laid_out else scale
    d = torch.full((len(counts), max_m, n), 77.0, dtype=torch.bfloat16, device=device)
    expected = d.clone()
    for group, count in enumerate(counts):
        rows = slice(0, max(count, 0))
        expected[group, rows] = products[group, group, rows]
    told = torch.tensor(counts, dtype=torch.int32, device=device)
    deep_gemm.m_grouped_fp8_gemm_nt_masked(a, (p.b, p.b_scale), d, told, expected_m=20)
    assert torch.equal(d, expected)


@pytest.mark.parametrize("layout", ["nt", "tn"])
@pytest.mark.parametrize("ks", [[128, 0, 1024, 256], [100, 16, 301], [0, 0]], ids=str)
def test_groups_of_k(ks: list[int], layout: str, device: torch.device) -> None:
    m, n = 520, 1100
    problems = [integer_problem(m, n, k, seed=group, device=device, b_rows=1) for group, k in enumerate(ks)]
    c = torch.randint(-300, 300, (len(ks), m, n), device=device).float()
    expected = (torch.stack([product(p) for p in problems]) + c.double()).float()
    a_scale, b_scale = (torch.cat([getattr(p, name) for p in problems], 1) for name in ("a_scale", "b_scale"))
    if layout == "nt":
        a, b = (torch.cat([getattr(p, name).flatten() for p in problems]) for name in ("a", "b"))
    else:
        a, b = (torch.cat([getattr(p, name).T for p in problems]).contiguous() for name in ("a", "b"))
        a_scale, b_scale = a_scale.T, b_scale.T
    told = torch.tensor(ks, dtype=torch.int32, device=device)
    d = torch.full_like(c, float("nan"))
    function = getattr(deep_gemm, f"k_grouped_fp8_gemm_{layout}_contiguous")
    function((a, a_scale), (b, b_scale), d, ks, told, c)
    assert torch.equal(d, expected)
    function((a, a_scale), (b, b_scale), c, ks, told, c)
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
names = (
    "fp8_gemm_nt", "get_mn_major_tma_aligned_tensor", "m_grouped_fp8_gemm_nt_contiguous",
    "m_grouped_fp8_gemm_nt_masked", "transform_sf_into_required_layout",
)
for name in names:
    setattr(module, name, refuse)
sys.modules["deep_gemm"] = module
from barrow.integrations.vllm import register
register()

x = torch.randn(4096, 1536, device="cuda").bfloat16()
b = torch.randn(2112, 1536, device="cuda").bfloat16()
import barrow
b, b_scale = barrow.per_block_quant_fp8(b)
experts = b[None].repeat(4, 1, 1), b_scale[None].repeat(4, 1, 1)
counts = torch.tensor([5, 0, 100, 64], dtype=torch.int32, device="cuda")
indices = torch.arange(4, dtype=torch.int32, device="cuda").repeat_interleave(128)
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
a, a_scale = barrow.per_token_group_quant_fp8(x[:512])
ends = indices[::128] * 128 + counts
slabs = a.view(4, 128, 1536), a_scale.unflatten(0, (4, 128))
new = lambda *shape: torch.zeros(*shape, 2112, dtype=torch.bfloat16, device="cuda")
grouped, masked = module.m_grouped_fp8_gemm_nt_contiguous, module.m_grouped_fp8_gemm_nt_masked
grouped((a, a_scale), experts, d := new(512), ends, use_psum_layout=True)
assert torch.equal(d, barrow.m_grouped_fp8_gemm_nt(a, a_scale, *experts, ends, alignment=128, out=new(512)))
grouped((a, a_scale), experts, d := new(512), indices)
assert torch.equal(d, barrow.m_grouped_fp8_gemm_nt_indexed(a, a_scale, *experts, indices, out=new(512)))
masked(slabs, experts, d := new(4, 128), counts, 50)
assert torch.equal(d, barrow.m_grouped_fp8_gemm_nt_masked(*slabs, *experts, counts, expected_m=50, out=new(4, 128)))
torch.cuda.synchronize()
assert seen == [], seen
print("nothing compiled")
"""


def test_an_engine_compiles_nothing_for_layers_and_experts(device: torch.device) -> None:
    assert "nothing compiled" in run_fresh(FRESH)
