"""The matrix on the shapes of wheel that projects really ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CSource, WheelSpec

from barrow_wheel.check import check, read_archive
from barrow_wheel.checks.matrix import Cell, Loader, build_matrix
from barrow_wheel.findings import Severity

Make = Callable[[CSource], bytes]
Link = Callable[[str], tuple[str, ...]]
STABLE = CSource(exports=("PyInit__C",), calls=("PyLong_FromLong",))
PRIVATE = CSource(exports=("PyInit__C",), calls=("_PyObject_GetDictPtr",))
OPERATORS = CSource(calls=("aoti_torch_library_init_def",))
SUFFIX = "cpython-3{}-x86_64-linux-gnu.so"
OK, ABI3, MISSING, PURE, ANY, RISK = Cell.OK, Cell.ABI3, Cell.MISSING, Cell.PURE, Cell.ANY, Cell.RISK


def cells(spec: WheelSpec, folder: Path) -> dict[str, tuple[Loader, list[Cell]]]:
    matrix = build_matrix(read_archive(spec.write(folder)))
    return {module.name: (module.loader, list(module.cells)) for module in matrix.modules}


def rules(spec: WheelSpec, folder: Path) -> list[str]:
    return sorted({f.rule for f in check([str(spec.write(folder))]).findings})


def test_one_versioned_file_in_an_abi3_wheel(compile_so: Make, tmp_path: Path) -> None:
    """vllm 0.20.2: everything abi3 but one pybind11 module for 3.12."""
    spec = WheelSpec(
        {"demo/_C.abi3.so": compile_so(STABLE), "demo/gemm/_C." + SUFFIX.format(12): compile_so(PRIVATE)},
        requires_python=">=3.10,<3.14",
    )
    found = cells(spec, tmp_path)
    assert found["demo._C"] == (Loader.IMPORT, [ABI3] * 4)
    assert found["demo.gemm._C"] == (Loader.IMPORT, [MISSING, MISSING, OK, MISSING])
    report = check([str(spec.write(tmp_path))])
    (finding,) = report.findings
    assert finding.rule == "matrix-missing-cell" and "3.10, 3.11, 3.13" in finding.message
    assert "_PyObject_GetDictPtr" in " ".join(finding.evidence)


def test_a_file_for_each_cpython_fills_the_row(compile_so: Make, tmp_path: Path) -> None:
    files = {"demo/_C." + SUFFIX.format(minor): compile_so(PRIVATE) for minor in (10, 11, 12)}
    spec = WheelSpec(files, tag="cp38-abi3-manylinux_2_28_x86_64", requires_python=">=3.10,<3.13")
    assert cells(spec, tmp_path)["demo._C"][1] == [OK, OK, OK]
    assert rules(spec, tmp_path) == []


def test_a_module_with_a_name_beyond_ascii(compile_so: Make, tmp_path: Path) -> None:
    """PEP 489's own example."""
    source = CSource(exports=("PyInitU_lanmt_2sa6t",), calls=("PyLong_FromLong",))
    spec = WheelSpec({"demo/lančmít." + SUFFIX.format(12): compile_so(source)}, requires_python=">=3.12,<3.13")
    assert cells(spec, tmp_path)["demo.lančmít"] == (Loader.IMPORT, [OK])


def test_soabi_in_the_name_proves_no_import(compile_so: Make, tmp_path: Path) -> None:
    """torchao 0.18: named for 3.10, but without PyInit, loaded by torch.ops.load_library."""
    spec = WheelSpec({"demo/_C_ops." + SUFFIX.format(10): compile_so(OPERATORS)}, requires_dist=["torch>=2.9"])
    ((loader, row),) = cells(spec, tmp_path).values()
    assert loader is Loader.TORCH and set(row) == {ANY}
    assert rules(spec, tmp_path) == []


def test_libraries_are_no_modules(compile_so: Make, tmp_path: Path) -> None:
    """bitsandbytes: ctypes only."""
    spec = WheelSpec({"demo/libdemo.so": compile_so(CSource(exports=("run",)))}, tag="py3-none-manylinux_2_28_x86_64")
    ((loader, row),) = cells(spec, tmp_path).values()
    assert loader is Loader.LIBRARY and set(row) == {ANY}
    assert rules(spec, tmp_path) == []


def test_python_source_behind_a_compiled_module(compile_so: Make, tmp_path: Path) -> None:
    spec = WheelSpec(
        {"demo/_C." + SUFFIX.format(12): compile_so(PRIVATE), "demo/_C.py": b"", },
        tag="py3-none-manylinux_2_28_x86_64", requires_python=">=3.11,<3.13",
    )  # fmt: skip
    assert cells(spec, tmp_path)["demo._C"][1] == [PURE, OK]
    assert rules(spec, tmp_path) == []


def test_free_threaded_columns_only_where_the_wheel_can_be_installed(compile_so: Make, tmp_path: Path) -> None:
    files = {
        "demo/_C." + SUFFIX.format("13"): compile_so(PRIVATE),
        "demo/_C." + SUFFIX.format("13t"): compile_so(PRIVATE),
    }
    both = WheelSpec(files, tag="py3-none-manylinux_2_28_x86_64", requires_python="==3.13.*")
    assert cells(both, tmp_path)["demo._C"][1] == [OK, OK]
    threaded = WheelSpec(files, tag="cp313-cp313t-manylinux_2_28_x86_64", requires_python=">=3.10")
    matrix = build_matrix(read_archive(threaded.write(tmp_path)))
    assert [str(p) for p in matrix.pythons] == ["3.13t"]


def test_a_claim_of_free_threading_makes_gaps_errors(compile_so: Make, tmp_path: Path) -> None:
    spec = WheelSpec(
        {"demo/_C." + SUFFIX.format(14): compile_so(PRIVATE)}, tag="py3-none-manylinux_2_28_x86_64",
        requires_python="==3.14.*", classifiers=["Programming Language :: Python :: Free Threading :: 2 - Beta"],
    )  # fmt: skip
    assert rules(spec, tmp_path) == ["matrix-missing-cell"]


def test_names_like_cpythons_that_the_wheel_defines_itself(compile_so: Make, link_stub: Link, tmp_path: Path) -> None:
    """No false alarm on a project's own Py names (abi3audit issue 111), in what the module links or that links."""
    calls = CSource(exports=("PyInit__C", "PyInit_other"), calls=("PyDemo_Helper",))
    files = {
        "demo/libouter.so": compile_so(CSource(exports=("outer",), flags=link_stub("libhelper.so"))),
        "demo/libhelper.so": compile_so(CSource(exports=("PyDemo_Helper",))),
    }
    linking = CSource(calls.exports, calls.calls, flags=link_stub("libouter.so"))
    assert rules(WheelSpec({"demo/_C.abi3.so": compile_so(linking), **files}), tmp_path) == []
    assert rules(WheelSpec({"demo/_C.abi3.so": compile_so(calls), **files}), tmp_path) == ["abi3-unstable-symbol"]


def test_exact_files_excuse_a_newer_abi3_file(compile_so: Make, tmp_path: Path) -> None:
    """What `merge` makes of cp310, cp311 and cp312-abi3 wheels."""
    files = {"demo/_C." + SUFFIX.format(minor): compile_so(PRIVATE) for minor in (10, 11)}
    files["demo/_C.abi3.so"] = compile_so(CSource(exports=("PyInit__C",), calls=("PyVectorcall_Call",)))  # since 3.12
    spec = WheelSpec(
        files, tag="cp310.cp311.cp312-cp310.cp311.abi3-manylinux_2_28_x86_64", requires_python=">=3.10,<3.14"
    )
    assert cells(spec, tmp_path)["demo._C"][1] == [OK, OK, ABI3, ABI3]
    assert rules(spec, tmp_path) == []


def test_an_abi3_file_that_is_too_new_is_a_risk(compile_so: Make, tmp_path: Path) -> None:
    newer = CSource(exports=("PyInit__C",), calls=("PyVectorcall_Call",))
    spec = WheelSpec({"demo/_C.abi3.so": compile_so(newer)}, requires_python=">=3.11,<3.13")
    assert cells(spec, tmp_path)["demo._C"][1] == [RISK, ABI3]


def test_a_tag_for_an_old_cpython_is_taken_at_its_word(compile_so: Make, tmp_path: Path) -> None:
    spec = WheelSpec(
        {"demo/_C." + SUFFIX.format(8): compile_so(PRIVATE)},
        tag="cp39-cp39-manylinux_2_28_x86_64",
        requires_python=None,
    )
    assert cells(spec, tmp_path)["demo._C"][1] == [MISSING]
    assert rules(spec, tmp_path) == ["matrix-missing-cell"]


@pytest.mark.parametrize(
    ("tag", "requires_python"), [("cp38-abi3", "<3.10"), ("cp316-cp316", ">=3.16"), ("py3-none", ">=3.16")]
)
def test_what_installs_somewhere(tag: str, requires_python: str, tmp_path: Path) -> None:
    spec = WheelSpec({}, tag=f"{tag}-manylinux_2_28_x86_64", requires_python=requires_python)
    assert rules(spec, tmp_path) == []


def test_a_lower_bound_before_the_oldest_cpython_known_is_one(compile_so: Make, tmp_path: Path) -> None:
    newer = CSource(exports=("PyInit__C",), calls=("PyObject_CallNoArgs",))  # since 3.10
    spec = WheelSpec(
        {"demo/_C.abi3.so": compile_so(newer)}, tag="cp38-abi3-manylinux_2_28_x86_64", requires_python=">=3.5"
    )
    assert rules(spec, tmp_path) == ["abi3-floor-above-requires-python"]


@pytest.mark.parametrize(
    "suffix",
    ["cpython-312-aarch64-linux-gnu.so", "cpython-312-x86_64-linux-musl.so", "cpython-312d-x86_64-linux-gnu.so"],
)
def test_a_suffix_of_another_platform_or_a_debug_build_fills_no_cell(
    suffix: str, compile_so: Make, tmp_path: Path
) -> None:
    spec = WheelSpec(
        {f"demo/_C.{suffix}": compile_so(STABLE)}, tag="cp312-cp312-manylinux_2_28_x86_64", requires_python="==3.12.*"
    )
    assert cells(spec, tmp_path)["demo._C"][1] == [MISSING]
    assert rules(spec, tmp_path) == ["matrix-missing-cell"]


def test_libraries_for_another_machine(compile_so: Make, tmp_path: Path) -> None:
    native = compile_so(CSource(exports=("run",)))
    other = native[:18] + (183).to_bytes(2, "little") + native[20:]
    wrong = WheelSpec({"demo/libdemo.so": other}, tag="py3-none-manylinux_2_28_x86_64")
    (finding,) = check([str(wrong.write(tmp_path))]).findings
    assert finding.rule == "matrix-wrong-machine" and finding.severity is Severity.WARNING
    choice = WheelSpec({"demo/lib_arm.so": other, "demo/lib_x86.so": native}, tag="py3-none-manylinux_2_28_x86_64")
    assert rules(choice, tmp_path) == []


@pytest.mark.parametrize(("name", "head"), [("_C.cp312-win_amd64.pyd", b"MZ\0\0"), ("_C.abi3.so", b"\xcf\xfa\xed\xfe")])
def test_files_of_windows_and_macos_do_not_load_on_linux(name: str, head: bytes, tmp_path: Path) -> None:
    spec = WheelSpec({f"demo/{name}": head + bytes(100)}, tag="cp312-cp312-manylinux_2_28_x86_64")
    assert cells(spec, tmp_path)["demo._C"][1] == [MISSING]


@pytest.mark.parametrize("folder", ["demo/", "", "demo-1.0.data/platlib/demo/"])
def test_module_names(folder: str, compile_so: Make, tmp_path: Path) -> None:
    found = cells(WheelSpec({f"{folder}_C.abi3.so": compile_so(STABLE)}), tmp_path)
    assert list(found) == ["demo._C" if folder else "_C"]
