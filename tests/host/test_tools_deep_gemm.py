"""The tools around `barrow.deep_gemm`, on small stand-ins for DeepGEMM's tests and for the engines' wheels."""

import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"

TESTS = {
    "generators.py": """
        from deep_gemm.testing import get_arch_major
        from deep_gemm.utils import align, per_token_cast_to_fp8, per_token_cast_to_fp4, transpose_packed_fp4
        from deep_gemm.utils.math import pack_ue8m0_to_int
        from deep_gemm.utils.layout import get_tma_aligned_size
    """,
    "test_fp8_fp4.py": """
        import deep_gemm, torch
        from deep_gemm.testing import calc_diff
        from generators import per_token_cast_to_fp8

        def test_gemm():
            x = torch.randn(3, 128)
            d = torch.empty(3, 3)
            a = per_token_cast_to_fp8(x, use_ue8m0=False)
            deep_gemm.fp8_fp4_gemm_nt(a, a, d, recipe=(1, 1, 128))
            assert calc_diff(d, x @ x.T) < WORST
            print(" > Perf (m=3)")

        def test_grouped_in_bf16():
            deep_gemm.m_grouped_bf16_gemm_nt_masked()
    """,
    "test_layout.py": """
        def test_for_another_gpu():
            print(" > Skipped")
    """,
}


@pytest.mark.parametrize(("worst", "status"), [("0.001", 0), ("0.0", 1)])
def test_runner_of_deep_gemm_tests(tmp_path: Path, worst: str, status: int) -> None:
    for name, text in TESTS.items():
        (tmp_path / name).write_text(textwrap.dedent(text).replace("WORST", worst))
    report = tmp_path / "report.md"
    command = [sys.executable, str(TOOLS / "run_deep_gemm_tests.py"), str(tmp_path), "--out", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    rows = [line.split(" | ") for line in report.read_text().splitlines() if line.startswith("| test_")]
    assert [row[1] for row in rows] == ["FAILED" if status else "passed", "not in barrow", "ran nothing"]
    assert [row[2] for row in rows] == ["0" if status else "1", "0", "0"]
    assert "m_grouped_bf16_gemm_nt_masked" in rows[1][4]


def test_runner_refuses_another_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOLS / "run_deep_gemm_tests.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has no test_fp8_fp4.py, test_layout.py, generators.py; pass DeepGEMM's tests/" in done.stderr


VLLM = {
    "vllm/plugins/__init__.py": 'GROUP = "vllm.general_plugins"',
    "vllm/envs.py": """
        env_with_choices(
            "VLLM_DEEP_GEMM_WARMUP",
            "relax",
            [
                "skip",
            ],
        )
        NAMES = "VLLM_USE_DEEP_GEMM", "VLLM_PLUGINS", "VLLM_BLOCKSCALE_FP8_GEMM_FLASHINFER"
    """,
    "vllm/utils/deep_gemm.py": """
        def _lazy_init():
            _dg = _import_deep_gemm()
            _fp8_gemm_nt_impl = getattr(_dg, "fp8_gemm_nt", None)
            _grouped = getattr(_dg, "m_grouped_fp8_gemm_nt_contiguous", None)
            _masked = getattr(_dg, "m_grouped_fp8_gemm_nt_masked", None) or getattr(
                _dg, "fp8_m_grouped_gemm_nt_masked", None
            )
            newer = getattr(_dg, "not_there", None)
            return _dg.grouped
        def fp8_gemm_nt(*args):
            return _fp8_gemm_nt_impl(*args, disable_ue8m0_cast=True)
        def masked(*args, **kwargs):
            return _masked(*args, disable_ue8m0_cast=True, **kwargs)
        def set_mk_alignment_for_contiguous_layout(value):
            dg = _import_deep_gemm()
            dg.set_mk_alignment_for_contiguous_layout(value)
        def not_of_deep_gemm():
            kwargs = {"indices": 1}
    """,
    "vllm/model_executor/layers/fused_moe/oracle/fp8.py": """
        if envs.is_set("VLLM_USE_DEEP_GEMM") or envs.is_set("VLLM_MOE_USE_DEEP_GEMM"):
            pass
        if expert_parallel:
            _move_to_front(_AVAILABLE_BACKENDS, Fp8MoeBackend.FLASHINFER_CUTLASS)
        else:
            _move_to_front(_AVAILABLE_BACKENDS, Fp8MoeBackend.TRITON)
    """,
    "vllm/model_executor/layers/fused_moe/experts/deep_gemm_moe.py": """
        from vllm.utils.deep_gemm import m_grouped_fp8_gemm_nt_contiguous
        def valid(M, N, align):
            return align <= M and N % align == 0
        def apply():
            kwargs: dict = {"recipe_a": 1, "recipe_b": 2} if mxfp8 else {}
            kwargs["use_psum_layout"] = True
            with mk_alignment_scope(align_used):
                m_grouped_fp8_gemm_nt_contiguous(1, **kwargs)
    """,
    "vllm/model_executor/layers/fused_moe/experts/batched_deep_gemm_moe.py": "fp8_m_grouped_gemm_nt_masked(1)",
    "vllm/model_executor/warmup/deep_gemm_warmup.py": """
        with mk_alignment_scope(align_used):
            pass
    """,
    "vllm/model_executor/kernels/linear/scaled_mm/deep_gemm.py": "fp8_gemm_nt(1, is_deep_gemm_e8m0_used=True)",
    "vllm/model_executor/kernels/linear/scaled_mm/flashinfer.py": "condition = input.shape[0] < 32",
    "vllm/third_party/deep_gemm/__init__.py": """
        from ._C import fp8_gemm_nt, grouped, m_grouped_fp8_gemm_nt_contiguous, m_grouped_fp8_gemm_nt_masked
    """,
}
SGLANG = {
    "sglang/srt/plugins/__init__.py": 'GROUP = "sglang.srt.plugins"',
    "sglang/srt/environ.py": "SGLANG_JIT_DEEPGEMM_PRECOMPILE, SGLANG_ENABLE_JIT_DEEPGEMM = 1, 2",
    "sglang/srt/layers/quantization/fp8.py": """
        named = (
            moe_a2a_backend.is_deepep()
            or moe_a2a_backend.is_mooncake()
            or moe_a2a_backend.is_nixl()
        )
    """,
    "sglang/srt/layers/quantization/fp8_utils.py": """
        if deep_gemm_wrapper.ENABLE_JIT_DEEPGEMM:
            return deepgemm_w8a8_block_fp8_linear_with_fallback
    """,
    "sglang/srt/layers/deep_gemm_wrapper/entrypoint.py": """
        import deep_gemm
        from deep_gemm.utils.layout import get_mn_major_tma_aligned_tensor
        deep_gemm.fp8_gemm_nt(1, recipe=2)
        deep_gemm.m_grouped_fp8_gemm_nt_contiguous()
        def masked():
            return deep_gemm.fp8_m_grouped_gemm_nt_masked(1, **(dict(signal=2, masked_m=3) if overlap else {}))
        deep_gemm.utils.layout.packed()
        setter = getattr(deep_gemm, "set_mk_alignment_for_contiguous_layout", None)
    """,
}
SGL_DEEP_GEMM = {
    "deep_gemm/__init__.py": """
        def fp8_gemm_nt(): pass
        def m_grouped_fp8_gemm_nt_contiguous(): pass
        m_grouped_fp8_gemm_nt_masked = fp8_m_grouped_gemm_nt_masked = None
    """,
    "deep_gemm/utils/layout.py": "packed = get_mn_major_tma_aligned_tensor = 1",
}
TRANSFORMERS = {
    "transformers/integrations/finegrained_fp8.py": """
        def fp8_linear(input): pass
        class FP8Linear:
            def forward(self, input):
                return _apply_if_grad(
                    FP8LinearFunction,
                    fp8_linear,
                    input,
                )
    """,
}


def engine_symbols(folder: Path, **packages: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / "engine_symbols.py")]
    for option, files in packages.items():
        wheel = folder / f"{option}-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                body = textwrap.dedent(text)
                # The tool looks for the call as the engine indents it.
                archive.writestr(
                    name, body.replace("        fp8_linear,\n            ", "    fp8_linear,\n            ")
                )
        command += [f"--{option.replace('_', '-')}", str(wheel)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_engine_symbols(tmp_path: Path) -> None:
    packages = {"vllm": VLLM, "sglang": SGLANG, "sgl_deep_gemm": SGL_DEEP_GEMM, "transformers": TRANSFORMERS}
    done = engine_symbols(tmp_path, **packages)
    assert (done.returncode, done.stderr) == (0, "")
    tables = done.stdout.split("\n## ")
    rows = [[line for line in table.splitlines() if line.startswith("| `")] for table in tables]
    assert rows[1] == [
        "| `fp8_gemm_nt` | barrow | 1 | disable_ue8m0_cast |",
        "| `fp8_m_grouped_gemm_nt_masked` | neither; the engine asks first | 1 |  |",
        "| `m_grouped_fp8_gemm_nt_contiguous` | barrow | 1 | recipe_a, recipe_b, use_psum_layout |",
        "| `m_grouped_fp8_gemm_nt_masked` | barrow | 1 | disable_ue8m0_cast |",
        "| `grouped` | DeepGEMM | 1 |  |",
        "| `not_there` | neither; the engine asks first | 1 |  |",
        "| `set_mk_alignment_for_contiguous_layout` | both | 1 |  |",
    ]
    assert rows[2] == [
        "| `fp8_gemm_nt` | barrow | 1 | recipe |",
        "| `fp8_m_grouped_gemm_nt_masked` | barrow | 1 | masked_m, signal |",
        "| `get_mn_major_tma_aligned_tensor` | barrow | 1 |  |",
        "| `m_grouped_fp8_gemm_nt_contiguous` | barrow | 1 |  |",
        "| `packed` | DeepGEMM | 1 |  |",
        "| `set_mk_alignment_for_contiguous_layout` | both | 1 |  |",
    ]
    assert "but `enable_overlap`, `max_block_n`, `signal`: a call with one of these" in tables[0]

    entrypoint = "sglang/srt/layers/deep_gemm_wrapper/entrypoint.py"
    changed = {**SGLANG, entrypoint: SGLANG[entrypoint].replace("recipe=2", "tile=2")}
    changed["sglang/srt/environ.py"] = "SGLANG_ENABLE_JIT_DEEPGEMM = 1"
    done = engine_symbols(tmp_path, **{**packages, "sglang": changed})
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "SGLang: fp8_gemm_nt takes no tile",
        "sglang: sglang/srt/environ.py has no 'SGLANG_JIT_DEEPGEMM_PRECOMPILE'",
    ]
