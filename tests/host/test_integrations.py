"""The plugins, with small packages of the structure that vLLM, SGLang, DeepGEMM and transformers have.

Each test runs in a process of its own: it is about what an import does the first time.
"""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

# DeepGEMM's layout: functions in _C and utils.layout, handed out by the package. They record instead of computing.
DEEP_GEMM = {
    "__init__.py": """
        from ._C import fp8_gemm_nt, fp8_gemm_nt as fp8_fp4_gemm_nt, m_grouped_fp8_gemm_nt_contiguous
        from ._C import fp8_m_grouped_gemm_nt_masked, m_grouped_bf16_gemm_nt_masked
        from ._C import set_num_sms, transform_sf_into_required_layout, calls
        from . import utils
        from .utils import *
        __version__ = "2.8.1"
    """,
    "_C.py": """
        calls = []
        def fp8_gemm_nt(a, b, d, c=None, recipe=None, disable_ue8m0_cast=False): calls.append("fp8_gemm_nt")
        def m_grouped_fp8_gemm_nt_contiguous(*args, **kwargs): calls.append("grouped")
        def fp8_m_grouped_gemm_nt_masked(*args, **kwargs): calls.append("masked")
        def m_grouped_bf16_gemm_nt_masked(*args): calls.append("bf16")
        def set_num_sms(value): calls.append("set_num_sms")
        def transform_sf_into_required_layout(sf, *args, **kwargs): calls.append("transform")
        def get_mn_major_tma_aligned_tensor(sf): calls.append("mn_major")
        alignment = 128
        def get_mk_alignment_for_contiguous_layout(): return alignment
        def set_mk_alignment_for_contiguous_layout(new_value):
            global alignment
            alignment = new_value
    """,
    "utils/__init__.py": "from .layout import *",
    "utils/layout.py": """
        from .._C import get_mn_major_tma_aligned_tensor
        from .._C import get_mk_alignment_for_contiguous_layout, set_mk_alignment_for_contiguous_layout
    """,
}

# vLLM's utils/deep_gemm.py: the module is searched at first use, and functions that it lacks are None.
VLLM = {
    "__init__.py": "",
    "third_party/__init__.py": "",
    "utils/__init__.py": "",
    "utils/deep_gemm.py": """
        import functools, importlib, importlib.util

        def has(name):
            return importlib.util.find_spec(name) is not None and importlib.import_module(name) is not None

        @functools.cache
        def _import_deep_gemm():
            for name in ("deep_gemm", "vllm.third_party.deep_gemm"):
                try:
                    return importlib.import_module(name)
                except ImportError:
                    pass

        def resolve(name):
            return getattr(_import_deep_gemm(), name, None)
    """,
}

# SGLang imports DeepGEMM at the top of its wrapper, a function of a submodule by name.
SGLANG = {
    "__init__.py": "",
    "wrapper.py": """
        import deep_gemm
        from deep_gemm.utils.layout import get_mn_major_tma_aligned_tensor
    """,
}

TRANSFORMERS = {
    "__init__.py": "",
    "integrations/__init__.py": "",
    "integrations/finegrained_fp8.py": """
        calls = []

        def fp8_linear(input, weight, weight_scale_inv, block_size=None, bias=None, activation_scale=None,
                       allow_deepgemm=True):
            calls.append((block_size, allow_deepgemm))
            return input

        def fp8_grouped_matmul(input, weight, weight_scale_inv, offsets, tokens_per_expert, block_size):
            calls.append(block_size)
            return input

        def forward(*args):
            return fp8_linear(*args)

        def experts(*args):
            return fp8_grouped_matmul(*args)
    """,
}

# What every script begins with.
PRELUDE = """
import logging, sys, torch
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stdout)
import barrow

def problem(rows=5):
    torch.manual_seed(0)
    a = barrow.per_token_group_quant_fp8(torch.randn(rows, 300))
    b = barrow.per_block_quant_fp8(torch.randn(200, 300))
    return a, b, torch.zeros(rows, 200).bfloat16()

def check(module):
    a, b, d = problem()
    module.fp8_gemm_nt(a, b, d)
    assert torch.equal(d, barrow.fp8_gemm_nt(*a, *b))

def check_experts(module, masked):
    # As the experts of an engine call it, with groups aligned as the engine says.
    a, one, d = problem(100)
    b = torch.stack([one[0]] * 2), torch.stack([one[1], 2 * one[1]])
    expected = [barrow.fp8_gemm_nt(*a, *one), barrow.fp8_gemm_nt(*a, b[0][1], b[1][1])]
    before = module.get_mk_alignment_for_contiguous_layout()
    for step in (64, 8):
        module.set_mk_alignment_for_contiguous_layout(step)
        assert module.get_mk_alignment_for_contiguous_layout() == step
        # The second group begins at row 64.
        ends, d = torch.tensor([60, 90], dtype=torch.int32), torch.zeros_like(d)
        module.m_grouped_fp8_gemm_nt_contiguous(a, b, d, ends, use_psum_layout=True, disable_ue8m0_cast=True)
        assert torch.equal(d[:60], expected[0][:60]) and torch.equal(d[64:90], expected[1][64:90])
        assert not d[60:64].any() and not d[90:].any()
        indices, d = torch.zeros(100, dtype=torch.int32), torch.zeros_like(d)
        indices[64:] = 1
        module.m_grouped_fp8_gemm_nt_contiguous(a, b, d, indices)
        assert torch.equal(d[:64], expected[0][:64]) and torch.equal(d[64:], expected[1][64:])
    module.set_mk_alignment_for_contiguous_layout(before)
    slabs, d = (a[0].view(2, 50, -1), a[1].reshape(2, 50, -1)), d.view(2, 50, -1).zero_()
    masked(slabs, b, d, masked_m=torch.tensor([50, 7], dtype=torch.int32), expected_m=30)
    assert torch.equal(d[0], expected[0][:50]) and torch.equal(d[1, :7], expected[1][50:57]) and not d[1, 7:].any()
"""

Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a script with the given packages; returns the lines that it logged."""

    def write(package: str, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path.joinpath(*package.split("."), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def call(script: str, packages: dict[str, dict[str, str]]) -> list[str]:
        for package, files in packages.items():
            write(package, files)
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PRELUDE}\n{textwrap.dedent(script)}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-W", "ignore:::torch", "-c", code],
            capture_output=True,
            text=True,
            env={"PATH": ""},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return call


def test_entry_points() -> None:
    for group, module in (("vllm.general_plugins", "vllm"), ("sglang.srt.plugins", "sglang")):
        (found,) = [point for point in entry_points(group=group) if point.name == "barrow"]
        assert found.value == f"barrow.integrations.{module}:register"
        assert callable(found.load())


VLLM_SCRIPT = """
    from barrow.integrations.vllm import register
    register()
    register()
    assert not [name for name in sys.modules if name.endswith("deep_gemm") and "barrow" not in name]
    import vllm.utils.deep_gemm as user
    module = user._import_deep_gemm()
    register()
    assert user.has("EXPECTED")
    assert module.__name__ == "EXPECTED"
    check(module)
    assert module.calls == []
    check_experts(module, module.fp8_m_grouped_gemm_nt_masked)
    assert module.calls == []
    # What barrow lacks, and settings, are DeepGEMM's.
    user.resolve("m_grouped_bf16_gemm_nt_masked")(1)
    user.resolve("set_num_sms")(2)
    assert module.calls == ["bf16", "set_num_sms"]
    assert user.resolve("fp8_einsum") is None
    a, b, d = problem()
    # What barrow refuses goes to DeepGEMM; a mistake does not.
    user.resolve("fp8_gemm_nt")(a, b, d, recipe=(1, 32, 32))
    assert module.calls[2:] == ["fp8_gemm_nt"]
    try:
        user.resolve("fp8_gemm_nt")(a, b, d[:2])
    except RuntimeError as error:
        assert "out has shape [2, 200]" in str(error)
    else:
        raise AssertionError
    # Nothing is left that would compile.
    scales = torch.rand(5, 3)
    assert module.get_mn_major_tma_aligned_tensor(scales).stride() == (1, 8)
    assert module.utils.layout.get_mn_major_tma_aligned_tensor(scales).stride() == (1, 8)
    assert module.transform_sf_into_required_layout(scales, 5, 300, (1, 128)).stride() == (1, 8)
    assert len(module.calls) == 3
"""


@pytest.mark.parametrize("name", ["deep_gemm", "vllm.third_party.deep_gemm"])
def test_vllm_with_deep_gemm(run: Run, name: str) -> None:
    logged = run(VLLM_SCRIPT.replace("EXPECTED", name), {"vllm": VLLM, name: DEEP_GEMM})
    (line,) = logged
    assert line.startswith("vllm.barrow: barrow ")
    assert f"in place of {name} 2.8.1" in line
    assert "BARROW_DEEP_GEMM=0 turns this off" in line


def test_vllm_without_deep_gemm(run: Run) -> None:
    script = """
        from barrow.integrations.vllm import register
        register()
        import vllm.utils.deep_gemm as user
        register()
        assert user.has("deep_gemm")
        module = user._import_deep_gemm()
        check(module)
        check_experts(module, user.resolve("m_grouped_fp8_gemm_nt_masked"))
        assert user.resolve("m_grouped_bf16_gemm_nt_masked") is None
        from deep_gemm.utils.layout import get_mn_major_tma_aligned_tensor
        from deep_gemm.utils import per_token_cast_to_fp8
    """
    (line,) = run(script, {"vllm": VLLM})
    assert "as deep_gemm, which is not installed" in line


def test_it_can_be_switched_off(run: Run) -> None:
    script = """
        import os
        from barrow.integrations.vllm import register
        os.environ["BARROW_DEEP_GEMM"] = "off"
        try:
            register()
        except RuntimeError as error:
            print(error)
        os.environ["BARROW_DEEP_GEMM"] = "0"
        register()
        import vllm.utils.deep_gemm as user
        user.resolve("fp8_gemm_nt")(*problem())
        assert user._import_deep_gemm().calls == ["fp8_gemm_nt"]
    """
    logged = run(script, {"vllm": VLLM, "vllm.third_party.deep_gemm": DEEP_GEMM})
    assert logged == ["barrow: BARROW_DEEP_GEMM is 'off' but needs to be 0 or 1"]


def test_a_deep_gemm_that_is_imported_already(run: Run) -> None:
    script = """
        import deep_gemm
        from barrow.integrations.sglang import register
        register()
        register()
        check(deep_gemm)
        assert deep_gemm.calls == []
    """
    (line,) = run(script, {"deep_gemm": DEEP_GEMM})
    assert line.startswith("sglang.barrow: ")


def test_sglang(run: Run) -> None:
    script = """
        from barrow.integrations.sglang import register
        register()
        import sglang.wrapper as user
        check(user.deep_gemm)
        assert user.get_mn_major_tma_aligned_tensor(torch.rand(5, 3)).stride() == (1, 8)
        masked = user.deep_gemm.fp8_m_grouped_gemm_nt_masked
        check_experts(user.deep_gemm, masked)
        assert user.deep_gemm.calls == []
        # What only SGLang's DeepGEMM has, here the overlap with a copy to other GPUs, it is asked for.
        masked(*problem(), expected_m=1, enable_overlap=True, max_block_n=256, signal=None)
        assert user.deep_gemm.calls == ["masked"]
    """
    (line,) = run(script, {"sglang": SGLANG, "deep_gemm": DEEP_GEMM})
    assert "in place of deep_gemm 2.8.1" in line


def test_another_gpu_keeps_deep_gemm(run: Run) -> None:
    script = """
        from barrow.integrations import deep_gemm as integration
        integration.install(["deep_gemm"], logging.getLogger("test"))
        import deep_gemm
        asked = []
        def capability(device):
            asked.append(device)
            return (9, 0) if device.index == 0 else (10, 0)
        torch.cuda.get_device_capability = capability
        devices = [torch.device("cuda", 0), torch.device("cuda", 1)]
        assert [integration.runs_on(device) for device in devices * 2] == [True, False] * 2
        assert asked == devices
        integration._hopper.clear()
        torch.version.hip = "7.0"
        assert not integration.runs_on(devices[0])
        meta = torch.empty(2, 3, device="meta")
        assert not integration.runs_on(meta.device)
        deep_gemm.fp8_gemm_nt((meta, meta), (meta, meta), meta)
        deep_gemm.transform_sf_into_required_layout(sf=meta, mn=2)
        assert deep_gemm.calls == ["fp8_gemm_nt", "transform"]
    """
    assert len(run(script, {"deep_gemm": DEEP_GEMM})) == 1


def test_transformers(run: Run) -> None:
    script = """
        from barrow.integrations.transformers import install
        install()
        install()
        import transformers.integrations.finegrained_fp8 as user
        _, (weight, scale), _ = problem()
        weight = torch.nn.Parameter(weight, requires_grad=False)
        weight.requires_grad_()
        bias = torch.randn(200).bfloat16()
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            x = torch.randn(2, 3, 300).to(dtype)
            q = barrow.per_token_group_quant_fp8(x.reshape(6, 300))
            out_dtype = dtype if dtype == torch.bfloat16 else torch.float32
            expected = barrow.fp8_gemm_nt(*q, weight.detach(), scale, out_dtype=out_dtype).to(dtype)
            out = user.forward(x, weight, scale, [128, 128])
            assert out.dtype == dtype and torch.equal(out, expected.reshape(2, 3, 200))
            out = user.forward(x, weight, scale, (128, 128), bias.to(dtype))
            assert torch.equal(out, (expected + bias.to(dtype)).reshape(2, 3, 200))
            # transformers makes the bias in float32, whatever the model's dtype.
            out = user.forward(x, weight, scale, (128, 128), torch.nn.Parameter(bias.float()))
            assert out.dtype == dtype
        assert user.calls == []
        # Left to transformers: other blocks, one scale for all, scales that are given, FP4, double inputs.
        user.forward(x, weight, scale, None)
        user.forward(x, weight, scale, [64, 64])
        user.forward(x, weight, scale, [128, 128], None, torch.ones(1))
        user.forward(x, torch.zeros(200, 150, dtype=torch.int8), scale, [128, 128])
        user.forward(x.double(), weight, scale, [128, 128], None, None, False)
        assert user.calls == [(None, True), ([64, 64], True), *[([128, 128], True)] * 2, ([128, 128], False)]
        # Three experts, the second one of no row, and a row of none.
        user.calls.clear()
        stack = torch.stack([weight.detach()] * 3).requires_grad_(), torch.stack([scale, 2 * scale, 4 * scale])
        for dtype in (torch.bfloat16, torch.float16):
            x = torch.randn(6, 300).to(dtype)
            ends = torch.tensor([2, 2, 5], dtype=torch.int32)
            q = barrow.per_token_group_quant_fp8(x)
            out = user.experts(x, *stack, ends, torch.tensor([2, 0, 3]), [128, 128])
            expected = barrow.m_grouped_fp8_gemm_nt(*q, stack[0].detach(), stack[1], ends).to(dtype)
            assert out.dtype == dtype and torch.equal(out[:5], expected[:5])
        assert user.calls == []
        user.experts(x, *stack, ends, None, [64, 64])
        assert user.calls == [[64, 64]]
        # A release without the hook.
        del user.fp8_linear
        try:
            install()
        except RuntimeError as error:
            print(error)
    """
    (line,) = run(script, {"transformers": TRANSFORMERS})
    assert "has no fp8_linear to replace" in line


def test_without_transformers(run: Run) -> None:
    script = """
        from barrow.integrations.transformers import install
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name == "transformers":
                    raise ModuleNotFoundError("No module named 'transformers'", name=name)
        sys.meta_path.insert(0, Missing())
        try:
            install()
        except ImportError as error:
            print(error)
    """
    (line,) = run(script, {})
    assert line == "barrow.integrations.transformers needs transformers; pip install transformers"
