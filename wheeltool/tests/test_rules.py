"""Every rule has a wheel that it finds, and a wheel without faults that nothing finds."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import CSource, WheelSpec, cuda_source, fatbin, fatbin_entry

import barrow_wheel
from barrow_wheel.allowlist import Allowlist, Entry
from barrow_wheel.check import check
from barrow_wheel.errors import UsageError
from barrow_wheel.facts.gpus import gpu
from barrow_wheel.findings import Finding, Severity
from barrow_wheel.rules import RULES

MODULE = CSource(exports=("PyInit__C",), calls=("PyLong_FromLong", "PyUnicode_FromString"))
PRIVATE = CSource(exports=("PyInit__C",), calls=("PyLong_FromLong", "_PyObject_GetDictPtr", "PyFrame_GetBack"))
NEW = CSource(exports=("PyInit__C",), calls=("PyObject_GetBuffer",))  # stable since 3.11
SHIM = CSource(calls=("aoti_torch_library_init_def", "torch_dtype_float4_e2m1fn_x2"))  # torch 2.11
CXX_ABI = CSource(calls=("_ZN2at11TensorMaker11make_tensorEv", "_ZN5torch7LibraryC1ENS0_4KindESs"))
SM90 = fatbin_entry(2, 90)
PTX80 = fatbin_entry(1, 80, low=0, high=8)
MIB = 1 << 20

Make = Callable[[CSource], bytes]
Link = Callable[[str], tuple[str, ...]]


def linked(source: CSource, flags: tuple[str, ...]) -> CSource:
    return CSource(source.exports, source.calls, source.weak, source.text, source.flags + flags)


def versioned(make: Make, tmp_path: Path, soname: str, version: str) -> bytes:
    """A module that needs `needed` of a symbol version, from a stub library that is linked and not shipped."""
    script = tmp_path / "v.map"
    script.write_text(f"{version} {{ global: needed; }};")
    stub_c = tmp_path / "stub.c"
    stub_c.write_text("void needed(void) {}")
    stub = tmp_path / soname
    subprocess.run(
        [
            "gcc",
            "-shared",
            "-fPIC",
            "-nostdlib",
            f"-Wl,-soname,{soname}",
            f"-Wl,--version-script={script}",
            str(stub_c),
            "-o",
            str(stub),
        ],
        check=True,
    )
    return make(
        CSource(exports=("PyInit__C",), calls=("needed",), flags=(str(stub), f"-DV={version.replace('.', '_')}"))
    )


def symlink_member() -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo("demo/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, b"/etc/passwd"


def cases(make: Make, link: Link, tmp: Path) -> dict[str, Any]:
    """rule -> WheelSpec, or (WheelSpec, names of GPUs to ask for), or several WheelSpecs of one release."""
    so = "demo/_C.abi3.so"
    cuda12 = link("libcudart.so.12")
    h100_only = make(cuda_source(tmp, fatbin(SM90)))
    with_ptx = make(cuda_source(tmp, fatbin(SM90, PTX80)))
    headers = {f"demo/include/cute/{i}.hpp": b"x%d" % i for i in range(12)}
    nvcc = make(CSource(text='const char words[] = "nvcc\\0cuobjdump\\0CUDA_HOME";'))
    debug = CSource(exports=("PyInit__C",), flags=("-g",), text="".join(f"int variable_{i};" for i in range(40_000)))
    symbols = CSource(
        text="".join(f"static int v{i}(void) {{ return {i}; }} int (*p{i})(void) = v{i};" for i in range(30_000))
    )
    return {
        "matrix-missing-cell": WheelSpec({"demo/_C.cpython-312-x86_64-linux-gnu.so": make(PRIVATE)}),
        "matrix-missing-free-threaded": WheelSpec({so: make(MODULE)}, tag="py3-none-manylinux_2_28_x86_64"),
        "matrix-unversioned-module": WheelSpec({"demo/_C.so": make(PRIVATE)}, tag="py3-none-manylinux_2_28_x86_64"),
        "installs-nowhere": WheelSpec({}, tag="cp312-cp312-manylinux_2_28_x86_64", requires_python=">=3.10,<3.12"),
        "matrix-wrong-machine": WheelSpec({so: make(MODULE)}, tag="cp310-abi3-manylinux_2_28_aarch64"),
        "abi3-unstable-symbol": WheelSpec({so: make(PRIVATE)}),
        "abi3-floor-above-requires-python": WheelSpec({so: make(NEW)}),
        "abi3-floor-above-tag": WheelSpec({so: make(NEW)}, requires_python=">=3.11"),
        "abi3-floor-needlessly-high": WheelSpec({so: make(MODULE)}, tag="cp312-abi3-manylinux_2_28_x86_64"),
        "links-libpython": WheelSpec({so: make(linked(MODULE, link("libpython3.12.so.1.0")))}),
        "torch-floor-too-low": WheelSpec({so: make(SHIM)}, requires_dist=["torch>=2.10"]),
        "torch-requirement-missing": WheelSpec({so: make(SHIM)}),
        "torch-unstable-abi-unpinned": WheelSpec({so: make(CXX_ABI)}, requires_dist=["torch>=2.4"]),
        "torch-symbol-unknown": WheelSpec(
            {so: make(CSource(calls=("aoti_torch_of_next_year",)))}, requires_dist=["torch>=2.10"]
        ),
        "gpu-not-covered": (WheelSpec({"demo/lib.so": h100_only}), ["b200"]),
        "gpu-partly-covered": (
            WheelSpec({"demo/a.so": h100_only, "demo/b.so": make(cuda_source(tmp, fatbin(fatbin_entry(2, 100))))}),
            ["b200"],
        ),
        "gpu-jit-only": (WheelSpec({"demo/lib.so": with_ptx}), ["b200"]),
        "cuda-library-undeclared": WheelSpec({so: make(linked(SHIM, cuda12))}, requires_dist=["torch>=2.11"]),
        "cuda-major-conflict": WheelSpec(
            {so: make(linked(MODULE, cuda12))}, requires_dist=["nvidia-cuda-runtime-cu11"]
        ),
        "cuda-mixed-majors": WheelSpec({so: make(linked(MODULE, cuda12 + link("libcublas.so.13")))}),
        "toolkit-at-run-time": WheelSpec({"demo/lib.so": nvcc, **headers}),
        "host-compiler-at-run-time": WheelSpec(
            {
                "demo/build.py": b"from torch.utils.cpp_extension import load\nload('x', ['a.cpp'])\n",
                "demo/a.cpp": b"int x;",
            }
        ),
        "jit-at-run-time": WheelSpec({"demo/kernels.py": b"import triton\n\n\n@triton.jit\ndef kernel(x): ...\n"}),
        "library-not-provided": WheelSpec({so: make(linked(MODULE, link("libnuma.so.1")))}),
        "glibc-above-tag": WheelSpec({so: versioned(make, tmp, "libc.so.6", "GLIBC_2.34")}),
        "glibc-on-musl": WheelSpec(
            {so: versioned(make, tmp, "libc.so.6", "GLIBC_2.17")}, tag="cp310-abi3-musllinux_1_2_x86_64"
        ),
        "libstdcxx-above-tag": WheelSpec({so: versioned(make, tmp, "libstdc++.so.6", "GLIBCXX_3.4.30")}),
        "rpath-outside": WheelSpec({so: make(linked(MODULE, ("-Wl,-rpath,/home/somebody/lib",)))}),
        "executable-stack": WheelSpec({so: make(linked(MODULE, ("-Wl,-z,execstack",)))}),
        "tag-mismatch": WheelSpec({so: make(MODULE)}, wheel_tags=["cp310-abi3-linux_x86_64"]),
        "platform-tag-linux": WheelSpec({so: make(MODULE)}, tag="cp310-abi3-linux_x86_64"),
        "platform-tag-any": WheelSpec({"demo/lib.so": make(CSource())}, tag="py3-none-any"),
        "name-mismatch": WheelSpec({so: make(MODULE)}, metadata_version_line="Version: 2.0"),
        "metadata-invalid": WheelSpec({so: make(MODULE)}, requires_python="newer than 3.9"),
        "record-mismatch": WheelSpec(
            {so: make(MODULE), "demo/__init__.py": b"x"},
            record_edit=lambda r: r.replace("sha256=LXEWQ", "sha256=LXEWR"),
        ),
        "record-incomplete": WheelSpec(
            {so: make(MODULE)}, record_edit=lambda r: r.replace("demo/_C.abi3.so", "demo/_D.abi3.so")
        ),
        "unsafe-member": WheelSpec({so: make(MODULE)}, extra_members=[symlink_member()]),
        "duplicate-member": WheelSpec(
            {so: make(MODULE)}, extra_members=[(zipfile.ZipInfo("demo/_C.abi3.so"), b"again")]
        ),
        "unreadable-file": WheelSpec({so: make(MODULE)[:3000]}),
        "binary-not-read": WheelSpec({"demo/_C.cp312-win_amd64.pyd": b"MZ" + b"\0" * 100}, tag="cp312-cp312-win_amd64"),
        "debug-information": WheelSpec({so: make(debug)}),
        "symbol-table": WheelSpec({"demo/lib.so": make(symbols)}),
        "duplicate-content": WheelSpec(
            {"demo/a.bin": bytes(range(256)) * 8192, "demo/b.bin": bytes(range(256)) * 8192}
        ),
        "release-missing-wheel": [
            WheelSpec({}, tag="cp311-cp311-manylinux_2_28_x86_64"),
            WheelSpec({}, tag="cp312-cp312-manylinux_2_28_x86_64"),
        ],
    }


@pytest.fixture(scope="module")
def all_cases(compile_so: Make, link_stub: Link, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return cases(compile_so, link_stub, tmp_path_factory.mktemp("cases"))


def found_by(case: Any, folder: Path) -> tuple[Finding, ...]:
    gpus: list[str] = []
    if isinstance(case, tuple):
        case, gpus = case
    specs = case if isinstance(case, list) else [case]
    # zipfile warns about the duplicate that one case writes on purpose.
    with (
        pytest.warns(UserWarning)
        if any(s.extra_members and s.extra_members[0][1] == b"again" for s in specs)
        else nullcontext()
    ):
        paths = [str(spec.write(folder)) for spec in specs]
    return check(paths, [gpu(name) for name in gpus]).findings


@pytest.mark.parametrize("rule", [name for name in RULES if name != "allowlist-stale"])
def test_rule_is_found(rule: str, all_cases: dict[str, Any], tmp_path: Path) -> None:
    findings = [f for f in found_by(all_cases[rule], tmp_path) if f.rule == rule]
    assert findings, f"no wheel shows {rule}"
    for finding in findings:
        assert finding.message and finding.remedy
        assert finding.severity <= RULES[rule].severity


def test_a_sound_abi3_wheel_has_no_finding(compile_so: Make, tmp_path: Path) -> None:
    spec = WheelSpec({"demo/__init__.py": b"from demo import _C\n", "demo/_C.abi3.so": compile_so(MODULE)})
    assert check([str(spec.write(tmp_path))]).findings == ()


def test_a_sound_torch_wheel_has_no_finding(compile_so: Make, link_stub: Link, tmp_path: Path) -> None:
    weak_stream = CSource(SHIM.exports, SHIM.calls, ("aoti_torch_of_next_year",), "", link_stub("libcudart.so.13"))
    spec = WheelSpec(
        {"demo/_C.so": compile_so(weak_stream)}, tag="py3-none-manylinux_2_28_x86_64", requires_dist=["torch>=2.11"]
    )
    assert check([str(spec.write(tmp_path))]).findings == ()


def test_namespaces_of_the_same_name_are_not_torch(compile_so: Make, link_stub: Link, tmp_path: Path) -> None:
    own = WheelSpec({"demo/_C.abi3.so": compile_so(linked(MODULE, ())), "demo/libown.so": compile_so(CXX_ABI)})
    assert check([str(own.write(tmp_path))]).findings == ()
    used = WheelSpec({"demo/libused.so": compile_so(linked(CXX_ABI, link_stub("libtorch.so")))}, name="used")
    assert [f.rule for f in check([str(used.write(tmp_path))]).findings] == ["torch-requirement-missing"]


@pytest.mark.parametrize("minors", [(10, 11), (10, 11, 12)])
def test_one_module_for_several_cpythons_is_no_choice_between_torches(
    minors: tuple[int, ...], compile_so: Make, tmp_path: Path
) -> None:
    files = {f"demo/_C.cpython-3{minor}-x86_64-linux-gnu.so": compile_so(SHIM) for minor in minors}
    spec = WheelSpec(files, requires_dist=["torch>=2.4"])
    assert {f.rule for f in check([str(spec.write(tmp_path))]).findings} == {"torch-floor-too-low"}


def test_a_wheel_for_any_platform_with_files_for_several(compile_so: Make, tmp_path: Path) -> None:
    """debugpy: a library each for Linux, Windows and macOS, chosen when it runs."""
    spec = WheelSpec(
        {"demo/attach_linux.so": compile_so(CSource()), "demo/attach_windows.dll": b"MZ" + bytes(100)},
        tag="py3-none-any",
    )
    assert {f.rule for f in check([str(spec.write(tmp_path))]).findings} == {"binary-not-read"}


def test_relative_relocations_need_glibc_2_36(compile_so: Make, tmp_path: Path) -> None:
    so = versioned(compile_so, tmp_path, "libc.so.6", "GLIBC_ABI_DT_RELR")
    older, newer = (
        WheelSpec({"demo/_C.abi3.so": so}, tag=f"cp310-abi3-manylinux_2_{minor}_x86_64") for minor in (35, 36)
    )
    (finding,) = check([str(older.write(tmp_path))]).findings
    assert finding.rule == "glibc-above-tag" and "GLIBC_ABI_DT_RELR" in finding.message
    assert check([str(newer.write(tmp_path))]).findings == ()


def test_one_library_per_torch_is_a_choice(compile_so: Make, tmp_path: Path) -> None:
    files = {f"demo/lib_torch2{minor}.so": compile_so(SHIM) for minor in (8, 9, 10)}
    spec = WheelSpec(files, requires_dist=["torch>=2.4"])
    assert check([str(spec.write(tmp_path))]).findings == ()


def test_hexadecimal_hashes_are_named_as_such(tmp_path: Path) -> None:
    hexadecimal = hashlib.sha256(b"x").hexdigest()
    spec = WheelSpec(
        {"demo/x.py": b"x"}, record_edit=lambda r: f"demo/x.py,sha256={hexadecimal},1\n" + r.split("\n", 1)[1]
    )
    (finding,) = check([str(spec.write(tmp_path))]).findings
    assert finding.rule == "record-mismatch" and "hexadecimal" in finding.evidence[0]


def test_an_empty_search_path_is_none(compile_so: Make, tmp_path: Path) -> None:
    spec = WheelSpec({"demo/_C.abi3.so": compile_so(linked(MODULE, ("-Wl,-rpath,",)))})
    assert check([str(spec.write(tmp_path))]).findings == ()


def test_a_search_path_to_another_package_brings_no_library_of_the_distribution(
    compile_so: Make, link_stub: Link, tmp_path: Path
) -> None:
    flags = link_stub("libnuma.so.1") + link_stub("libtheirs.so") + link_stub("libnvinfer.so.10")
    module = compile_so(linked(MODULE, (*flags, "-Wl,-rpath,$ORIGIN/../torch/lib")))
    (finding,) = check([str(WheelSpec({"demo/_C.abi3.so": module}).write(tmp_path))]).findings
    assert finding.rule == "library-not-provided" and finding.severity is Severity.WARNING
    assert "links libnuma.so.1;" in finding.message


@pytest.mark.parametrize(
    ("requirement", "rule"),
    [
        ("nvidia-cuda-runtime-cu12", ""),
        ('nvidia-cuda-runtime-cu12; platform_system == "Linux" and platform_machine == "x86_64"', ""),
        ('nvidia-cuda-runtime-cu12; python_version >= "3.12"', ""),
        ('nvidia-cuda-runtime-cu12; extra == "cuda"', "cuda-library-undeclared"),
        ('nvidia-cuda-runtime-cu12; platform_system == "Windows"', "cuda-library-undeclared"),
        ('nvidia-cuda-runtime-cu12; python_version < "3.8"', "cuda-library-undeclared"),
        ('nvidia-cuda-runtime-cu13; extra == "cu13"', "cuda-library-undeclared"),
        ("nvidia-cuda-runtime-cu13", "cuda-major-conflict"),
        ("nvidia-cuda-runtime>=13", "cuda-major-conflict"),
        ("cuda-toolkit[cudart]==13.*", "cuda-library-undeclared"),
        ("cuda-toolkit[cudart]==12.9.1", ""),
        ("cuda-toolkit[cudart]", ""),
        ('torch==2.9.*; sys_platform == "win32"', "cuda-library-undeclared"),
    ],
)
def test_which_requirements_bring_a_cuda_library(
    requirement: str, rule: str, compile_so: Make, link_stub: Link, tmp_path: Path
) -> None:
    module = compile_so(linked(MODULE, link_stub("libcudart.so.12")))
    spec = WheelSpec({"demo/_C.abi3.so": module}, requires_dist=[requirement])
    assert "".join(f.rule for f in check([str(spec.write(tmp_path))]).findings) == rule


@pytest.mark.parametrize(("marker", "rules"), [("", set()), ('; extra == "jit"', {"toolkit-at-run-time"})])
def test_an_extra_brings_no_nvrtc(marker: str, rules: set[str], compile_so: Make, tmp_path: Path) -> None:
    files = {
        "demo/lib.so": compile_so(CSource(calls=("nvrtcCompileProgram",))),
        "demo/__init__.py": b"import subprocess\nsubprocess.run(['nvcc'])\n",
    }
    spec = WheelSpec(files, requires_dist=[f"nvidia-cuda-nvrtc-cu12{marker}"])
    assert {f.rule for f in check([str(spec.write(tmp_path))]).findings} == rules


def test_the_tool_finds_nothing_in_itself(tmp_path: Path) -> None:
    package = Path(barrow_wheel.__file__).parent
    files = {f"barrow_wheel/{path.relative_to(package)}": path.read_bytes() for path in package.rglob("*.py")}
    assert check([str(WheelSpec(files, tag="py3-none-any").write(tmp_path))]).findings == ()


def test_a_marker_that_makes_no_sense_is_no_failure(compile_so: Make, link_stub: Link, tmp_path: Path) -> None:
    module = compile_so(linked(MODULE, link_stub("libcudart.so.12")))
    spec = WheelSpec({"demo/_C.abi3.so": module}, requires_dist=['nvidia-cuda-runtime-cu12; python_version ~= "linux"'])
    assert check([str(spec.write(tmp_path))]).findings == ()


def test_a_wheel_without_binaries_lacks_code_for_no_gpu(tmp_path: Path) -> None:
    spec = WheelSpec({"demo/__init__.py": b""}, tag="py3-none-any")
    assert check([str(spec.write(tmp_path))], [gpu("h100")]).findings == ()


def test_evidence_of_torch_names_functions_before_links(compile_so: Make, link_stub: Link, tmp_path: Path) -> None:
    shim = CSource(calls=("aoti_torch_empty_strided",))
    for source, evidence in ((shim, shim.calls), (CSource(flags=link_stub("libtorch.so")), ("links libtorch",))):
        (finding,) = check([str(WheelSpec({"demo/lib.so": compile_so(source)}).write(tmp_path))]).findings
        assert finding.rule == "torch-requirement-missing" and finding.evidence == evidence


def test_one_finding_stands_for_all_files_of_an_unpinned_torch(compile_so: Make, tmp_path: Path) -> None:
    module = compile_so(CXX_ABI)
    spec = WheelSpec({"demo/_A.abi3.so": module, "demo/_B.abi3.so": module}, requires_dist=["torch>=2.4"])
    (finding,) = check([str(spec.write(tmp_path))]).findings
    assert finding.message.startswith("2 symbols of torch's C++ ABI (and 1 more file), and Requires-Dist")


def test_an_unknown_key_of_the_allowlist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "allow.toml"
    path.write_text('[[allow]]\nrule = "dead-weight"\nreason = "tests"\nfoo = 1\n')
    with pytest.raises(UsageError, match="unknown key foo"):
        Allowlist.load(path)


def test_allowlist_excuses_and_goes_stale(all_cases: dict[str, Any], tmp_path: Path) -> None:
    path = str(all_cases["rpath-outside"].write(tmp_path))
    allow = Allowlist(
        (Entry("rpath-outside", "the plugin folder", file="demo/*", evidence="/home/somebody"),), "allow.toml"
    )
    report = check([path], allowlist=allow)
    assert report.findings == () and report.wheels[0].excused == 1
    stale = Allowlist((Entry("rpath-outside", "x", file="other/*"),), "allow.toml")
    rules = {f.rule: f.severity for f in check([path], allowlist=stale).findings}
    assert rules == {"rpath-outside": Severity.WARNING, "allowlist-stale": Severity.ERROR}
