"""The build command around the compiler: what it writes and depends on, and how a bad table of choices ends it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from barrow_build.aot import __main__ as aot
from barrow_build.aot.kernel import Compiled, Cubin, Kernel
from barrow_build.config import GemmSpec, catalogue, tuning

NAMES = [spec.name for spec in catalogue("90a") if isinstance(spec, GemmSpec)]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Runs the build with empty cubins, and tables from `tuned` in the folder of the test."""
    (tmp_path / "tuned").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(tuning, "FOLDER", tmp_path / "tuned")

    def compile_kernels(specs: list[GemmSpec], *rest: object) -> Compiled:
        return Compiled(tuple(Kernel(spec, Cubin(b"", 0, 0, 0)) for spec in specs))

    monkeypatch.setattr("barrow_build.aot.compile.compile_kernels", compile_kernels)
    paths = [f"--sources={tmp_path}", f"--cache={tmp_path}", f"--out={tmp_path / 'out'}"]
    monkeypatch.setattr(sys, "argv", ["aot", "build", "--archs=90a", "--jobs=1", *paths])
    return aot.main


def choice(kernel: str) -> str:
    row = {"groups": 0, "n": 2112, "k": 7168, "m": 64, "kernel": kernel, "gain": 1.5}
    return json.dumps({"gpu": "H100", "num_sms": 132, "memory_gb_s": 3352, "timed": NAMES, "choices": [row]})


def test_tables_are_compiled_in_and_watched(build: Callable[[], int], tmp_path: Path) -> None:
    table = tmp_path / "tuned/h100.json"
    table.write_text(choice(NAMES[0]))
    assert build() == 0
    generated = (tmp_path / "out/catalogue.cpp").read_text()
    assert '{"H100", 132, 3352, 0, 1},' in generated
    assert "{static_cast<Dtype>(0), 0, 2112, 7168, 64, 0}," in generated
    watched = (tmp_path / "out/kernels.d").read_text().split()
    assert str(table) in watched
    assert str(table.parent) in watched  # a table that is added or removed


def test_a_table_with_an_unknown_kernel_ends_the_build(
    build: Callable[[], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tuned/h100.json").write_text(choice("gone"))
    assert build() == 1
    assert capsys.readouterr().err == (
        "error: h100.json: choice 0: the catalogue has no kernel 'gone'; run barrow tune and "
        "benchmarks/write_table.py again, or remove the file\n"
    )


def test_a_build_without_kernels_has_no_tables(
    build: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tuned/h100.json").write_text(choice(NAMES[0]))
    monkeypatch.setattr(sys, "argv", [argument.replace("--archs=90a", "--archs=") for argument in sys.argv])
    assert build() == 0
    assert "kTunedGpuCount = 0;" in (tmp_path / "out/catalogue.cpp").read_text()
