"""Building one extension for several CPythons; real compilers, small sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from barrow_wheel.build.plan import Extension, make_plan
from barrow_wheel.build.run import build, dependencies, out_of_date
from barrow_wheel.build.toolchain import find_pybind11, find_toolchain
from barrow_wheel.checks.matrix import Cell, build_matrix
from barrow_wheel.cli.main import main
from barrow_wheel.cmake import CMAKE_DIR
from barrow_wheel.cmake.__main__ import main as cmake_main
from barrow_wheel.errors import BuildError, MissingToolError, UsageError
from barrow_wheel.facts.cpython import CPython
from barrow_wheel.machine import GIB, Capacity, jobs_within
from barrow_wheel.merge import merge
from barrow_wheel.pythons import Interpreter, find_pythons

SOURCE = """
#include <pybind11/pybind11.h>
#include "answer.h"
PYBIND11_MODULE(_C, module) { module.attr("answer") = ANSWER; }
"""
# Without pybind11, so that it compiles in no time: only the mechanics are of interest.
PLAIN = """
#include <Python.h>
#include "answer.h"
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
PyMODINIT_FUNC PyInit__C() {
    PyObject *module = PyModule_Create(&definition);
    PyModule_AddIntConstant(module, "answer", ANSWER);
    return module;
}
"""


@pytest.fixture(scope="session")
def interpreters() -> tuple[Interpreter, ...]:
    """The CPythons of this machine that have headers; at least the running one."""
    found = tuple(i for i in find_pythons([CPython(minor) for minor in range(10, 16)]).found if i.headers)
    if not found:
        pytest.skip("no CPython with headers on this machine")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "binding.cpp").write_text(PLAIN)
    (tmp_path / "answer.h").write_text("#define ANSWER 41\n")
    return tmp_path


def plan_for(project: Path, interpreters: tuple[Interpreter, ...], **changes: tuple[str, ...]):  # type: ignore[no-untyped-def]
    extension = Extension("_C", (project / "binding.cpp",), include_dirs=(project,), **changes)
    return make_plan(extension, interpreters, find_toolchain(os.environ), project / "build", project / "out")


def imported(interpreter: Interpreter, folder: Path) -> str:
    code = "import _C; print(_C.answer)"
    done = subprocess.run([interpreter.path, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_one_file_for_each_cpython_and_all_import(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    built = build(plan_for(project, interpreters), jobs=2)
    assert [one.compiled for one in built] == [1] * len(interpreters)
    for interpreter in interpreters:
        assert imported(interpreter, project / "out") == "41"


def test_a_changed_header_rebuilds_and_nothing_else_does(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    one = interpreters[:1]
    build(plan_for(project, one), jobs=1)
    assert [b.compiled for b in build(plan_for(project, one), jobs=1)] == [0]
    later = time.time() + 5
    (project / "answer.h").write_text("#define ANSWER 42\n")
    os.utime(project / "answer.h", (later, later))
    assert [b.compiled for b in build(plan_for(project, one), jobs=1)] == [1]
    assert imported(one[0], project / "out") == "42"


def test_other_flags_and_a_lost_output_rebuild(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    one = interpreters[:1]
    build(plan_for(project, one), jobs=1)
    assert out_of_date(plan_for(project, one, compile_flags=("-DX",)).targets[0].compile[0])
    plan = plan_for(project, one)
    plan.targets[0].link.output.unlink()
    (result,) = build(plan, jobs=1)
    assert result.compiled == 0 and result.path.exists()


@pytest.mark.parametrize("by_path", [False, True])
def test_a_changed_library_links_again(project: Path, interpreters: tuple[Interpreter, ...], by_path: bool) -> None:
    one = interpreters[:1]
    (project / "binding.cpp").write_text(
        PLAIN.replace("PyMODINIT", "int kernel();\nPyMODINIT").replace("ANSWER", "kernel()")
    )
    flags = {"link_flags": (f"-Wl,{project / 'libk.a'}",)}
    if not by_path:
        flags = {"link_flags": ("-L", str(project)), "libraries": ("k",)}
    for answer in ("1", "2"):
        (project / "k.cpp").write_text(f"int kernel() {{ return {answer}; }}")
        subprocess.run(["g++", "-fPIC", "-c", "k.cpp"], cwd=project, check=True)
        subprocess.run(["ar", "rcs", "libk.a", "k.o"], cwd=project, check=True)
        build(plan_for(project, one, **flags), jobs=1)
        assert imported(one[0], project / "out") == answer
    (again,) = build(plan_for(project, one, **flags), jobs=1)
    assert again.seconds == 0


def test_compiler_errors_are_shown_and_leave_nothing(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    (project / "binding.cpp").write_text("#error this is what the author must see\n")
    with pytest.raises(BuildError, match="this is what the author must see"):
        build(plan_for(project, interpreters[:1]), jobs=1)
    assert not (project / "out").exists()


def test_the_first_error_is_shown_whatever_follows(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    (project / "binding.cpp").write_text("#error the one that matters\n" + "#warning and on it goes\n" * 300)
    with pytest.raises(BuildError, match="the one that matters"):
        build(plan_for(project, interpreters[:1]), jobs=1)


def test_torch_gets_the_standard_that_its_headers_need(
    project: Path,
    interpreters: tuple[Interpreter, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch = project / "site/torch"
    for name in ("include/torch/extension.h", "__init__.py", "version.py", "share/cmake/Torch/TorchConfig.cmake"):
        (torch / name).parent.mkdir(parents=True, exist_ok=True)
        (torch / name).write_text("__version__ = '2.15.0'\n" if name == "version.py" else "")
    (torch / "lib").mkdir()
    for name in ("c10", "torch", "torch_cpu", "torch_python"):
        subprocess.run(["gcc", "-shared", "-o", torch / f"lib/lib{name}.so", "-xc", "/dev/null"], check=True)
    monkeypatch.syspath_prepend(torch.parent)
    (project / "binding.cpp").write_text("#if __cplusplus < 202002L\n#error C++20\n#endif\n" + PLAIN)
    command = ["build-ext", "--name", "_C", "--python", str(interpreters[0].path), "--out", str(project / "out")]
    assert main([*command, "--torch", str(project / "binding.cpp")]) == 0
    assert main([*command, str(project / "binding.cpp")]) != 0
    assert "#error C++20" in capsys.readouterr().err
    assert main([*command, "--std", "c++20", str(project / "binding.cpp")]) == 0
    for more, standard in ((["--torch"], "20"), ([], "17")):
        assert cmake_main(["--python", str(interpreters[0].path), *more]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["standard"] == standard


def test_a_module_of_another_name_is_an_error(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    (project / "binding.cpp").write_text(PLAIN.replace("PyInit__C", "PyInit_other"))
    with pytest.raises(BuildError, match=r"exports no PyInit__C .has PyInit_other"):
        build(plan_for(project, interpreters[:1]), jobs=1)


def test_one_cpython_named_twice_is_built_once(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    one = interpreters[0]
    built = build(plan_for(project, (one, replace(one, origin="argument"), *interpreters[1:2])), jobs=2)
    assert [b.python for b in built] == [i.python for i in interpreters[:2]]


def test_depfiles(tmp_path: Path) -> None:
    depfile = tmp_path / "x.d"
    depfile.write_text("out.o: a.cpp \\\n dir\\ with\\ space/b.h \\\n c$$d.h\nb.h:\n")
    assert dependencies(depfile) == (Path("a.cpp"), Path("dir with space/b.h"), Path("c$d.h"))


def test_what_cannot_be_built(tmp_path: Path) -> None:
    (tmp_path / "a.cu").write_text("")
    for name, sources in (("pkg._C", ()), ("_C", ()), ("_C", (tmp_path / "a.cu",)), ("_C", (tmp_path / "absent.cpp",))):
        with pytest.raises(UsageError):
            Extension(name, sources)


def test_toolchain_from_the_environment(tmp_path: Path) -> None:
    for name in ("ccache", "sccache", "my-c++", "c++"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    os_path, os.environ["PATH"] = os.environ["PATH"], path
    try:
        found = find_toolchain({"CXX": "my-c++ -m64", "CXXFLAGS": "-O1 -g", "LDFLAGS": "-s"})
        assert found.cxx == ("my-c++", "-m64") and found.launcher == (str(tmp_path / "ccache"),)
        assert found.compile_flags == ("-O1", "-g") and found.link_flags == ("-s",)
        behind = find_toolchain({"CXX": "sccache g++ -m64"})
        assert behind.launcher == ("sccache",) and behind.cxx == ("g++", "-m64")
        assert find_toolchain({"CMAKE_CXX_COMPILER_LAUNCHER": "sccache;--x"}).launcher == ("sccache", "--x")
        assert find_toolchain({"CXX": "", "CMAKE_CXX_COMPILER_LAUNCHER": ""}).cxx == (str(tmp_path / "c++"),)
    finally:
        os.environ["PATH"] = os_path
    with pytest.raises(UsageError, match=r"\$CXXFLAGS is -DX=\"a"):
        find_toolchain({"CXXFLAGS": '-DX="a'})
    for cxx in ("no-such-compiler", "ccache no-such-compiler"):
        with pytest.raises(MissingToolError, match=r"\$CXX names no-such-compiler"):
            find_toolchain({"CXX": cxx})
    with pytest.raises(MissingToolError, match=r"\$CMAKE_CXX_COMPILER_LAUNCHER names no-such-cache"):
        find_toolchain({"CMAKE_CXX_COMPILER_LAUNCHER": "no-such-cache"})


def test_jobs_follow_processors_and_memory() -> None:
    assert jobs_within(Capacity(8, 64 * GIB), 4 * GIB) == 8
    assert jobs_within(Capacity(8, 9 * GIB), 4 * GIB) == 2
    assert jobs_within(Capacity(8, 1 * GIB), 4 * GIB) == 1


def test_pybind11_through_the_command_line(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    pytest.importorskip("pybind11")
    (project / "binding.cpp").write_text(SOURCE)
    assert find_pybind11().joinpath("pybind11/pybind11.h").exists()
    one = interpreters[-1]
    arguments = ["build-ext", "--name", "_C", "--python", str(one.path), "--pybind11", "-I", str(project)]
    assert main([*arguments, "--out", str(project / "out"), str(project / "binding.cpp")]) == 0
    assert imported(one, project / "out") == "41"


def test_usage(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["build-ext", "--name", "_C", "--out", str(project / "out"), str(project / "binding.cpp")]
    assert main(common) == 2
    assert main([*common, "--python", "3.11", "--requires", ">=3.10"]) == 2
    assert main([*common, "--python", "3.99"]) == 4
    assert "CPython 3.99" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_a_build_needs_a_job(
    jobs: str, project: Path, interpreters: tuple[Interpreter, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["build-ext", "--name", "_C", "--out", str(project / "out"), "--python", str(interpreters[0].path)]
    assert main([*command, f"-j{jobs}", str(project / "binding.cpp")]) == 2
    assert f"--jobs {jobs}: needs at least one" in capsys.readouterr().err


CMAKE_PROJECT = """
cmake_minimum_required(VERSION 3.19)
project(demo LANGUAGES CXX)
find_package(Python COMPONENTS Interpreter REQUIRED)
find_package(BarrowWheel REQUIRED)
barrow_wheel_add_extension(demo NAME _C SOURCES binding.cpp INCLUDE_DIRECTORIES ${CMAKE_SOURCE_DIR}
    PYTHONS @PYTHONS@ DESTINATION demo)
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
@pytest.mark.parametrize("from_environment", [False, True])
def test_the_cmake_function(project: Path, interpreters: tuple[Interpreter, ...], from_environment: bool) -> None:
    """An empty environment variable means unset; a set one wins over PYTHONS."""
    paths = [str(i.path) for i in interpreters]
    (project / "CMakeLists.txt").write_text(CMAKE_PROJECT.replace("@PYTHONS@", " ".join(paths)))
    environment = {**os.environ, "BARROW_WHEEL_PYTHONS": paths[0] if from_environment else ""}
    build_dir = project / "cmake-build"
    configure = [
        "cmake",
        "-S",
        str(project),
        "-B",
        str(build_dir),
        f"-DBarrowWheel_DIR={CMAKE_DIR}",
        f"-DPython_EXECUTABLE={sys.executable}",
    ]
    for command in (
        configure,
        ["cmake", "--build", str(build_dir)],
        ["cmake", "--install", str(build_dir), "--prefix", str(project / "prefix")],
    ):
        subprocess.run(command, check=True, env=environment, capture_output=True)
    expected = interpreters[:1] if from_environment else interpreters
    assert len(list((project / "prefix/demo").iterdir())) == len(expected)
    for interpreter in expected:
        assert imported(interpreter, project / "prefix/demo") == "41"


def test_built_merged_installed_and_checked(project: Path, interpreters: tuple[Interpreter, ...]) -> None:
    """A module and a wheel for each CPython, merged, installed by pip everywhere, all cells green."""
    from conftest import WheelSpec

    from barrow_wheel.check import check

    wheels = []
    for built in build(plan_for(project, interpreters), jobs=2):
        tag = f"cp3{built.python.minor}-cp3{built.python.minor}-linux_x86_64"
        spec = WheelSpec(
            {"demo/__init__.py": b"", f"demo/{built.path.name}": built.path.read_bytes()}, tag, requires_python=">=3.10"
        )
        wheels.append(spec.write(project))
    if len(wheels) < 2:
        pytest.skip("needs two CPythons with headers")
    merged = merge(wheels, project / "merged")
    (report,) = check([str(merged)]).wheels
    assert {f.rule for f in report.findings} == {"platform-tag-linux"}
    minors = [i.python.minor for i in interpreters]
    assert [p.minor for p in report.matrix.pythons if not p.free_threaded] == minors
    (row,) = build_matrix(report.wheel).modules
    assert set(row.cells) == {Cell.OK}
    for interpreter in interpreters:
        folder = project / f"installed{interpreter.python}"
        pip = [interpreter.path, "-m", "pip"]
        if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
            # A system Python without pip: the running one installs for it.
            pip = [sys.executable, "-m", "pip", f"--python={interpreter.path}"]
        command = [*pip, "install", "-q", "--no-index", "--no-deps", "--target", str(folder), str(merged)]
        subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
        assert imported(interpreter, folder / "demo") == "41"
