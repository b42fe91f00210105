"""`barrow info`: its output here, on pretended machines, and with damaged kernels."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import torch
from backend_choices import forget

import barrow
from barrow import cli, launcher
from barrow.linear import target

COMMAND = [sys.executable, "-m", "barrow"]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_the_console_script_is_this_command() -> None:
    (script,) = entry_points(group="console_scripts", name="barrow")
    assert script.load() is cli.main


def test_info_in_a_process_of_its_own() -> None:
    done = run("info")
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(lines) == {"barrow", "torch", "driver", "GPU", "CPU", "kernels", "pack"}
    assert lines["barrow"].startswith(f"{barrow.__version__}, Python 3.")
    assert torch.__version__ in lines["torch"]
    assert "0 bytes spilled" in lines["kernels"]
    assert ": intact, compiled by nvrtc" in lines["pack"]


def test_json_holds_the_table_of_kernels() -> None:
    done = run("info", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert {kernel["name"] for kernel in facts["kernels"]} == {kernel["name"] for kernel in launcher.kernels()}
    assert facts["torch"]["version"] == torch.__version__
    assert facts["pack"]["error"] is None
    assert Path(facts["pack"]["path"]).is_file()
    assert facts["driver"]["available"] == launcher.driver()["available"]


def test_kernels_lists_every_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--kernels"]) == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert table[0].split() == ["name", "registers", "spill_bytes", "smem_bytes", "threads", "size"]
    assert {row.split()[0] for row in table[1:]} == {kernel["name"] for kernel in launcher.kernels()}


@pytest.mark.parametrize(
    "arguments", [["info", "--kernels"], ["explain", "--m", "8", "--n", "64", "--k", "64"]], ids=str
)
def test_a_reader_that_has_enough_is_no_error(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*COMMAND, *arguments], stdout=write, stderr=subprocess.PIPE, timeout=120, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in ((["--version"], barrow.__version__), (["info", "--help"], "--kernels")):
        with pytest.raises(SystemExit, match="0"):
            cli.main(arguments)
        assert expected in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["infos"], ["info", "--jsn"]], ids=str)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert "usage: barrow" in capsys.readouterr().err


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that pretends GPUs with the given compute capabilities."""

    def pretend(*capabilities: tuple[int, int]) -> None:
        devices = [
            {"index": i, "name": f"GPU {i}", "capability": list(capability), "num_sms": 132, "memory_gb_s": 0}
            for i, capability in enumerate(capabilities)
        ]
        driver = {"available": True, "version": 12080, "error": None, "devices": devices}
        monkeypatch.setattr(launcher, "driver", lambda: driver)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capabilities[device.index])
        monkeypatch.setattr(target, "_triton", lambda: False)

    forget()
    yield pretend
    forget()


def test_a_machine_with_two_gpus(gpus: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    gpus((9, 0), (8, 0))
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert "driver   CUDA 12.8\n" in out
    assert "GPU      0: GPU 0, compute capability 9.0, 132 SMs; runs barrow's kernels\n" in out
    assert "1: GPU 1, compute capability 8.0, 132 SMs; no kernels: the kernels are for compute capability 9.0" in out
    assert cli.main(["info", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["devices"]
    assert (first["backend"], first["why_not_barrow"]) == ("barrow", None)
    assert second["backend"] == "torch"


@pytest.mark.parametrize(
    ("preference", "reason"),
    [
        ("triton", "no backend can run a layer with N = 4096, K = 4096 on {}: "),
        ("barow", "BARROW_BACKENDS names 'barow'; pass names out of barrow, "),
    ],
)
def test_a_preference_that_leaves_nothing_is_told(
    preference: str,
    reason: str,
    gpus: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BARROW_BACKENDS", preference)
    gpus((9, 0))
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"132 SMs; no kernels: {reason.format('cuda:0')}" in out
    assert f"CPU      nothing runs: {reason.format('cpu')}" in out
    assert cli.main(["info", "--json"]) == 0
    (device,) = json.loads(capsys.readouterr().out)["devices"]
    assert device["backend"] is None
    assert device["why_not_barrow"].startswith(reason.format("cuda:0"))


def truncate(folder: Path) -> None:
    pack = folder / "kernels.pack"
    pack.write_bytes(pack.read_bytes()[:-100])


def flip_a_bit(folder: Path) -> None:
    pack = folder / "kernels.pack"
    data = bytearray(pack.read_bytes())
    data[-1] ^= 1  # of the last cubin: between two lies padding
    pack.write_bytes(data)


def edit_manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "kernels.pack"),
        (flip_a_bit, "kernels.pack"),
        (lambda folder: (folder / "kernels.pack").unlink(), "kernels.pack"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
        (edit_manifest(lambda m: m["kernels"].pop()), "manifest.json lists other kernels than the extension"),
        (
            edit_manifest(lambda m: m["kernels"][0].update(sha256="0" * 64)),
            "does not have the SHA-256 of manifest.json",
        ),
    ],
    ids=["truncated", "bit", "missing", "no manifest", "no JSON", "other kernels", "other SHA-256"],
)
def test_damaged_kernels(
    damage: Callable[[Path], None],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pack = Path(launcher.pack_path())
    for name in (pack.name, "manifest.json"):
        shutil.copy(pack.with_name(name), tmp_path)
    monkeypatch.setattr(launcher, "pack_path", lambda: str(tmp_path / pack.name))
    assert cli.main(["info"]) == 0
    capsys.readouterr()
    damage(tmp_path)
    assert cli.main(["info"]) == 1
    assert message in capsys.readouterr().out
    assert cli.main(["info", "--json"]) == 1
    assert message in json.loads(capsys.readouterr().out)["pack"]["error"]
