"""The diagnosis as a function of a machine that the test makes up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from barrow_wheel.build.toolchain import Cache, find_toolchain
from barrow_wheel.cli.main import main
from barrow_wheel.doctor.diagnose import Diagnosis, diagnose
from barrow_wheel.doctor.probe import Machine, Tool, TorchFlavour, parse_torch_version, probe
from barrow_wheel.errors import UsageError
from barrow_wheel.findings import Severity
from barrow_wheel.machine import GIB, Capacity

CUDA_BOX = Machine(
    capacity=Capacity(cpus=32, memory=64 * GIB),
    environment={},
    torch=TorchFlavour("2.11.0+cu130", "cuda", (13, 0)),
    nvcc=Tool("/opt/cuda/bin/nvcc", (13, 0)),
    cuda_home="/opt/cuda",
    cxx=Tool("/usr/bin/c++", (13, 2)),
    ninja=Tool("/usr/bin/ninja", (1, 12)),
    cmake=Tool("/usr/bin/cmake", (3, 28)),
    cache=Cache("/usr/bin/ccache", ("/usr/bin/ccache",)),
)


def errors(diagnosis: Diagnosis) -> str:
    return "\n".join(f"{a.text} -> {a.remedy}" for a in diagnosis.advice if a.severity is Severity.ERROR)


def variables(diagnosis: Diagnosis) -> dict[str, str]:
    return {v.name: v.value for v in diagnosis.variables}


def test_a_healthy_cuda_box() -> None:
    diagnosis = diagnose(CUDA_BOX, "cuda", ["h100", "b200"])
    assert diagnosis.healthy
    assert variables(diagnosis) == {
        "CUDA_HOME": "/opt/cuda", "TORCH_CUDA_ARCH_LIST": "9.0a;10.0a", "MAX_JOBS": "16", "NVCC_THREADS": "2",
        "CMAKE_C_COMPILER_LAUNCHER": "/usr/bin/ccache", "CMAKE_CXX_COMPILER_LAUNCHER": "/usr/bin/ccache",
        "CMAKE_CUDA_COMPILER_LAUNCHER": "/usr/bin/ccache",
    }  # fmt: skip
    assert all(v.reason for v in diagnosis.variables)


def test_a_cpu_torch_for_a_cuda_build() -> None:
    machine = replace(CUDA_BOX, torch=TorchFlavour("2.11.0+cpu", "cpu"))
    assert "is a cpu build, the target is cuda" in errors(diagnose(machine, "cuda"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"torch": None}, "torch is not installed"),
        ({"nvcc": None}, "nvcc not found"),
        ({"cxx": None, "toolchain_error": "no C++ compiler found"}, "no C++ compiler"),
        ({"torch": TorchFlavour("2.9.0", "cuda", (12, 8))}, "two CUDA run times"),
        ({"nvcc": Tool("/x/bin/nvcc", (12, 4)), "torch": TorchFlavour("2.6", "cuda", (12, 4))}, "does not know 10.0a"),
        ({"cxx": Tool("/usr/bin/c++", (16, 1))}, "takes GCC up to 15"),
    ],
)
def test_what_stops_a_cuda_build(change: dict[str, object], words: str) -> None:
    assert words in errors(diagnose(replace(CUDA_BOX, **change), "cuda", ["b200"]))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["CUDA_HOME", "CUDA_PATH"])
def test_a_stated_toolkit_without_nvcc(name: str) -> None:
    diagnosis = diagnose(replace(CUDA_BOX, environment={name: "/nonexistent"}), "cuda", ["h100"])
    assert f"{name} is /nonexistent, which has no bin/nvcc" in errors(diagnosis)
    assert variables(diagnosis)["CUDA_HOME"] == "/opt/cuda"
    right = diagnose(replace(CUDA_BOX, environment={"CUDA_HOME": "/opt/cuda/", name: "/opt/cuda/"}), "cuda", ["h100"])
    assert right.healthy and "CUDA_HOME" not in variables(right)


def test_cuda13_dropped_old_gpus() -> None:
    assert "no longer compiles for 7.0" in errors(diagnose(CUDA_BOX, "cuda", ["v100"]))


def test_rocm() -> None:
    machine = replace(
        CUDA_BOX, torch=TorchFlavour("2.11.0+rocm6.4", "rocm", (6, 4)), hipcc=Tool("/opt/rocm/bin/hipcc", (6, 4))
    )
    diagnosis = diagnose(machine, "rocm", ["mi300x", "mi250"])
    assert diagnosis.healthy
    found = variables(diagnosis)
    assert found["PYTORCH_ROCM_ARCH"] == "gfx942;gfx90a" and found["MAX_JOBS"] == "32" and "NVCC_THREADS" not in found


def test_memory_bounds_the_jobs() -> None:
    small = replace(CUDA_BOX, capacity=Capacity(cpus=32, memory=9 * GIB))
    found = variables(diagnose(small, "cuda", ["h100"]))
    assert found["MAX_JOBS"] == "2" and found["NVCC_THREADS"] == "1"


def test_a_cache_in_use_is_left_alone() -> None:
    used = diagnose(replace(CUDA_BOX, cache=Cache("/usr/bin/ccache", ("ccache",), "$CXX")), "cuda")
    assert not any("LAUNCHER" in name for name in variables(used))
    assert any("/usr/bin/ccache, used through $CXX" in one.text for one in used.advice)
    idle = diagnose(CUDA_BOX, "cuda")
    assert any("/usr/bin/ccache is installed and not used" in one.text for one in idle.advice)
    for_c = variables(diagnose(replace(CUDA_BOX, environment={"CC": "ccache gcc"}), "cuda"))
    assert "CMAKE_CXX_COMPILER_LAUNCHER" in for_c and "CMAKE_C_COMPILER_LAUNCHER" not in for_c
    none = diagnose(replace(CUDA_BOX, cache=None), "cuda")
    assert any("no compiler cache" in one.text for one in none.advice)


@pytest.mark.parametrize(
    ("programs", "stated", "compiler", "cache", "through"),
    [
        ("clang++", {}, "clang++", None, ""),
        ("c++ g++", {"CXX": "g++ -m64"}, "g++", None, ""),
        ("c++ sccache ccache", {"CXX": "", "CMAKE_CXX_COMPILER_LAUNCHER": ""}, "c++", "ccache", ""),
        ("c++ g++ sccache ccache", {"CXX": "sccache g++ -m64"}, "g++", "sccache", "$CXX"),
        ("c++ other", {"CMAKE_CXX_COMPILER_LAUNCHER": "other;-x"}, "c++", "other", "$CMAKE_CXX_COMPILER_LAUNCHER"),
    ],
)
def test_compiler_and_cache_are_those_of_build_ext(
    programs: str, stated: dict[str, str], compiler: str, cache: str | None, through: str, tmp_path: Path
) -> None:
    for name in programs.split():
        (tmp_path / name).write_text("#!/bin/sh\necho version 17.0.6\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": str(tmp_path), **stated}
    machine = probe(environment)
    assert machine.cxx == Tool(str(tmp_path / compiler), (17, 0))
    assert machine.cache == find_toolchain(environment).cache
    assert (machine.cache and machine.cache.path) == (cache and str(tmp_path / cache))
    assert (machine.cache.through if machine.cache else "") == through


def test_a_compiler_that_is_a_link_to_a_cache(tmp_path: Path) -> None:
    (tmp_path / "ccache").write_text("#!/bin/sh\n")
    (tmp_path / "ccache").chmod(0o755)
    (tmp_path / "c++").symlink_to("ccache")
    found = find_toolchain({"PATH": str(tmp_path)}).cache
    assert found == Cache(str(tmp_path.resolve() / "ccache"), (), str(tmp_path / "c++"))


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({}, "no C++ compiler found"),
        ({"CXX": "g++ -m64"}, "$CXX names g++, which is not there"),
        ({"CXX": "'g++"}, "which no shell would split"),
    ],
)
def test_an_environment_without_a_usable_compiler(stated: dict[str, str], words: str, tmp_path: Path) -> None:
    diagnosis = diagnose(probe({"PATH": str(tmp_path), **stated}), "cpu")
    assert words in errors(diagnosis)
    assert not any("cache" in one.text for one in diagnosis.advice)


def test_other_targets() -> None:
    assert "icpx not found" in errors(diagnose(CUDA_BOX, "xpu"))
    assert "torch_xla is not installed" in errors(diagnose(CUDA_BOX, "tpu"))
    assert diagnose(CUDA_BOX, "cpu").healthy


@pytest.mark.parametrize(
    ("target", "gpus"), [("cuda", ["mi300x"]), ("rocm", ["h100"]), ("cpu", ["h100"]), ("vulkan", [])]
)
def test_senseless_requests(target: str, gpus: list[str]) -> None:
    with pytest.raises(UsageError):
        diagnose(CUDA_BOX, target, gpus)


def test_flavours_of_torch() -> None:
    text = "__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n"
    assert parse_torch_version(text) == TorchFlavour("2.13.0+cu130", "cuda", (13, 0))
    assert parse_torch_version("__version__ = '2.13.0+cpu'\ncuda = None\n") == TorchFlavour("2.13.0+cpu", "cpu")
    assert parse_torch_version("__version__ = '2.9'\nhip = '6.4.43483'\n").flavour == "rocm"


def test_the_shell_form(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--target", "cuda", "--gpu", "h100", "--sh"])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("export ", "# ")) for line in lines)
    assert "export TORCH_CUDA_ARCH_LIST=9.0a" in lines
