"""The tables against their sources, where the sources are installed."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag

from barrow_wheel.facts import manylinux
from barrow_wheel.facts.cpython import CPython, covered, extension_name, is_python_symbol, stable_since
from barrow_wheel.facts.libraries import SYSTEM, cuda_library
from barrow_wheel.facts.torch_abi import SHIM_JSON, allowed_minors, declared_shim_functions, is_unstable, torch_use


def package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


@pytest.mark.skipif(package_folder("torch") is None, reason="freshness is checked where torch is installed")
def test_the_torch_table_is_fresh() -> None:
    """Every shim function of the installed torch is known, and none newer than torch itself. If this fails:
    tools/generate_torch_shim.py with the headers of this torch added."""
    root = package_folder("torch")
    assert root is not None
    version = re.search(r"__version__ = '(\d+)\.(\d+)", (root / "version.py").read_text())
    assert version is not None
    installed = (int(version[1]), int(version[2]))
    data = json.loads(SHIM_JSON.read_text())
    since = {name: tuple(map(int, v.split("."))) for v, names in data["functions"].items() for name in names}
    declared = declared_shim_functions(root / "include")
    assert declared
    assert not {name for name in declared if since.get(name, (99, 0)) > installed}


def test_the_torch_table_knows_what_was_measured() -> None:
    use = torch_use(
        ["aoti_torch_library_init_def", "torch_call_dispatcher", "torch_dtype_float4_e2m1fn_x2"], ["libtorch.so"]
    )
    assert (
        use.minimum == (2, 11) and use.registers_operators and use.newest_functions == ("torch_dtype_float4_e2m1fn_x2",)
    )
    assert torch_use(["aoti_torch_empty_strided"], []).minimum is None
    assert torch_use(["torch_my_own_helper"], []).unknown == ()


@pytest.mark.parametrize(
    ("symbol", "unstable"),
    [
        ("_ZN3c1019UndefinedTensorImpl10_singletonE", True),
        ("_ZNK2at6Tensor4dataEv", True),
        ("_ZTIN3c105ErrorE", True),
        ("_ZN5torch7LibraryC1ENS0_4KindESs", True),
        ("_ZN5torch6stable6TensorC1Ev", False),
        ("_ZN5torch10headeronly5DummyE", False),
        ("THPVariable_Wrap", True),
        ("_ZN2at_my_own", False),
        ("_ZN6attach3runEv", False),
        ("_ZNSt6vectorIiE4pushEv", False),
    ],
)
def test_torch_namespaces(symbol: str, unstable: bool) -> None:
    assert is_unstable(symbol) is unstable


@pytest.mark.skipif(package_folder("auditwheel") is None, reason="compares with auditwheel's policies where installed")
def test_manylinux_tables_agree_with_auditwheel() -> None:
    root = package_folder("auditwheel")
    assert root is not None
    policies = json.loads((root / "policy/manylinux-policy.json").read_text())
    for policy in policies:
        glibc = manylinux.glibc_of_platform(policy["name"] + "_x86_64")
        if glibc is None:
            continue
        for kind in ("GLIBCXX", "CXXABI"):
            versions = [v for v in policy["symbol_versions"]["x86_64"][kind] if re.fullmatch(r"[\d.]+", v)]
            newest = max(tuple(map(int, v.split("."))) for v in versions)
            assert manylinux.allowed(kind, glibc) == newest, (policy["name"], kind)
    assert set(policies[-1]["lib_whitelist"]) == SYSTEM


@pytest.mark.parametrize(
    ("spec", "first", "last"),
    [
        (">=3.10,<3.13", 10, 12),
        ("==3.11.*", 11, 11),
        (">=3.9.2,<3.11", 9, 10),
        ("<3.12", 10, 11),
        ("", 10, 15),
        (">=3.5", 6, 15),
        (">=3", 10, 15),
        (">=2.7,!=3.0.*,!=3.1.*", 10, 15),
    ],
)
def test_covered(spec: str, first: int, last: int) -> None:
    pythons = covered(SpecifierSet(spec), free_threaded=False)
    assert [p.minor for p in pythons] == list(range(first, last + 1))


@pytest.mark.parametrize(
    ("tag", "python", "accepted"),
    [
        (Tag("cp38", "abi3", "any"), CPython(12), True),
        (Tag("cp38", "abi3", "any"), CPython(13, True), False),
        (Tag("cp312", "abi3", "any"), CPython(11), False),
        (Tag("cp313", "cp313t", "any"), CPython(13, True), True),
        (Tag("cp313", "cp313t", "any"), CPython(13), False),
        (Tag("py39", "none", "any"), CPython(14), True),
        (Tag("py39", "none", "any"), CPython(8), False),
        (Tag("cp39", "none", "any"), CPython(10), False),
        (Tag("py3", "none", "any"), CPython(13, True), True),
    ],
)
def test_tags(tag: Tag, python: CPython, accepted: bool) -> None:
    assert python.accepts(tag) is accepted


@pytest.mark.parametrize(
    ("name", "loads"),
    [
        ("_C.cpython-312-x86_64-linux-gnu.so", [CPython(12)]),
        ("_C.cpython-313t-x86_64-linux-gnu.so", [CPython(13, True)]),
        ("_C.abi3.so", [CPython(12), CPython(13)]),
        ("_C.so", [CPython(12), CPython(13), CPython(13, True)]),
        ("_C.cp312-win_amd64.pyd", [CPython(12)]),
        ("_C.pypy310-pp73-x86_64-linux-gnu.so", []),
        ("_C.cpython-312d-x86_64-linux-gnu.so", []),
    ],
)
def test_extension_names(name: str, loads: list[CPython]) -> None:
    parsed = extension_name(name)
    assert parsed is not None and parsed.stem == "_C"
    assert [p for p in (CPython(12), CPython(13), CPython(13, True)) if parsed.loads_on(p)] == loads


@pytest.mark.parametrize(
    ("name", "platform", "fits"),
    [
        ("_C.cpython-312-x86_64-linux-gnu.so", "manylinux_2_28_x86_64", True),
        ("_C.cpython-312-aarch64-linux-gnu.so", "manylinux_2_28_x86_64", False),
        ("_C.cpython-312-x86_64-linux-musl.so", "manylinux_2_28_x86_64", False),
        ("_C.cpython-312-x86_64-linux-gnu.so", "musllinux_1_2_x86_64", False),
        ("_C.cpython-310-x86_64-linux-gnu.so", "musllinux_1_2_x86_64", True),
        ("_C.cpython-310-x86_64-linux-musl.so", "musllinux_1_2_x86_64", True),
        ("_C.cpython-312-x86_64-linux-musl.so", "linux_x86_64", True),
        ("_C.cpython-311-i386-linux-gnu.so", "manylinux2014_i686", True),
        ("_C.cpython-311-arm-linux-musleabihf.so", "musllinux_1_1_armv7l", True),
        ("_C.cpython-311-powerpc64le-linux-gnu.so", "manylinux2014_ppc64le", True),
        ("_C.cpython-312-darwin.so", "manylinux_2_28_x86_64", False),
        ("_C.cpython-312-darwin.so", "macosx_11_0_arm64", True),
        ("_C.cpython-312-x86_64-linux-gnu.so", "macosx_11_0_arm64", False),
        ("_C.cp312-win_amd64.pyd", "manylinux_2_28_x86_64", False),
        ("_C.cp312-win_amd64.pyd", "win_amd64", True),
        ("_C.cpython-312-x86_64-linux-gnu.so", "any", True),
        ("_C.abi3.so", "manylinux_2_28_aarch64", True),
    ],
)
def test_suffixes_and_platform_tags(name: str, platform: str, fits: bool) -> None:
    parsed = extension_name(name)
    assert parsed is not None and parsed.fits(platform) is fits


def test_suffixes_agree_with_this_interpreter() -> None:
    from importlib.machinery import EXTENSION_SUFFIXES

    here = CPython(sys.version_info.minor)
    for suffix in EXTENSION_SUFFIXES:
        parsed = extension_name("x" + suffix)
        assert parsed is not None and parsed.loads_on(here)


@pytest.mark.parametrize("name", ["libfoo.so.1", "notes.txt", "a.b.c.so", "libfoo-1.2.so"])
def test_what_is_no_module_name(name: str) -> None:
    assert extension_name(name) is None


def test_stability_is_looked_up_and_not_guessed_from_underscores() -> None:
    assert stable_since("_Py_Dealloc") is not None and stable_since("_PyObject_New") is not None
    assert stable_since("PyFrame_GetBack") is None and stable_since("PyObject_GetBuffer") == 11
    assert is_python_symbol("PyLong_FromLong") and not is_python_symbol("PyInit__C") and not is_python_symbol("Pylon")


def test_cuda_libraries_and_their_packages() -> None:
    cudart = cuda_library("libcudart.so.12")
    assert cudart is not None and cudart.major == 12
    assert cudart.provided_by("nvidia-cuda-runtime-cu12") and not cudart.provided_by("nvidia-cuda-runtime-cu11")
    newer = cuda_library("libcudart.so.13")
    assert newer is not None and newer.provided_by("nvidia-cuda-runtime")
    assert cuda_library("libcudart_static.a") is None


def test_torch_specifiers() -> None:
    assert allowed_minors(SpecifierSet("==2.11.0")) == (11,)
    assert allowed_minors(SpecifierSet(">=2.4,<2.6")) == (4, 5)
    assert allowed_minors(SpecifierSet("==2.8.0+cu128")) == (8,)
