"""From a tuning to the table that is shipped: which shapes are worth an entry."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_on_cpu import H100
from choice_probe import SPECS

from barrow import launcher
from barrow_build.config import tuning

SCRIPT = Path(__file__).parents[2] / "benchmarks/write_table.py"
N, K = 2112, 7168

Row = dict[str, Any]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("write_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_table = load()
KERNELS = {spec.name: spec for spec in SPECS}


def by_model(m: int) -> list[str]:
    candidates = launcher.choose(m, N, K, "bf16", H100.num_sms)
    return [c["kernel"] for c in sorted(candidates, key=lambda c: c["predicted_us"])]


def rows(m: int, us: dict[int, float]) -> list[Row]:
    """Times of the kernels by their place in the model's order; 20 us where none is given."""
    return [
        {"kernel": name, "m": m, "n": N, "k": K, "us": us.get(place, 20.0), "coarse": False}
        for place, name in enumerate(by_model(m))
    ]


def table(found: list[Row]) -> tuple[tuning.TunedGpu, list[str]]:
    result: tuple[tuning.TunedGpu, list[str]] = write_table.table({"machine": H100.as_json(), "rows": found}, KERNELS)
    return result


def test_a_choice_that_gains_two_percent_is_kept() -> None:
    gpu, notes = table([*rows(64, {0: 10.2, 2: 10.0}), *rows(128, {0: 10.19, 1: 10.0}), *rows(256, {0: 10.0})])
    assert (gpu.name, gpu.num_sms, gpu.memory_gb_s) == (H100.gpu, 132, 3352)
    (choice,) = gpu.choices
    assert (choice.n, choice.k, choice.m, choice.kernel) == (N, K, 64, by_model(64)[2])
    assert choice.gain == pytest.approx(1.02)
    assert set(gpu.timed) == set(by_model(64))
    assert notes == []


def test_what_cannot_be_used_is_told() -> None:
    off = [{**row, "m": 65} for row in rows(64, {1: 1.0})]
    untimed = [row for row in rows(128, {1: 1.0}) if row["kernel"] != by_model(128)[0]]
    gone = [{**row, "kernel": "gone"} for row in rows(8, {1: 1.0})]
    gpu, notes = table([*off, *untimed, *gone])
    assert gpu.choices == ()
    assert notes[0].startswith("1 shapes left out: their M is the end of no bucket")
    assert notes[1].startswith("1 shapes left out: not every kernel was timed there")
    assert len(notes) == 2


def test_the_script_writes_a_table_that_the_build_reads(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    source, target = tmp_path / "tune.json", tmp_path / "tables/h100.json"
    source.write_text(json.dumps({"machine": H100.as_json(), "rows": rows(64, {0: 12.0, 2: 10.0})}))
    command = [sys.executable, str(SCRIPT), str(source), "--out", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{target}: 1 choices of 1 shapes, faster by 1.200x (geomean) there\n"
    (gpu,) = tuning.load(target.parent, SPECS)
    assert [choice.kernel for choice in gpu.choices] == [by_model(64)[2]]
