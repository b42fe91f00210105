"""Builds from a copy of the sources in another folder: same bytes, nothing compiled twice, the variables obeyed."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from built_wheel import ROOT, Wheel, read_wheel

SOURCES = ("CMakeLists.txt", "LICENSE", "README.md", "cmake", "kernels", "launcher", "pyproject.toml", "src")
VARIABLES = ("BARROW_", "TORCH_CUDA_ARCH_LIST", "MAX_JOBS", "SOURCE_DATE_EPOCH", "CMAKE_", "SKBUILD_")
BINARIES = ("_C.abi3.so", "kernels.pack", "manifest.json")

Build = Callable[..., tuple[Wheel, str]]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources under another path, never built before."""
    folder = tmp_path_factory.mktemp("a folder with another name") / "sources"
    folder.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder


def run(
    command: list[str], folder: Path, variables: dict[str, str], umask: int = 0o077
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(VARIABLES)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**inherited, "PATH": path, **variables}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, umask=umask)


@pytest.fixture
def build(tree: Path, wheel: Wheel, tmp_path: Path) -> Build:
    def build_wheel(**variables: str) -> tuple[Wheel, str]:
        """Build the tree and return the wheel and all that the build said."""
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "out")]
        result = run(command, tree, {"SOURCE_DATE_EPOCH": str(wheel.epoch), **variables})
        assert result.returncode == 0, result.stdout + result.stderr
        (path,) = (tmp_path / "out").iterdir()
        return read_wheel(path), result.stdout

    return build_wheel


def fails(tree: Path, tmp_path: Path, **variables: str) -> str:
    """What a build that must fail says, on one line."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    result = run(command, tree, variables)
    assert result.returncode != 0
    return " ".join((result.stdout + result.stderr).split())


def test_another_folder_gives_the_same_wheel(build: Build, wheel: Wheel, tmp_path: Path) -> None:
    built, said = build(MAX_JOBS="1")
    assert "in 1 jobs" in said
    assert "unchanged 0," in said
    command = ["auditwheel", "repair", "--plat", "manylinux_2_28_x86_64", "--only-plat", "--exclude", "libtorch.so"]
    # auditwheel, other than the build, puts the file modes of its umask into the wheel; the Makefile sets this one.
    result = run([*command, str(built.path)], tmp_path, {"SOURCE_DATE_EPOCH": str(wheel.epoch)}, umask=0o022)
    assert result.returncode == 0, result.stderr
    repaired = read_wheel(tmp_path / "wheelhouse" / wheel.path.name)
    assert {name for name in wheel.files if repaired.files.get(name) != wheel.files[name]} == set()
    assert repaired.path.read_bytes() == wheel.path.read_bytes()


def test_a_change_of_python_compiles_nothing(build: Build, tree: Path) -> None:
    build()
    changed = tree / "src/barrow/__init__.py"
    text = changed.read_text()
    changed.write_text(f"{text}# changed\n")
    try:
        built, said = build()
    finally:
        changed.write_text(text)
    assert built.files["barrow/__init__.py"].endswith(b"# changed\n")
    assert "to compile" not in said
    assert "Building CXX" not in said


def test_a_changed_header_compiles_the_kernels_that_include_it(build: Build, tree: Path) -> None:
    build()
    header = tree / "kernels/quantize.cuh"
    text = header.read_text()
    header.write_text(f"{text}// changed\n")
    try:
        _, said = build()
    finally:
        header.write_text(text)
    compiled = {line.split("] ")[1].split("_sm")[0] for line in said.splitlines() if "registers," in line}
    quantizers = {"per_token_group_quant", "per_block_quant", "moe_permute_quant"}
    by_dtype = {f"{name}_{dtype}" for name in quantizers for dtype in ("bf16", "f16", "f32")}
    assert compiled == by_dtype | {"silu_mul_quant", "moe_unpermute"}
    assert "Building CXX" not in said, "the cubins are the same, so their table is"


def test_a_new_build_folder_compiles_no_kernel(build: Build, tree: Path) -> None:
    build()
    (folder,) = tree.glob("build/cp*")
    shutil.rmtree(folder)
    _, said = build()
    assert "to compile 0\n" in said


@pytest.mark.parametrize("name", ["ccache", "sccache"])
def test_a_compiler_cache_is_used(build: Build, tree: Path, tmp_path: Path, name: str) -> None:
    shutil.rmtree(tree / "build", ignore_errors=True)
    cache, log = tmp_path / "bin" / name, tmp_path / "log"
    cache.parent.mkdir()
    cache.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec "$@"\n')
    cache.chmod(0o755)
    build(PATH=f"{cache.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    shutil.rmtree(tree / "build")
    compiled = {line.split()[-1].rpartition("/")[2] for line in log.read_text().splitlines()}
    assert compiled >= {"module.cpp", "catalogue.cpp"}


def test_cpu_has_no_kernels_and_says_so(build: Build, tmp_path: Path) -> None:
    built, _ = build(BARROW_TARGET_DEVICE="cpu", BARROW_CUDA_ARCHS="")
    assert built.kernels == []
    assert "barrow/launcher/kernels.pack" not in built.files
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(tmp_path / "installed")
    code = "import barrow, barrow.launcher as l; print(barrow.__file__, l.kernels())"
    result = run([sys.executable, "-c", code], tmp_path, {"PYTHONPATH": str(tmp_path / "installed")})
    assert result.stdout == f"{tmp_path}/installed/barrow/__init__.py []\n", result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("BARROW_CUDA_ARCHS", "80", "BARROW_CUDA_ARCHS is '80', but barrow has no kernels for '80'"),
        ("TORCH_CUDA_ARCH_LIST", "8.0", "TORCH_CUDA_ARCH_LIST is '8.0', but barrow has no kernels for '8.0'"),
        ("BARROW_TARGET_DEVICE", "rocm", "BARROW_TARGET_DEVICE is 'rocm'"),
        ("MAX_JOBS", "some", "MAX_JOBS is 'some'"),
        ("BARROW_USE_PRECOMPILED", "none.whl", "BARROW_USE_PRECOMPILED is 'none.whl'"),
    ],
)
def test_a_wrong_variable_stops_the_build(tree: Path, tmp_path: Path, variable: str, value: str, told: str) -> None:
    assert told in fails(tree, tmp_path, **{variable: value})


def test_precompiled_needs_no_compiler(build: Build, tree: Path, wheel: Wheel) -> None:
    (folder,) = tree.glob("build/cp*")
    shutil.rmtree(folder)
    built, said = build(BARROW_USE_PRECOMPILED=str(wheel.path), CXX="/no/compiler")
    assert "nothing is compiled" in said
    assert {name: built.launcher(name) for name in BINARIES} == {name: wheel.launcher(name) for name in BINARIES}
    shutil.rmtree(folder)


def test_editable_install_with_the_binaries_of_a_wheel(tree: Path, wheel: Wheel, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--target", str(target)]
    result = run([*pip, "--editable", "."], tree, {"BARROW_USE_PRECOMPILED": str(wheel.path), "CXX": "/no/compiler"})
    assert result.returncode == 0, result.stdout + result.stderr
    code = f"import site; site.addsitedir({str(target)!r}); import barrow, barrow.launcher as l; "
    code += "print(barrow.__file__, l._C.__file__, len(l.kernels())); l.verify_pack(l.pack_path())"
    result = run([sys.executable, "-c", code], tmp_path, {})
    binary = target / "barrow/launcher/_C.abi3.so"
    assert result.stdout == f"{tree}/src/barrow/__init__.py {binary} {len(wheel.kernels)}\n", result.stderr
