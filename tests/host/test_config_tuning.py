"""The table of measured choices as a file: what it may hold, and what is said of one that cannot be compiled in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from choice_probe import SPECS

from barrow_build.aot.table import table
from barrow_build.config import tuning

KERNELS = tuning.tunable(SPECS)
BF16, GROUPED = (
    next(name for name, spec in KERNELS.items() if spec.out == "bf16" and spec.grouped == grouped)
    for grouped in (False, True)
)
F32 = next(name for name, spec in KERNELS.items() if spec.out == "f32")
ROWS = [spec.name for spec in SPECS if spec.row_scales_b]
ALL = sorted(KERNELS)

Data = dict[str, Any]


def data() -> Data:
    return {
        "gpu": "NVIDIA H100",
        "num_sms": 132,
        "memory_gb_s": 3352,
        "timed": ALL,
        "choices": [{"groups": 0, "n": 2112, "k": 7168, "m": 64, "kernel": BF16, "gain": 1.05}],
    }


def parse(value: object) -> tuning.TunedGpu:
    return tuning.parse(json.dumps(value), "h100.json", KERNELS)


def test_a_table_is_read_and_written_alike() -> None:
    gpu = parse(data())
    assert gpu == tuning.TunedGpu("NVIDIA H100", 132, 3352, tuple(ALL), (tuning.Choice(0, 2112, 7168, 64, BF16, 1.05),))
    assert tuning.parse(tuning.dumps(gpu), "h100.json", KERNELS) == gpu


def test_a_choice_is_one_line_so_that_a_change_of_one_is_a_diff_of_one() -> None:
    gpu = tuning.TunedGpu("g", 132, 3352, tuple(ALL), tuple(tuning.Choice(0, 64, 128, m, BF16, 1.5) for m in (8, 1)))
    lines = tuning.dumps(gpu).splitlines()
    assert [json.loads(line.strip(" ,"))["m"] for line in lines if "gain" in line] == [1, 8]
    empty = tuning.TunedGpu("g", 132, 3352, (), ())
    assert tuning.parse(tuning.dumps(empty), "g", KERNELS) == empty


def change(**values: object) -> Callable[[Data], object]:
    return lambda table: table.update(values)


def change_choice(**values: object) -> Callable[[Data], object]:
    return lambda table: table["choices"][0].update(values)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            lambda t: t.pop("num_sms"),
            r"^h100.json has \('gpu', 'memory_gb_s', 'timed', 'choices'\) but needs",
        ),
        (change(more=1), "but needs exactly the keys gpu, num_sms, memory_gb_s, timed, choices$"),
        (change(gpu='x", 0}; //'), "^h100.json: gpu is .* but must be a name of letters, digits and spaces"),
        (change(gpu=1), "^h100.json: gpu is 1 but must be a name"),
        (change(num_sms=0), "^h100.json: num_sms is 0 but must be a whole number from 1"),
        (change(memory_gb_s=3352.5), "^h100.json: memory_gb_s is 3352.5 but must be a whole number"),
        (change(timed=None), "^h100.json: timed must be a list"),
        (change(timed=[n for n in ALL if n != BF16]), f"^h100.json was made without timing {BF16}, which may be fast"),
        (change(choices={}), "^h100.json: choices must be a list"),
        (change(choices=[5]), "^h100.json: choice 0 has 5 but needs exactly the keys groups, n, k, m, kernel, gain"),
        (lambda t: t["choices"][0].pop("m"), "choice 0 has .* but needs exactly the keys"),
        (change_choice(n=True), "choice 0: n is True but must be a whole number"),
        (change_choice(k=2**31), "choice 0: k is 2147483648 but must be"),
        (change_choice(m=65), "choice 0: m = 65 is the end of no bucket; the ends are 1, 2, 4, 8, 16"),
        (change_choice(m=16384), "choice 0: m = 16384 is the end of no bucket"),
        (change_choice(groups=-1), "choice 0: groups is -1 but must be a whole number from 0"),
        (change_choice(groups=6), f"choice 0: {BF16} cannot run with groups = 6; run barrow tune"),
        (change_choice(kernel=GROUPED), f"choice 0: {GROUPED} cannot run with groups = 0; run barrow tune"),
        (change_choice(kernel="fp8_gemm_nt_bf16_gone"), "has no kernel 'fp8_gemm_nt_bf16_gone'; run barrow tune"),
        (change_choice(gain="1"), "gain is '1' but must be a number"),
        (
            lambda t: t["choices"].append(t["choices"][0]),
            "two choices for out=bf16 groups=0 n=2112 k=7168 m=64; keep one",
        ),
    ],
)
def test_what_is_wrong_is_told_by_place(edit: Callable[[Data], object], told: str) -> None:
    broken = data()
    edit(broken)
    with pytest.raises(tuning.TuningError, match=told):
        parse(broken)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_text_that_is_no_table(text: str) -> None:
    with pytest.raises(tuning.TuningError, match=r"^h100\.json "):
        tuning.parse(text, "h100.json", KERNELS)


def test_both_outputs_may_have_a_choice_for_one_shape() -> None:
    both = data()
    both["choices"].append({**both["choices"][0], "kernel": F32})
    assert len(parse(both).choices) == 2


def test_groups_have_choices_of_their_own() -> None:
    more = data()
    more["choices"] += [{**more["choices"][0], "groups": groups, "kernel": GROUPED} for groups in (6, 32)]
    assert [choice.groups for choice in parse(more).choices] == [0, 6, 32]
    more["timed"] = [name for name in ALL if name != GROUPED]
    with pytest.raises(tuning.TuningError, match=f"was made without timing {GROUPED}"):
        parse(more)


def test_only_kernels_of_an_output_and_kind_that_was_timed_have_to_be() -> None:
    only = data()
    only["timed"] = [name for name in ALL if KERNELS[name].out == "bf16" and not KERNELS[name].grouped]
    assert set(parse(only).timed) == set(only["timed"])
    gone = {**only, "timed": [*only["timed"], "a kernel that has left"]}
    assert parse(gone).choices == parse(only).choices


def test_kernels_for_a_scale_per_row_of_b_are_neither_asked_for_nor_taken(tmp_path: Path) -> None:
    assert ROWS
    assert not set(ROWS) & set(ALL)
    (tmp_path / "h100.json").write_text(json.dumps(data()))
    assert tuning.load(tmp_path, SPECS)[0].timed == tuple(ALL)
    edited = data()
    edited["choices"][0]["kernel"] = ROWS[0]
    (tmp_path / "h100.json").write_text(json.dumps(edited))
    with pytest.raises(tuning.TuningError, match=f"has no kernel '{ROWS[0]}'"):
        tuning.load(tmp_path, SPECS)


def test_a_folder_has_one_table_for_a_gpu(tmp_path: Path) -> None:
    (tmp_path / "h200.json").write_text(json.dumps({**data(), "memory_gb_s": 4814}))
    (tmp_path / "h100.json").write_text(json.dumps(data()))
    assert [gpu.memory_gb_s for gpu in tuning.load(tmp_path, SPECS)] == [3352, 4814]
    (tmp_path / "other.json").write_text(json.dumps(data()))
    with pytest.raises(tuning.TuningError, match=r"h100.json and other.json are for the same SM count and bandwidth"):
        tuning.load(tmp_path, SPECS)


def test_no_table_is_a_table_without_choices() -> None:
    text = table([], 0, [])
    assert "const size_t kTunedGpuCount = 0;" in text
    assert "const size_t kTunedChoiceCount = 0;" in text


def test_edges_ascend_and_end_buckets_no_wider_than_a_quarter_of_their_m() -> None:
    assert list(tuning.M_EDGES) == sorted(set(tuning.M_EDGES))
    for before, edge in zip(tuning.M_EDGES, tuning.M_EDGES[1:], strict=False):
        assert edge - before <= max(8, edge // 3), (before, edge)
