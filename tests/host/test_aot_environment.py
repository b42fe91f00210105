"""The environment variables of a build: what they mean, and what a wrong one is told."""

from pathlib import Path

import pytest

from barrow_build.aot.environment import JOB_BYTES, BuildError, Settings, available_memory
from barrow_build.config import ARCHS

VARIABLES = (
    "BARROW_CUDA_ARCHS",
    "TORCH_CUDA_ARCH_LIST",
    "BARROW_TARGET_DEVICE",
    "BARROW_USE_PRECOMPILED",
    "MAX_JOBS",
)


def test_nothing_set_builds_every_architecture() -> None:
    settings = Settings.from_environment({})
    assert (settings.device, settings.archs, settings.precompiled) == ("cuda", ARCHS, None)


@pytest.mark.parametrize("empty", ["", " "])
def test_empty_means_unset(empty: str) -> None:
    assert Settings.from_environment(dict.fromkeys(VARIABLES, empty)) == Settings.from_environment({})


@pytest.mark.parametrize("variable", ["BARROW_CUDA_ARCHS", "TORCH_CUDA_ARCH_LIST"])
@pytest.mark.parametrize(
    "spelled", ["90a", "9.0a", "9.0", "90", "sm_90a", "9.0a+PTX", "9.0;9.0a", "9.0a, 90a", "90a 9.0+PTX ", ";90a;"]
)
def test_spellings_of_an_architecture(variable: str, spelled: str) -> None:
    assert Settings.from_environment({variable: spelled}).archs == ("90a",)


@pytest.mark.parametrize("variable", ["BARROW_CUDA_ARCHS", "TORCH_CUDA_ARCH_LIST"])
@pytest.mark.parametrize(
    ("value", "wrong"),
    [("8.0", "8.0"), ("8.0 9.0a+PTX", "8.0"), ("100a", "100a"), ("9.0f", "9.0f"), ("9", "9"), ("native", "native")],
)
def test_an_architecture_without_kernels_is_an_error(variable: str, value: str, wrong: str) -> None:
    with pytest.raises(BuildError) as caught:
        Settings.from_environment({variable: value})
    for part in (f"{variable} is {value!r}", f"no kernels for {wrong!r}", ", ".join(ARCHS), "BARROW_TARGET_DEVICE=cpu"):
        assert part in str(caught.value)


def test_own_list_goes_before_torchs() -> None:
    env = {"BARROW_CUDA_ARCHS": "90a", "TORCH_CUDA_ARCH_LIST": "7.5"}
    assert Settings.from_environment(env).archs == ("90a",)
    with pytest.raises(BuildError, match="BARROW_CUDA_ARCHS"):
        Settings.from_environment({"BARROW_CUDA_ARCHS": "7.5", "TORCH_CUDA_ARCH_LIST": "9.0"})


def test_cpu_builds_no_kernels_whatever_the_list() -> None:
    settings = Settings.from_environment({"BARROW_TARGET_DEVICE": "cpu", "TORCH_CUDA_ARCH_LIST": "7.5"})
    assert (settings.device, settings.archs) == ("cpu", ())


def test_unknown_device() -> None:
    with pytest.raises(BuildError, match=r"BARROW_TARGET_DEVICE is 'rocm'; it must be 'cuda' .* or 'cpu'"):
        Settings.from_environment({"BARROW_TARGET_DEVICE": "rocm"})


def test_max_jobs_wins() -> None:
    assert Settings.from_environment({"MAX_JOBS": "513"}).jobs == 513


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "many"])
def test_bad_max_jobs(value: str) -> None:
    with pytest.raises(BuildError, match=f"MAX_JOBS is '{value}'; it must be a whole number from 1"):
        Settings.from_environment({"MAX_JOBS": value})


@pytest.mark.parametrize(("memory", "cores", "jobs"), [(100, 2, 2), (3.9, 8, 3), (0.2, 8, 1)])
def test_jobs_are_bounded_by_cores_and_memory(
    monkeypatch: pytest.MonkeyPatch, memory: float, cores: int, jobs: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))
    monkeypatch.setattr("barrow_build.aot.environment.available_memory", lambda: int(memory * JOB_BYTES))
    assert Settings.from_environment({}).jobs == jobs


def _machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": "MemTotal: 64 kB\nMemAvailable: 32 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 32 * 1024),
        ({"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "9\n"}, 32 * 1024),
        ({"sys/fs/cgroup/memory.max": "20000\n", "sys/fs/cgroup/memory.current": "5000\n"}, 15000),
        ({"sys/fs/cgroup/memory.max": "20000\n", "sys/fs/cgroup/memory.current": "21000\n"}, 0),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "20000\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "4000\n",
            },
            16000,
        ),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "4000\n",
            },
            32 * 1024,
        ),
    ],
    ids=["machine", "no limit", "cgroup 2", "over the limit", "cgroup 1", "cgroup 1 without limit"],
)
def test_memory_of_the_control_group_counts(tmp_path: Path, files: dict[str, str], left: int) -> None:
    assert available_memory(_machine(tmp_path, files)) == left


def test_precompiled_is_a_path_of_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "barrow-0.1.0-cp310-abi3-linux_x86_64.whl"
    with pytest.raises(BuildError, match=r"BARROW_USE_PRECOMPILED is .*; it must be the path of a wheel"):
        Settings.from_environment({"BARROW_USE_PRECOMPILED": str(wheel)})
    wheel.touch()
    assert Settings.from_environment({"BARROW_USE_PRECOMPILED": str(wheel)}).precompiled == wheel
