"""`barrow tune`: what it times, what it keeps in its file, and how it goes on."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import retune
import torch
import tune_large
from bench_on_cpu import H100, pretend
from torch import Tensor

from barrow import cli, launcher, ops
from barrow.bench import groups
from barrow.bench.shapes import DEEPSEEK_NK, OTHER_NK, model_nk
from barrow.bench.timing import ROUNDS, Call, Timing
from barrow.cli import progress
from barrow.cli import tune as command
from barrow.tune import store, sweep

KERNELS = sweep.gemm_kernels()
NAMES = [kernel["name"] for kernel in KERNELS if kernel["out"] == "bf16" and kernel["kind"] == "gemm"]
GROUPED = [kernel["name"] for kernel in KERNELS if kernel["kind"] == "grouped_gemm"]
SHA256 = store.hashes()
# M for which every kernel is worth a time.
PROBLEMS = [(128, 40, 256, 0), (128, 56, 256, 0), (128, 24, 128, 0)]
GROUPS = [(9, 40, 256, 3), (30, 40, 256, 3)]


class FakeGpu:
    """Kernels as CPU calls: each takes `us` by its name, or `finals` when it is timed against others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pretend(monkeypatch, {})
        self.us = {name: 10.0 + i for i, name in enumerate((*NAMES, *GROUPED))}
        self.finals: dict[str, float] = {}
        self.wrong: str | None = None
        self.interrupt_after: int | None = None
        self.timed: list[str] = []
        self.in_finals: list[set[str]] = []
        self.lengths: list[tuple[int, int]] = []
        index = {i: name for name, i in sweep.indices().items()}

        def named(which: int, out: Tensor, product: Callable[[], Tensor]) -> Call:
            name = index[which]

            def call() -> str:
                out.copy_(product() * (1.1 if name == self.wrong else 1.0))
                return name

            return call

        def calls(shape: sweep.DenseShape, which: int) -> list[Call]:
            w = shape.weights[0]
            product = partial(ops.fp8_gemm_nt, shape.a.q, shape.a.scale, w.q, w.scale)
            return [named(which, shape.out, product)] * len(shape.weights)

        def grouped_calls(shape: sweep.GroupedShape, which: int) -> list[Call]:
            w = shape.weights[0]
            product = partial(ops.m_grouped_fp8_gemm_nt, shape.a.q, shape.a.scale, w.q, w.scale)
            return [named(which, shape.out, partial(product, ends)) for ends in shape.ends] * len(shape.weights)

        def eager_us(call: Call) -> float:
            if self.interrupt_after is not None and len(self.timed) >= self.interrupt_after:
                raise KeyboardInterrupt
            name = str(call())
            self.timed.append(name)
            return self.us[name]

        def captured(calls: Sequence[Call], launches: int) -> tuple[str, int, float]:
            name = str(calls[0]())
            return name, launches, self.us[name]

        def interleaved(contenders: Mapping[str, Sequence[Call]], launches: int, rounds: int) -> dict[str, Timing]:
            self.in_finals.append(set(contenders))
            self.lengths.append((launches, rounds))
            return {name: Timing((self.finals.get(name, self.us[name]),)) for name in contenders}

        monkeypatch.setattr(sweep.DenseShape, "calls", calls)
        monkeypatch.setattr(sweep.GroupedShape, "calls", grouped_calls)
        monkeypatch.setattr(groups, "DEVICE", torch.device("cpu"))
        monkeypatch.setattr(sweep, "eager_us", eager_us)
        monkeypatch.setattr(sweep, "captured", captured)
        monkeypatch.setattr(sweep, "replay_us", lambda graph, launches: self.us[graph])
        monkeypatch.setattr(sweep, "interleaved", interleaved)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    return FakeGpu(monkeypatch)


def opened(path: Path) -> store.Store:
    return store.Store.open(path, H100, KERNELS, SHA256)


def tune(path: Path) -> tuple[store.Store, list[tuple[int, int, str]]]:
    told: list[tuple[int, int, str]] = []
    rows = opened(path)
    sweep.tune(rows, PROBLEMS, "bf16", lambda *args: told.append(args))
    return rows, told


def test_every_kernel_is_timed_on_every_shape(gpu: FakeGpu, tmp_path: Path) -> None:
    rows, told = tune(tmp_path / "t.json")
    assert set(rows.rows) == {(name, problem) for name in NAMES for problem in PROBLEMS}
    assert told[0] == (0, len(rows.rows), "M = 128, N = 40, K = 256")
    assert told[-1] == (len(rows.rows), len(rows.rows), "")
    data = json.loads((tmp_path / "t.json").read_text())
    assert data["machine"] == H100.as_json()
    assert [kernel["name"] for kernel in data["kernels"]] == [kernel["name"] for kernel in KERNELS]
    assert data["kernels"][0]["sha256"] == SHA256[NAMES[0]]
    assert data["rows"] == list(rows.rows.values())
    assert data["rows"][0].keys() == {"kernel", "m", "n", "k", "groups", "us", "coarse"}


def test_tiles_that_would_be_more_than_half_empty_are_not_timed(gpu: FakeGpu, tmp_path: Path) -> None:
    rows = opened(tmp_path / "t.json")
    problems = [(2, 40, 256, 0), (63, 40, 256, 0)]
    sweep.tune(rows, problems, "bf16", lambda *args: None)
    tallest = {2: 64, 63: 64, 64: 128}
    named = {kernel["name"]: kernel["block_m"] for kernel in KERNELS}
    for problem in problems:
        low = {name for name in NAMES if named[name] <= tallest[problem[0]]}
        assert {row["kernel"] for row in rows.of_problem(problem)} == low < set(NAMES)
    assert [sweep.worth_timing(128, m) for m in tallest] == [False, False, True]


def test_tiles_for_few_rows_are_not_timed_for_many() -> None:
    assert [sweep.worth_timing(48, m) for m in (1, 128, 129)] == [True, True, False]
    assert [sweep.worth_timing(block_m, 4096) for block_m in (8, 64, 256)] == [False, True, True]
    assert sweep.worth_timing(48, 4096, groups=32)


def test_groups_are_timed_with_grouped_kernels(gpu: FakeGpu, tmp_path: Path) -> None:
    rows = opened(tmp_path / "t.json")
    told: list[tuple[int, int, str]] = []
    sweep.tune(rows, GROUPS, "bf16", lambda *args: told.append(args))
    assert set(rows.rows) == {(name, problem) for name in GROUPED for problem in GROUPS}
    assert told[0] == (0, len(rows.rows), "M = 9, N = 40, K = 256, 3 groups")


def test_rows_are_spread_unevenly_and_none_is_lost() -> None:
    for rows, count in ((0, 3), (7, 32), (640, 32), (1, 1), (4095, 4)):
        sizes = groups.uneven(rows, count)
        assert (len(sizes), sum(sizes)) == (count, rows)
        assert sizes == groups.uneven(rows, count)
        skewed = groups.zipf(rows, count)
        assert (len(skewed), sum(skewed)) == (count, rows)
    sizes = groups.uneven(6400, 32)
    assert 100 <= min(sizes) < max(sizes) <= 300
    skewed = groups.zipf(6400, 32)
    assert skewed[0] > 20 * skewed[-1]


def test_files_of_before_there_were_groups_hold(gpu: FakeGpu, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    tune(path)
    data = json.loads(path.read_text())
    for row in data["rows"]:
        del row["groups"]
    path.write_text(json.dumps(data))
    assert set(opened(path).rows) == {(name, problem) for name in NAMES for problem in PROBLEMS}


def test_a_hopeless_kernel_is_timed_once_and_coarsely(gpu: FakeGpu, tmp_path: Path) -> None:
    slow = NAMES[-1]
    gpu.us = {**dict.fromkeys(NAMES, 30.0), slow: 200.0}
    # The model thinks it the slowest as well, so it comes after a good one.
    m, n, k = 128, 7168, 2048
    order = [c["kernel"] for c in launcher.choose(m, n, k, "bf16", 132, 3352)]
    assert order.index(slow) > 0
    rows = opened(tmp_path / "t.json")
    sweep.tune(rows, [(m, 40, 256, 0)], "bf16", lambda *args: None)
    assert [row["kernel"] for row in rows.rows.values() if row["coarse"]] == [slow]
    assert slow not in set().union(*gpu.in_finals)


def test_short_launches_are_never_hopeless(gpu: FakeGpu, tmp_path: Path) -> None:
    gpu.us = {**dict.fromkeys(NAMES, 2.0), NAMES[-1]: 79.0}
    rows, _ = tune(tmp_path / "t.json")
    assert not any(row["coarse"] for row in rows.rows.values())


def test_kernels_near_the_best_are_timed_in_turn(gpu: FakeGpu, tmp_path: Path) -> None:
    gpu.us = {**dict.fromkeys(NAMES, 20.0), NAMES[0]: 10.0, NAMES[1]: 10.4, NAMES[2]: 10.6}
    gpu.finals = {NAMES[0]: 10.3, NAMES[1]: 10.1}
    rows, _ = tune(tmp_path / "t.json")
    assert gpu.in_finals == [{NAMES[0], NAMES[1]}] * len(PROBLEMS)
    assert gpu.lengths == [(sweep.LAUNCHES, ROUNDS)] * len(PROBLEMS)
    us = {row["kernel"]: row["us"] for row in rows.of_problem(PROBLEMS[0])}
    assert (us[NAMES[0]], us[NAMES[1]], us[NAMES[2]]) == (10.3, 10.1, 10.6)


def test_long_launches_are_timed_as_a_benchmark_does_with_more_near_the_best(gpu: FakeGpu, tmp_path: Path) -> None:
    gpu.us = {**dict.fromkeys(NAMES, 200.0), NAMES[0]: 100.0, NAMES[1]: 124.0, NAMES[2]: 126.0}
    tune(tmp_path / "t.json")
    assert gpu.in_finals == [{NAMES[0], NAMES[1]}] * len(PROBLEMS)
    assert gpu.lengths == [(32, 7)] * len(PROBLEMS)


def test_a_kernel_with_a_wrong_result_ends_the_tuning(gpu: FakeGpu, tmp_path: Path) -> None:
    gpu.wrong = NAMES[3]
    with pytest.raises(RuntimeError, match=rf"^kernel {NAMES[3]} computes a wrong product for \(128, 40\): "):
        tune(tmp_path / "t.json")


def test_an_interrupted_run_goes_on_where_it_was(gpu: FakeGpu, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    gpu.interrupt_after = len(NAMES) + 3
    with pytest.raises(KeyboardInterrupt):
        tune(path)
    before = opened(path).rows
    assert len(before) == gpu.interrupt_after
    gpu.interrupt_after, gpu.timed = None, []
    rows, told = tune(path)
    assert told[0][1] == len(gpu.timed) == len(NAMES) * len(PROBLEMS) - len(before)
    assert set(rows.rows) == {(name, problem) for name in NAMES for problem in PROBLEMS}
    gpu.timed = []
    _, told = tune(path)
    assert (gpu.timed, told) == ([], [(0, 0, "")])


def test_both_outputs_share_a_file(gpu: FakeGpu, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    tune(path)
    others = [kernel["name"] for kernel in KERNELS if kernel["out"] == "f32"]
    gpu.us.update(dict.fromkeys(others, 10.0))
    rows = opened(path)
    sweep.tune(rows, PROBLEMS[:1], "f32", lambda *args: None)
    again = opened(path)
    assert again.dropped == 0
    assert set(again.rows) == {
        *((name, problem) for name in NAMES for problem in PROBLEMS),
        *((name, PROBLEMS[0]) for name in others),
    }
    # Kernels are timed again against those of their own output only.
    assert gpu.in_finals[-1] == set(others)


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_times_of_a_changed_or_gone_kernel_are_dropped(gpu: FakeGpu, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    tune(path)
    kernels = json.loads(path.read_text())["kernels"]
    kernels[0]["sha256"] = "0" * 64
    kernels[1]["name"] = "gone"
    edit(path, kernels=kernels)
    again = opened(path)
    assert again.dropped == 2 * len(PROBLEMS)
    assert {key[0] for key in again.rows} == set(NAMES[2:])


def test_what_is_near_the_fastest_is_timed_again(gpu: FakeGpu, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    gpu.us = {**dict.fromkeys(NAMES, 200.0), NAMES[0]: 100.0, NAMES[1]: 108.0}
    tune(path)
    before = json.loads(path.read_text())
    before["kernels"][1]["sha256"] = "0" * 64  # it has changed
    before["kernels"][2]["name"] = "gone"
    for row in before["rows"]:
        row["kernel"] = "gone" if row["kernel"] == NAMES[2] else row["kernel"]
    edit(path, **before)
    gpu.in_finals, gpu.finals = [], {NAMES[0]: 112.0, NAMES[1]: 106.0}
    rows = store.Store.open(path, H100, KERNELS, SHA256, changed_too=True)
    assert {key[0] for key in rows.rows} == {*NAMES} - {NAMES[2]}
    for none in ((129, 1e9, 0.0, 1e9), (1, 127, 0.0, 1e9), (1, 1e9, 101.0, 1e9), (1, 1e9, 0.0, 99.0)):
        assert retune.worth(rows, *none) == []
    problems = retune.worth(rows, 128, 128, 100.0, 101.0)
    assert problems == [(128, 24, 128, 0), (128, 40, 256, 0), (128, 56, 256, 0)]
    assert retune.retune(rows, problems, 1.1, 1e9, lambda *args: None) == len(problems)
    assert gpu.in_finals == [{NAMES[0], NAMES[1]}] * len(problems)
    us = {row["kernel"]: row["us"] for row in json.loads(path.read_text())["rows"] if row["k"] == 128}
    assert us == {**{name: 200.0 for name in NAMES if name != NAMES[2]}, NAMES[0]: 112.0, NAMES[1]: 106.0}
    assert retune.retune(rows, problems, 1.1, -1.0, lambda *args: None) == 0
    gpu.wrong = NAMES[1]  # the one that has changed
    with pytest.raises(RuntimeError, match=rf"^kernel {NAMES[1]} computes a wrong product for "):
        retune.retune(rows, problems, 1.1, 1e9, lambda *args: None)


def test_what_has_times_of_the_other_output_only_is_not_timed_again(gpu: FakeGpu, tmp_path: Path) -> None:
    rows = opened(tmp_path / "t.json")
    gpu.us.update({kernel["name"]: 10.0 for kernel in KERNELS if kernel["out"] == "f32"})
    sweep.tune(rows, PROBLEMS[:1], "f32", lambda *args: None)
    assert rows.rows
    assert retune.worth(rows, 1, 1e9, 0.0, 1e9) == []


def test_a_file_of_another_gpu_is_refused(gpu: FakeGpu, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    tune(path)
    edit(path, machine={**H100.as_json(), "gpu": "NVIDIA H200"})
    with pytest.raises(store.StoreError, match=r"holds times of NVIDIA H200, this is NVIDIA H100 80GB HBM3; choose"):
        opened(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": {"gpu": "x"}, "rows": [1], "kernels": []}'])
def test_a_file_that_is_no_tuning_is_refused_and_kept(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(store.StoreError, match="is not what barrow tune wrote"):
        opened(path)
    assert path.read_text() == text


def test_the_command_tunes_and_goes_on(
    gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "this_machine", lambda: H100)
    path = tmp_path / "t.json"
    arguments = ["tune", "--nk", "40x256", "56x256", "--m", "128", "--out", str(path)]
    gpu.interrupt_after = 2
    assert cli.main(arguments) == 130
    assert f"run it again to go on from {path}" in capsys.readouterr().err
    gpu.interrupt_after = None
    assert cli.main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{path}: {2 * len(NAMES)} times\n"
    assert captured.err.splitlines()[-1] == f"{2 * len(NAMES) - 2}/{2 * len(NAMES) - 2}"
    edit(path, machine={"gpu": "another"})
    assert cli.main(arguments) == 1
    assert "holds times of another" in capsys.readouterr().err


def test_by_default_every_bucket_of_the_table_is_tuned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(command, "this_machine", lambda: H100)
    monkeypatch.setattr(command, "tune", lambda rows, problems, out, tell: asked.extend(problems))
    assert cli.main(["tune", "--nk", "40x256", "--dtype", "f32", "--out", str(tmp_path / "t.json")]) == 0
    assert [m for m, *_ in asked] == launcher.tuned()["m_edges"]
    asked.clear()
    assert cli.main(["tune", "--nk", "40x256", "--groups", "6", "--m", "8", "--out", str(tmp_path / "g.json")]) == 0
    assert asked == [(48, 40, 256, 6)]


def test_kernels_are_named_by_their_place_in_the_table() -> None:
    assert [launcher.kernels()[i]["name"] for i in sweep.indices().values()] == list(sweep.indices())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("barrow.cli.progress.time.monotonic", lambda: now[0])
    out = Terminal()
    show = progress.Progress(out)
    show(0, 4, "first")
    now[0] = 130.0
    show(1, 4, "second")
    show(4, 4, "")
    first, second, last = out.getvalue().split("\r\033[K")[1:]
    assert first == f"[{'.' * 30}] 0/4 first"
    assert second == f"[{'#' * 7}{'.' * 23}] 1/4, 1:30 left second"
    assert last == f"[{'#' * 30}] 4/4\n"


def test_a_line_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("barrow.cli.progress.time.monotonic", lambda: now[0])
    out = io.StringIO()
    show = progress.Progress(out)
    for done in range(100):
        show(done, 100, f"step {done}")
        now[0] += 1.0
    show(100, 100, "")
    lines = out.getvalue().splitlines()
    assert [line.split("/")[0] for line in lines] == ["0", "30", "60", "90", "100"]
    assert lines[1] == "30/100, 1:10 left step 30"


def test_every_dtype_has_a_torch_dtype() -> None:
    assert {kernel["out"] for kernel in launcher.kernels() if kernel["kind"] == "gemm"} == set(sweep.DTYPES)
    assert sweep.DTYPES["f32"] is torch.float32


def test_large_tiles_take_turns_on_random_problems(gpu: FakeGpu, tmp_path: Path) -> None:
    names = set(tune_large.large(KERNELS))
    assert {tuple(map(int, name.split("_")[5].split("x")[:2])) for name in names} == {
        (128, 128), (128, 160), (128, 192), (192, 128), (256, 128)
    }  # fmt: skip
    rows = opened(tmp_path / "t.json")
    first = min(names)
    rows.add(first, PROBLEMS[0], 5.0, coarse=False)
    told: list[tuple[int, int, str]] = []
    assert tune_large.tune_large(rows, PROBLEMS[:2], 1e9, lambda *args: told.append(args)) == 2
    assert told == [(0, 2, "M = 128, N = 40, K = 256"), (1, 2, "M = 128, N = 56, K = 256"), (2, 2, "")]
    assert gpu.in_finals == [names, names]
    assert gpu.lengths == [(32, tune_large.ROUNDS)] * 2
    saved = {(row["kernel"], row["n"]): row["us"] for row in json.loads(rows.path.read_text())["rows"]}
    assert saved == {(name, n): gpu.us[name] for name in names for n in (40, 56)}
    assert tune_large.tune_large(rows, PROBLEMS[:2], 1e9, lambda *args: None) == 0
    assert tune_large.tune_large(rows, PROBLEMS, -1.0, lambda *args: None) == 0


def test_random_large_problems_are_of_no_model() -> None:
    problems = tune_large.problems(20)
    assert problems == tune_large.problems(30)[:20]
    assert len({*problems}) == 20
    assert not {(n, k) for _, n, k, _ in problems} & {*DEEPSEEK_NK, *OTHER_NK, *model_nk()}
    for m, n, k, no_groups in problems:
        assert no_groups == 0
        assert 1100 <= m <= 8192
        assert n % 128 == k % 256 == 0
        assert 45 < 2 * m * n * k / 1.3e9 < 1500
