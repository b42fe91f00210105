"""What a benchmark's rows come to: ratios, the text on the screen, the plots."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from bench_on_cpu import H100

from barrow.bench import plot, summary

Row = dict[str, Any]


def row(m: int, n: int = 2112, k: int = 7168, **us: float) -> Row:
    failed = {"cublaslt": "RuntimeError: M = 1"} if "cublaslt" not in us else {}
    shape = {"m": m, "n": n, "k": k, "kernel": "fp8_gemm_nt_bf16_x"}
    return {**shape, "floor_us": 5.0, "us": us, "samples": steady(us), "failed": failed}


def steady(us: dict[str, float]) -> dict[str, list[float]]:
    """The rounds of contenders that take the same time in each."""
    return {name: [value] * 3 for name, value in us.items()}


ROWS = [
    row(1, barrow=10.0, deep_gemm=12.0, deep_gemm_pdl=11.0, bf16=20.0),
    row(64, barrow=10.0, deep_gemm=40.0, deep_gemm_pdl=44.0, cublaslt=30.0, triton=50.0),
    row(256, barrow=20.0, deep_gemm=10.0, cublaslt=30.0),
    row(512, deep_gemm=10.0),
]


def data(rows: list[Row], **settings: bool) -> Row:
    return {"machine": H100.as_json(), "settings": {"cold": True, "quantise": False, **settings}, "rows": rows}


def test_the_summary_takes_the_fastest_of_each_group() -> None:
    small, middle = summary.summary(ROWS)
    assert small["m"] == [1, 64]
    assert small["over_floor"] == pytest.approx(2.0)
    assert small["deep_gemm"]["geomean"] == pytest.approx((1.2 * 4) ** 0.5)
    assert small["deep_gemm_best"]["geomean"] == pytest.approx((1.1 * 4) ** 0.5)
    assert small["fp8_best"]["geomean"] == pytest.approx((1.1 * 3) ** 0.5)
    assert small["fp8_best"]["worst"] == pytest.approx(1.1)
    assert small["fp8_best"]["worst_at"] == {"m": 1, "n": 2112, "k": 7168}
    assert small["cublaslt"]["geomean"] == pytest.approx(3.0)
    assert small["bf16"]["geomean"] == pytest.approx(2.0)
    # The row without a time of barrow's counts nowhere.
    assert (middle["m"], middle["fp8_best"]["worst"]) == ([256, 256], 0.5)
    assert "triton" not in middle


def test_a_ratio_is_taken_within_rounds() -> None:
    """The clocks fall after two rounds of one and three of the other: medians compare a fast round with a slow one."""
    drifting = row(1, barrow=15.0, deep_gemm=11.0)
    drifting["samples"] = {"barrow": [10.0, 10.0, 15.0, 15.0, 15.0], "deep_gemm": [11.0, 11.0, 11.0, 16.5, 16.5]}
    assert summary.summary([drifting])[0]["deep_gemm"]["worst"] == pytest.approx(1.1)


def test_without_a_peer_there_is_the_floor() -> None:
    assert summary.summary([row(1, barrow=10.0)]) == [{"m": [1, 1], "over_floor": 2.0}]


def test_lines_stand_under_the_header() -> None:
    names = ["barrow", "deep_gemm", "cublaslt"]
    head, text = summary.header(names, nk=True), summary.line(ROWS[1], names)
    assert head.split() == ["M", "N", "K", "floor", "barrow", "deep_gemm", "cublaslt", "ratio", "kernel"]
    assert text.split() == ["64", "2112", "7168", "5.00", "10.00", "40.00", "30.00", "3.00", "x"]
    assert [head.index(name) + len(name) for name in names] == [text.index(f"{us}.00") + 5 for us in (10, 40, 30)]
    assert summary.line(ROWS[0], names).split()[6] == "-"
    us = {"barrow": 100.0, "deep_gemm": 150.0}
    step = {"m": 8, "floor_us": 70.0, "us": us, "samples": steady(us), "failed": {}}
    assert summary.header(names, nk=False).split() == ["M", "floor", *names, "ratio"]
    assert summary.line(step, names).split() == ["8", "70.00", "100.00", "150.00", "-", "1.50"]


def test_the_summary_in_words_names_the_worst_and_the_failures() -> None:
    text = "\n".join(summary.summary_lines(ROWS, summary.summary(ROWS)))
    assert "M 1..64: 2.00x the floor" in text
    assert "against fp8_best        geomean 1.817x, worst 1.100x at M=1 N=2112 K=7168" in text
    assert "cublaslt has no time for 2 of 4 rows: RuntimeError: M = 1" in text
    us = {"barrow": 100.0, "deep_gemm": 150.0}
    step = {"m": 8, "floor_us": 70.0, "us": us, "samples": steady(us), "failed": {}}
    assert "worst 1.500x at M=8\n" in "\n".join(summary.summary_lines([step], summary.summary([step]))) + "\n"


def group_row(kind: str, load: str, shape: str, **us: float) -> Row:
    return {
        "m": 9,
        "kind": kind,
        "load": load,
        "shape": shape,
        "floor_us": 5.0,
        "us": us,
        "samples": steady(us),
        "failed": {},
    }


GROUPS = [
    group_row("contiguous", "4 x 8192", "6144 x 7168", barrow=10.0, deep_gemm=12.0, deep_gemm_pdl=11.0),
    group_row("contiguous", "4 x 8192", "4096 x 2048", barrow=10.0, deep_gemm=12.0, deep_gemm_pdl=16.0),
    group_row("masked", "6 x 20", "6144 x 7168", barrow=20.0, deep_gemm=10.0),
    group_row("masked", "32 x 20", "6144 x 7168", deep_gemm=10.0),
]


def test_groups_are_summed_up_by_kind_by_load_and_together() -> None:
    parts = {part["of"]: part for part in summary.summary_of_groups(GROUPS)}
    assert list(parts) == ["contiguous 4 x 8192", "masked 6 x 20", "contiguous", "masked", "all"]
    assert parts["contiguous"]["deep_gemm"]["geomean"] == pytest.approx(1.2)
    assert parts["contiguous"]["deep_gemm_best"]["geomean"] == pytest.approx((1.1 * 1.2) ** 0.5)
    assert parts["masked"]["deep_gemm"]["worst_at"] == {"kind": "masked", "load": "6 x 20", "shape": "6144 x 7168"}
    assert parts["all"]["over_floor"] == pytest.approx((2 * 2 * 4) ** (1 / 3))
    text = "\n".join(summary.summary_lines(GROUPS, list(parts.values())))
    assert "masked 6 x 20: 4.00x the floor" in text
    assert "against deep_gemm       geomean 0.500x, worst 0.500x at masked groups 6 x 20 shape 6144 x 7168" in text


def test_lines_of_groups_and_layers_stand_under_their_headers() -> None:
    names = ["barrow", "deep_gemm", "deep_gemm_pdl"]
    head, text = summary.group_header(names), summary.group_line(GROUPS[0], names)
    assert head.split() == ["kind", "groups", "shape", "floor", *names, "ratio"]
    assert len(head) == len(text)
    assert text.endswith("  5.00         10.00         12.00         11.00   1.10")
    names = ["barrow", "deep_gemm_ends", "deep_gemm_masked_pdl"]
    head, text = summary.layer_header(names), summary.layer_line(LAYER[1], names)
    assert head.split() == ["M", "experts", "floor", "barrow", "ends", "masked_pdl", "ratio"]
    assert len(head) == len(text)
    assert text.split() == ["64", "99.5", "70.00", "100.00", "150.00", "130.00", "1.30"]


def layer_row(m: int, **us: float) -> Row:
    size = {"experts": 256, "top_k": 8, "active": 99.5}
    return {"m": m, **size, "floor_us": 70.0, "us": us, "samples": steady(us), "failed": {}}


LAYER = [
    layer_row(1, barrow=100.0, deep_gemm_indices=120.0, deep_gemm_masked=110.0),
    layer_row(64, barrow=100.0, deep_gemm_ends=150.0, deep_gemm_masked_pdl=130.0),
    layer_row(512, barrow=100.0),
]


def test_of_layers_the_fastest_layout_of_each_step_counts() -> None:
    small, large, together = summary.summary_of_layers(LAYER)
    assert small["deep_gemm"]["geomean"] == pytest.approx((1.1 * 1.5) ** 0.5)
    assert small["deep_gemm_best"]["geomean"] == pytest.approx((1.1 * 1.3) ** 0.5)
    assert small["deep_gemm"]["worst_at"] == {"m": 1}
    assert (large["m"], "deep_gemm" in large) == ([512, 512], False)
    assert (together["of"], together["deep_gemm"]) == ("all", small["deep_gemm"])
    assert summary.summary_of_layers([layer_row(1, deep_gemm_ends=1.0)]) == []


def drawn(folder: Path, rows: list[Row], **settings: bool) -> dict[str, str]:
    """Name and text of every plot."""
    files = plot.draw(data(rows, **settings), folder / "run.json")
    assert all(ET.parse(file).getroot().tag.endswith("svg") for file in files)
    return {file.name: file.read_text() for file in files}


def test_a_grid_is_drawn_as_times_and_as_a_heat_map(tmp_path: Path) -> None:
    files = drawn(tmp_path, [*ROWS, row(1, 576, barrow=4.0, deep_gemm=6.0)])
    assert set(files) == {"run-time.svg", "run-ratio.svg"}
    assert "N = 576, K = 7168" in files["run-time.svg"]
    assert "floor: bytes or FLOP" in files["run-time.svg"]
    assert "weights cold in L2, activations quantised before" in files["run-time.svg"]
    assert "against DeepGEMM: geomean" in files["run-ratio.svg"]
    assert ">1.50<" in files["run-ratio.svg"]
    assert files == drawn(tmp_path, [*ROWS, row(1, 576, barrow=4.0, deep_gemm=6.0)])


def test_shapes_with_one_m_each_are_drawn_as_points(tmp_path: Path) -> None:
    rows = [row(3, 128, barrow=1.0, deep_gemm=2.0), row(300, 256, barrow=1.0, deep_gemm=1.0, cublaslt=1.5)]
    files = drawn(tmp_path, rows, cold=False)
    assert set(files) == {"run-ratio.svg"}
    assert "against DeepGEMM: geomean 1.41" in files["run-ratio.svg"]
    assert "weights warm in L2" in files["run-ratio.svg"]


def test_a_block_is_drawn_as_time_of_a_step(tmp_path: Path) -> None:
    rows = [{"m": m, "floor_us": 70.0, "us": {"barrow": 99.0, "deep_gemm": 150.0}, "failed": {}} for m in (1, 8)]
    files = drawn(tmp_path, rows, quantise=True)
    assert set(files) == {"run-time.svg"}
    assert "tokens of a step (M)" in files["run-time.svg"]
    assert "with the quantisation of activations" in files["run-time.svg"]


def test_without_a_peer_there_is_no_ratio_to_draw(tmp_path: Path) -> None:
    assert set(drawn(tmp_path, [row(1, barrow=1.0), row(8, barrow=2.0)])) == {"run-time.svg"}
    assert drawn(tmp_path, [row(1, 128, barrow=1.0), row(8, 256, barrow=2.0)]) == {}


def test_groups_are_drawn_as_a_heat_map_for_each_kind(tmp_path: Path) -> None:
    text = drawn(tmp_path, GROUPS)["run-ratio.svg"]
    for part in (
        "rows sorted by expert (N x K)",
        "6 x 20",
        "4096 x 2048",
        ">1.60<",
        ">0.50<",
        "against DeepGEMM: geomean",
    ):
        assert part in text
    assert drawn(tmp_path, [group_row("masked", "6 x 20", "1 x 1", barrow=1.0)]) == {}


def test_a_layer_is_drawn_as_time_and_ratio_against_tokens(tmp_path: Path) -> None:
    files = drawn(tmp_path, LAYER, quantise=True)
    assert set(files) == {"run-time.svg"}
    for part in ("top 8 of 256", "DeepGEMM + Triton, masked", "floor: bytes or FLOP", "fastest layout"):
        assert part in files["run-time.svg"]
    assert "fastest layout" not in drawn(tmp_path, LAYER[2:], quantise=True)["run-time.svg"]
