"""From a tuning to what is shipped: the costs that are fitted to it, and the shapes that are worth an entry."""

import json
import math
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import cost_model
import pytest
import write_table
from bench_on_cpu import H100
from choice_probe import SPECS

from barrow import launcher
from barrow_build.config import CostModel, tuning

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

N, K = 2112, 7168

Row = dict[str, Any]

KERNELS = tuning.tunable(SPECS)


def by_model(m: int, groups: int = 0) -> list[str]:
    candidates = launcher.choose(m, N, K, "bf16", H100.num_sms, H100.memory_gb_s, groups=groups)
    return [c["kernel"] for c in sorted(candidates, key=lambda c: c["predicted_us"])]


def rows(m: int, us: dict[int, float], groups: int = 0) -> list[Row]:
    """Times of the kernels by their place in the model's order; 20 us where none is given."""
    return [
        {"kernel": name, "m": m, "n": N, "k": K, "groups": groups, "us": us.get(place, 20.0), "coarse": False}
        for place, name in enumerate(by_model(m, groups))
    ]


def table(found: list[Row]) -> tuple[tuning.TunedGpu, list[str]]:
    data = {"machine": H100.as_json(), "rows": found}
    result: tuple[tuning.TunedGpu, list[str]] = write_table.table(data, KERNELS)
    return result


def test_a_choice_that_gains_one_percent_is_kept() -> None:
    gpu, notes = table([*rows(64, {0: 10.1, 2: 10.0}), *rows(128, {0: 10.09, 1: 10.0}), *rows(256, {0: 10.0})])
    assert (gpu.name, gpu.num_sms, gpu.memory_gb_s) == (H100.gpu, 132, 3352)
    (choice,) = gpu.choices
    assert (choice.n, choice.k, choice.m, choice.kernel) == (N, K, 64, by_model(64)[2])
    assert choice.gain == pytest.approx(1.01)
    assert set(gpu.timed) == set(by_model(64))
    assert notes == []


def test_groups_are_kept_by_their_mean() -> None:
    gpu, notes = table([*rows(6 * 64, {0: 12.0, 1: 10.0}, 6), *rows(6 * 64 + 6, {0: 12.0, 1: 10.0}, 6)])
    (choice,) = gpu.choices
    assert (choice.groups, choice.m, choice.kernel) == (6, 64, by_model(6 * 64, 6)[1])
    assert notes == ["1 shapes left out: their M is the end of no bucket"]
    _, notes = table(rows(6 * 64, {0: 12.0, 1: 10.0}, 6)[:-1])
    assert notes[0].startswith("1 shapes left out: not every kernel was timed there")


def test_what_groups_gain_is_not_lost_again_where_the_host_is_told_too_much() -> None:
    chosen, fastest = by_model(6 * 64, 6)[:2]
    for m, lost, kept in ((6 * 53, 1, 0), (6 * 54, 1, 1), (6 * 53, 0, 1)):
        smaller = [
            {**row, "us": {chosen: 10.0, fastest: 10.0 + lost}.get(row["kernel"], 20.0)} for row in rows(m, {}, 6)
        ]
        gpu, _ = table([*rows(6 * 64, {0: 12.0, 1: 10.0}, 6), *smaller])
        assert len(gpu.choices) == kept, m


def test_tiles_that_would_be_more_than_half_empty_need_no_time() -> None:
    found = [row for row in rows(64, {0: 10.0, 1: 9.0}) if KERNELS[row["kernel"]].block_m <= 128]
    assert len(found) < len(by_model(64))
    gpu, notes = table(found)
    assert [choice.kernel for choice in gpu.choices] == [by_model(64)[1]]
    assert notes == []
    _, notes = table([row for row in found if KERNELS[row["kernel"]].block_m < 128])
    assert notes[0].startswith("1 shapes left out: not every kernel was timed there")


def test_what_cannot_be_used_is_told() -> None:
    off = [{**row, "m": 65} for row in rows(64, {1: 1.0})]
    untimed = [row for row in rows(128, {1: 1.0}) if row["kernel"] != by_model(128)[0]]
    gone = [{**row, "kernel": "gone"} for row in rows(8, {1: 1.0})]
    gpu, notes = table([*off, *untimed, *gone])
    assert gpu.choices == ()
    assert notes[0].startswith("1 shapes left out: their M is the end of no bucket")
    assert notes[1].startswith("1 shapes left out: not every kernel was timed there")
    assert len(notes) == 2


def test_the_script_writes_a_table_for_each_gpu(tmp_path: Path) -> None:
    h200 = {**H100.as_json(), "gpu": "NVIDIA H200", "slug": "h200", "memory_gb_s": 4814}
    sources = []
    for machine in (H100.as_json(), h200):
        for name, found in (("tune", rows(64, {0: 12.0, 2: 10.0})), ("groups", rows(6 * 64, {0: 12.0, 1: 10.0}, 6))):
            sources.append(tmp_path / f"{name}-{machine['slug']}.json")
            sources[-1].write_text(json.dumps({"machine": machine, "rows": found}))
    tables = tmp_path / "tables"
    command = [sys.executable, str(BENCHMARKS / "write_table.py"), *map(str, sources), "--out", str(tables)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == f"{tables}/h100.json: 2 choices of 2 shapes, faster by 1.200x (geomean) there"
    assert second.startswith(f"{tables}/h200.json: ")
    h100_gpu, h200_gpu = tuning.load(tables, SPECS)
    assert [choice.kernel for choice in h100_gpu.choices] == [by_model(64)[2], by_model(6 * 64, 6)[1]]
    assert (h200_gpu.name, h200_gpu.memory_gb_s) == ("NVIDIA H200", 4814)


BF16 = {name: spec for name, spec in KERNELS.items() if spec.out == "bf16"}
GPUS = (cost_model.Gpu(132, 3352), cost_model.Gpu(132, 4814))
NKS = ((576, 7168), (5120, 8192), (24576, 1536))
SHAPES = [(m, n, k, 0) for m in (1, 16, 96, 128, 1000, 4096) for n, k in NKS]
GROUPS = [(m, n, k, groups) for m in (8, 100, 640, 6000) for n, k in NKS for groups in (6, 32)]


def shapes_of(name: str) -> list[tuple[int, int, int, int]]:
    return GROUPS if BF16[name].grouped else SHAPES


def test_the_fit_finds_the_costs_that_times_were_made_with() -> None:
    samples = {}
    for name, spec in BF16.items():
        us = {(g, s): cost_model.predict(spec.cost, spec, *s, g) for g in GPUS for s in shapes_of(name)}
        # So many that they outweigh what draws a kernel's costs to those of its family.
        samples[name] = 100 * [cost_model.Sample(*shape, gpu, us[gpu, shape], us[gpu, shape]) for gpu, shape in us]
    found = cost_model.fit(BF16, samples)
    assert found.keys() == BF16.keys()
    for name, of_kernel in samples.items():
        assert min(astuple(found[name])) >= 0
        errors = [
            cost_model.predict(found[name], BF16[name], s.m, s.n, s.k, s.groups, s.gpu) / s.us - 1 for s in of_kernel
        ]
        assert math.hypot(*errors) / math.sqrt(len(errors)) < 0.02, name


def test_a_kernel_without_costs_is_chosen_only_where_no_other_is() -> None:
    spec = next(iter(BF16.values()))
    assert cost_model.predict(CostModel(), spec, 1, 1, 1, 0, GPUS[0]) > 1e8


def tuned_rows(names: list[str]) -> list[Row]:
    return [
        {"kernel": name, "m": m, "n": n, "k": k, "groups": groups, "coarse": False}
        | {"us": cost_model.predict(BF16[name].cost, BF16[name], m, n, k, groups, GPUS[0])}
        for name in names
        for m, n, k, groups in shapes_of(name)
    ]


def fit_cost(tmp_path: Path, found: list[Row]) -> "subprocess.CompletedProcess[str]":
    source = tmp_path / "tune.json"
    source.write_text(json.dumps({"machine": H100.as_json(), "rows": found}))
    command = [sys.executable, str(BENCHMARKS / "fit_cost.py"), str(source), "--out", str(tmp_path / "costs.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_script_writes_costs_that_the_build_imports(tmp_path: Path) -> None:
    gone = [{**row, "kernel": "gone"} for row in tuned_rows([next(iter(BF16))])]
    done = fit_cost(tmp_path, tuned_rows(list(BF16)) + gone)
    assert done.returncode == 0, done.stderr
    assert "each N x K by costs fitted to the others" in done.stdout
    written: dict[str, Any] = {}
    exec((tmp_path / "costs.py").read_text(), written)
    assert written["BF16_COSTS"].keys() == BF16.keys()
    assert all(isinstance(cost, CostModel) for cost in written["BF16_COSTS"].values())


def test_the_script_refuses_a_tuning_without_one_of_the_kernels(tmp_path: Path) -> None:
    last = list(BF16)[-1]
    done = fit_cost(tmp_path, tuned_rows([name for name in BF16 if name != last]))
    assert done.returncode != 0
    assert done.stderr == f"no times of {last}; run barrow tune with a build that has them\n"
    assert not (tmp_path / "costs.py").exists()
