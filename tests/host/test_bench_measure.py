"""What the benchmark does around its timing: who takes part, what is judged, what a row holds."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
import torch
from bench_on_cpu import H100, Peer, pretend

from barrow import launcher
from barrow.bench import machine, providers, serve, timing
from barrow.bench.measure import Settings, measure
from barrow.bench.shapes import Problem

PROBLEMS: list[Problem] = [(3, 40, 256), (8, 40, 256), (3, 24, 128)]


def test_every_problem_gets_a_row_and_neighbours_share_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pretend(monkeypatch, {"barrow": 2.0, "other": 3.0})
    made: list[tuple[int, int]] = []

    def weight(n: int, k: int) -> providers.Weight:
        made.append((n, k))
        return providers.weight(n, k)

    monkeypatch.setattr("barrow.bench.measure.weight", weight)
    rows = list(measure(H100, [providers.Barrow(), Peer("other")], PROBLEMS, Settings()))
    assert [(row["m"], row["n"], row["k"]) for row in rows] == PROBLEMS
    for row in rows:
        assert row["us"] == {"barrow": 2.0, "other": 3.0}
        assert row["failed"] == {}
        assert all(0 <= error < 0.005 for error in row["relative_error"].values())
        chosen = launcher.choose(row["m"], row["n"], row["k"], "bf16", 132, 3352)[0]
        assert (row["kernel"], row["kernel_measured"]) == (chosen["kernel"], chosen["measured"])
    copies = timing.copies_for(40 * 256)
    assert made == [(40, 256)] * copies + [(24, 128)] * copies
    assert seen == [{"barrow": copies, "other": copies}] * 3


def test_a_warm_cache_has_one_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pretend(monkeypatch, {"barrow": 2.0})
    (row,) = measure(H100, [providers.Barrow()], PROBLEMS[:1], Settings(cold=False, rounds=5))
    assert row["samples"] == {"barrow": (2.0,) * 5}
    assert seen == [{"barrow": 1}]
    # Only the operations count: nothing has to come from memory.
    assert row["floor_us"] == pytest.approx(2 * 3 * 40 * 256 / (machine.FP8_TFLOPS * 1e6))


def test_a_wrong_result_has_no_time_and_a_refusal_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"barrow": 2.0, "wrong": 1.0, "unable": 1.0})
    contenders: list[providers.Provider] = [
        providers.Barrow(),
        Peer("wrong", factor=1.02),
        Peer("unable", refusal="not this shape\nstack"),
    ]
    (row,) = measure(H100, contenders, PROBLEMS[:1], Settings())
    assert row["us"] == {"barrow": 2.0}
    assert row["failed"]["wrong"].startswith("wrong result: relative error 0.0")
    assert row["failed"]["unable"] == "RuntimeError: not this shape"


def test_an_element_that_is_not_written_is_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})
    silent = Peer("silent")
    monkeypatch.setattr(silent, "run", lambda a, b, out: None)
    (row,) = measure(H100, [silent], PROBLEMS[:1], Settings())
    assert row["failed"]["silent"] == "wrong result: relative error nan"


def test_a_failed_timing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})
    (row,) = measure(H100, [providers.Barrow()], PROBLEMS[:1], Settings())
    assert (row["us"], row["failed"]) == ({}, {"barrow": "no"})


def test_bf16_is_not_judged_by_the_quantised_product(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"bf16": 1.0})
    (row,) = measure(H100, [Peer("bf16", fp8=False)], PROBLEMS[:1], Settings())
    assert row["us"] == {"bf16": 1.0}
    assert row["relative_error"]["bf16"] > 0.01


@pytest.mark.parametrize("quantise", [False, True])
def test_quantisation_is_in_the_calls_when_it_counts(monkeypatch: pytest.MonkeyPatch, quantise: bool) -> None:
    pretend(monkeypatch, {"fp8": 1.0, "bf16": 1.0})
    fp8, bf16 = Peer("fp8"), Peer("bf16", fp8=False)
    (row,) = measure(H100, [fp8, bf16], PROBLEMS[:1], Settings(quantise=quantise))
    assert set(fp8.quantised[1:]) == {quantise}
    assert set(bf16.quantised[1:]) == {False}
    assert row["floor_us"] == H100.floor_us(*PROBLEMS[0], activation_bytes=2 if quantise else 1)


def test_the_switches_of_a_library_are_set_before_its_first_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pretend(monkeypatch, {"peer": 1.0})
    peer = Peer("peer")
    list(measure(H100, [peer], PROBLEMS[:1], Settings()))
    assert seen[0]["peer"] > 1
    assert peer.prepared == 2  # once to be judged, once to be timed


def test_a_step_calls_every_layer_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pretend(monkeypatch, {"barrow": 5.0, "peer": 7.0})
    layers = [(40, 256), (24, 128)]
    peer = Peer("peer")
    sets = serve.block_weights(layers)
    calls = len(peer.quantised)
    row = serve.measure_step(H100, [providers.Barrow(), peer, Peer("wrong", factor=1.1)], 4, sets, 3)
    assert (row["m"], row["us"]) == (4, {"barrow": 5.0, "peer": 7.0})
    assert row["samples"]["peer"] == (7.0,) * 3
    assert set(row["failed"]) == {"wrong"}
    assert seen == [{"barrow": serve.SETS, "peer": serve.SETS}]
    # Judged once per layer, then each layer once per set of weights.
    assert len(peer.quantised) - calls == len(layers) * (1 + serve.SETS)
    assert row["floor_us"] == sum(H100.floor_us(4, n, k, activation_bytes=2) for n, k in layers)


def test_the_block_is_that_of_deepseek_v3() -> None:
    assert list(serve.BLOCK) == [
        (2112, 7168),
        (24576, 1536),
        (32768, 512),
        (7168, 16384),
        (4096, 7168),
        (7168, 2048),
    ]


def test_floors_are_those_of_the_anchors() -> None:
    # max(bytes / 3.0 TB/s, flop / 1500 TFLOP/s), worked out by hand.
    assert H100.floor_us(1, 2112, 7168) == pytest.approx((7168 + 2112 * 7168 + 2 * 2112) / 3.0e6)
    assert H100.floor_us(4096, 2112, 7168) == pytest.approx(2 * 4096 * 2112 * 7168 / 1.5e9)


@pytest.mark.parametrize(("gb_s", "tb_s"), [(3352, 3.0), (3360, 3.0), (4814, 4.3), (2039, 1.804515), (4023, 3.560355)])
def test_a_copy_reaches_a_fraction_of_the_peak(gb_s: int, tb_s: float) -> None:
    assert machine.copy_bandwidth_tb_s(gb_s) == pytest.approx(tb_s)


@pytest.mark.parametrize(
    ("gpu", "slug"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H100 NVL", "h100-nvl"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("Fake GPU", "gpu"),
    ],
)
def test_a_gpu_has_a_short_name(gpu: str, slug: str) -> None:
    assert machine.slug_of(gpu) == slug


def test_the_commit_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARROW_COMMIT", "abc1234")
    assert machine._commit() == "abc1234"


def test_providers_that_cannot_be_imported_are_told() -> None:
    found, missing = providers.providers(("deep_gemm", "cublaslt", "triton", "bf16"), None)
    names = [provider.name for provider in found]
    assert names[0] == "barrow"
    assert {"cublaslt", "bf16"} <= set(names)
    assert {*names, *missing} >= {"deep_gemm", "triton"}
    assert all(why.partition(":")[0].endswith("Error") for why in missing.values())


def test_a_folder_without_deep_gemm_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r"DeepGEMM in .* holds no deep_gemm/__init__.py"):
        providers.providers(("deep_gemm",), tmp_path)


def test_a_median_of_no_samples_is_none() -> None:
    assert timing.Timing().us is None
    assert timing.Timing((3.0, 1.0, 2.0)).us == 2.0
    assert timing.reason(RuntimeError("first\nsecond")) == "RuntimeError: first"


def test_long_launches_run_for_a_while_before_and_while_they_are_timed() -> None:
    assert timing.replays(39.0, 32) == (1, 1)
    assert timing.replays(50.0, 32) == (125, 94)  # 200 and 150.4 ms
    assert timing.replays(2500.0, 6) == (14, 10)
    assert timing.replays(120_000.0, 1) == (2, 2)


def test_the_time_is_that_of_the_replays_between_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            done.append("event")

        def synchronize(self) -> None:
            done.append("wait")

        def elapsed_time(self, stop: "Event") -> float:
            return 6.0

    class Graph:
        def replay(self) -> None:
            done.append("replay")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    graph = cast(torch.cuda.CUDAGraph, Graph())
    assert timing.replay_us(graph, launches=10, ahead=2, timed=3) == pytest.approx(200.0)
    assert done == ["replay"] * 2 + ["event"] + ["replay"] * 3 + ["event", "wait"]


def test_weights_rotate_past_the_cache() -> None:
    assert timing.copies_for(1) == timing.MOST_COPIES
    assert timing.copies_for(10**9) == 2
    assert timing.copies_for(40 * 2**20) == 5


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (
            "state = []\ndef set_pdl(on): state.append(on)\n",
            ["barrow", "barrow_prefetch", "deep_gemm", "deep_gemm_pdl"],
        ),
        ("# a release before the switch\n", ["barrow", "barrow_prefetch", "deep_gemm"]),
    ],
)
def test_deep_gemm_comes_twice_where_it_can_overlap_launches(
    source: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep_gemm").mkdir()
    (tmp_path / "deep_gemm/__init__.py").write_text(source)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "deep_gemm", raising=False)
    found, missing = providers.providers(("deep_gemm",), tmp_path)
    module = sys.modules.pop("deep_gemm")
    assert ([provider.name for provider in found], missing) == (names, {})
    for provider in found:
        provider.prepare()
    assert getattr(module, "state", None) == ([False, True] if len(names) == 4 else None)


def test_no_gpu_is_an_error_that_says_what_is_missing() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match=r"^it needs a Hopper GPU \(H100, H200\), but "):
        machine.this_machine()


@pytest.mark.parametrize(("us", "launches", "captured"), [(4.0, 32, [32, 125]), (15.0, 32, [32, 34]), (16.0, 32, [32])])
def test_graphs_last_long_enough(
    monkeypatch: pytest.MonkeyPatch, us: float, launches: int, captured: list[int]
) -> None:
    graphs: list[int] = []

    def capture(calls: Sequence[timing.Call], launches: int) -> tuple[int, int]:
        graphs.append(launches)
        return launches, launches

    monkeypatch.setattr(timing, "capture", capture)
    monkeypatch.setattr(timing, "replay_us", lambda graph, launches: us)
    assert timing.captured([lambda: None], launches)[1:] == (captured[-1], us)
    assert graphs == captured
