"""Kernels compiled by content: what is compiled again after which change, and what a bad kernel is told."""

import io
from pathlib import Path

import pytest

from barrow_build.aot import cache
from barrow_build.aot.compile import Progress, compile_kernels
from barrow_build.aot.environment import BuildError
from barrow_build.aot.kernel import Compiled, Cubin
from barrow_build.aot.nvrtc import compile_kernel, options, read_log
from barrow_build.aot.sources import read_with_headers
from barrow_build.config import ARCHS, AuxSpec, catalogue

KERNELS = Path(__file__).parents[2] / "kernels"
BODY = 'extern "C" __global__ void KERNEL_NAME(float* x) { x[threadIdx.x] += STEP; }\n'
ONE, TWO, ALONE = AuxSpec("one", "one.cu"), AuxSpec("two", "two.cu"), AuxSpec("alone", "alone.cu", (("STEP", "3"),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sources of three kernels: `one` and `two` include step.cuh, `one` by way of ptx/inner.cuh."""
    folder = tmp_path / "kernels"
    (folder / "ptx").mkdir(parents=True)
    (folder / "step.cuh").write_text("#pragma once\nconstexpr float STEP = 1;\n")
    (folder / "ptx/inner.cuh").write_text('#pragma once\n#include "step.cuh"\n')
    (folder / "one.cu").write_text(f'#include "ptx/inner.cuh"\n{BODY}')
    (folder / "two.cu").write_text(f'  #  include "step.cuh" // why\n#include "step.cuh"\n{BODY}')
    (folder / "alone.cu").write_text(f'// #include "step.cuh"\n/* \n#include "nothing.cuh"\n*/\n{BODY}')
    return folder


def compile_all(root: Path, *specs: AuxSpec) -> Compiled:
    return compile_kernels(specs or (ONE, TWO, ALONE), root, root.parent / "cubins", jobs=2)


def compiled_by(root: Path, capfd: pytest.CaptureFixture[str], *specs: AuxSpec) -> set[str]:
    """Symbols of the kernels that the next build compiles."""
    capfd.readouterr()
    compile_all(root, *specs)
    lines = capfd.readouterr().out.splitlines()
    return {line.split("] ")[1].split("_sm")[0] for line in lines if line.startswith("[")}


def test_only_what_changed_is_compiled(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert compiled_by(root, capfd) == {"one", "two", "alone"}
    assert compiled_by(root, capfd) == set()

    before = (root / "step.cuh").read_text()
    (root / "step.cuh").write_text("#pragma once\nconstexpr float STEP = 2;\n")
    assert compiled_by(root, capfd) == {"one", "two"}
    (root / "ptx/inner.cuh").write_text('#pragma once\n\n#include "step.cuh"\n')
    assert compiled_by(root, capfd) == {"one"}
    (root / "alone.cu").write_text(BODY)
    assert compiled_by(root, capfd) == {"alone"}
    assert compiled_by(root, capfd, ONE, AuxSpec("alone", "alone.cu", (("STEP", "4"),))) == {"alone"}

    # Contents that were seen before, time stamps notwithstanding, are known.
    (root / "step.cuh").write_text(before)
    assert compiled_by(root, capfd, TWO) == set()


def test_a_change_reaches_the_cubin(root: Path) -> None:
    first = compile_all(root, TWO).kernels[0].cubin.image
    (root / "step.cuh").write_text("#pragma once\nconstexpr float STEP = 2;\n")
    assert compile_all(root, TWO).kernels[0].cubin.image != first


def test_a_new_compiler_compiles_everything(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_all(root)
    monkeypatch.setattr("barrow_build.aot.compile.toolchain", lambda: "nvrtc 99.0")
    assert compiled_by(root, capfd) == {"one", "two", "alone"}


def test_inputs_are_all_files_read(root: Path) -> None:
    found = {path.relative_to(root).as_posix() for path in compile_all(root, ONE).inputs}
    assert found == {"one.cu", "ptx/inner.cuh", "step.cuh"}


def test_a_damaged_store_is_compiled_over(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = compile_all(root, ONE).kernels[0].cubin
    (stored,) = (root.parent / "cubins").iterdir()
    for damage in (b"", b"{}\n", stored.read_bytes()[:-1], b"\xff" + stored.read_bytes()):
        stored.write_bytes(damage)
        assert compiled_by(root, capfd, ONE) == {"one"}
    assert compile_all(root, ONE).kernels[0].cubin == good


def test_stored_kernel_comes_back_whole(tmp_path: Path) -> None:
    cubin = Cubin(b"image\nwith a line", registers=9, spill_bytes=0, static_smem_bytes=16)
    assert cache.load(tmp_path / "none", "key") is None
    cache.store(tmp_path / "new", "key", cubin)
    assert cache.load(tmp_path / "new", "key") == cubin
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (BODY, ["alone_sm90a", "STEP", "undefined"]),
        (BODY.replace("x[", "int unused; x[").replace("STEP", "1"), ["alone_sm90a", "unused", "warnings are errors"]),
        ('extern "C" __global__ void other() {}', ["alone_sm90a", "must define this one kernel", "other"]),
        (BODY.replace("STEP", "1") * 2, ["alone_sm90a"]),
        (
            'extern "C" __global__ void __launch_bounds__(1024, 2) KERNEL_NAME(float* x) {\n'
            "float v[64];\n#pragma unroll\nfor (int i = 0; i < 64; ++i) v[i] = x[i * 1024 + threadIdx.x];\n"
            "__syncthreads();\n#pragma unroll\n"
            "for (int i = 0; i < 64; ++i) x[i * 1024 + threadIdx.x] = v[63 - i] * v[(i * 7) % 64];\n}",
            ["alone_sm90a", "spill"],
        ),
    ],
    ids=["error", "warning", "other name", "defined twice", "spill"],
)
def test_a_bad_kernel_fails_by_name(root: Path, source: str, told: list[str]) -> None:
    (root / "alone.cu").write_text(source)
    with pytest.raises(BuildError) as caught:
        compile_all(root, ONE, AuxSpec("alone", "alone.cu"))
    assert str(caught.value).startswith("1 of 2 kernels failed")
    for part in told:
        assert part in str(caught.value)


def test_every_failure_is_told(root: Path) -> None:
    (root / "step.cuh").write_text("#pragma once\n")
    with pytest.raises(BuildError, match=r"(?s)2 of 3 kernels failed.*one_sm90a.*two_sm90a"):
        compile_all(root)


@pytest.mark.parametrize(
    "note",
    [
        "(C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized",
        "(C7517) warpgroup.wait is injected in around line 1500 by compiler to allow use of registers defined by GMMA",
    ],
)
def test_serialised_wgmma_is_a_warning(note: str) -> None:
    log = f"ptxas info    : {note}\nptxas info    : Compiling entry function 'k' for 'sm_90a'\n"
    with pytest.raises(BuildError, match="k: the compiler warns"):
        read_log("k", log, b"")


def test_resources_are_read_from_the_log() -> None:
    log = (
        "ptxas info    : 0 bytes gmem\n"
        "ptxas info    : Compiling entry function 'k' for 'sm_90a'\n"
        "ptxas info    : Function properties for k\n"
        "    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
        "ptxas info    : Used 168 registers, used 2 barriers, 128 bytes smem, 640 bytes cmem[0]\n"
    )
    assert read_log("k", log, b"cubin") == Cubin(b"cubin", registers=168, spill_bytes=16, static_smem_bytes=128)


@pytest.mark.parametrize("spelled", ["inner.cuh", "../kernels/step.cuh", "gone.cuh"])
def test_includes_are_written_from_the_root(root: Path, spelled: str) -> None:
    (root / "ptx/inner.cuh").write_text(f'#include "{spelled}"\n')
    with pytest.raises(BuildError, match=f'kernels/ptx/inner.cuh includes "{spelled}"; it must be .* from kernels/'):
        read_with_headers(root, "one.cu")


def test_headers_that_include_each_other(root: Path) -> None:
    (root / "step.cuh").write_text('#pragma once\n#include "ptx/inner.cuh"\nconstexpr float STEP = 1;\n')
    assert set(read_with_headers(root, "two.cu")) == {"two.cu", "step.cuh", "ptx/inner.cuh"}


@pytest.mark.parametrize("arch", ARCHS)
def test_compiling_twice_gives_the_same_bytes(arch: str) -> None:
    # The largest and the smallest stand for all: every kernel has the same options.
    specs = sorted(catalogue(arch), key=lambda spec: len(spec.defines()))
    for spec in (specs[0], specs[-1]):
        sources = read_with_headers(KERNELS, spec.source)
        assert compile_kernel(spec, sources).image == compile_kernel(spec, sources).image


@pytest.mark.parametrize("arch", ARCHS)
def test_no_two_kernels_share_a_key(arch: str) -> None:
    keys = [
        cache.content_key("nvrtc", options(spec), read_with_headers(KERNELS, spec.source)) for spec in catalogue(arch)
    ]
    assert len(set(keys)) == len(keys)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_has_a_bar_on_a_terminal_only() -> None:
    for out in (io.StringIO(), Terminal()):
        progress = Progress(2, out)
        progress.say("kernels: 2")
        progress.step("one")
        progress.step("two")
        text = out.getvalue()
        assert "[1/2] one\n" in text
        assert text.endswith("[2/2] two\n")
        assert ("#" * 20 + "." * 20 + "] 1/2" in text) is out.isatty()
        assert ("\033" in text) is out.isatty()
