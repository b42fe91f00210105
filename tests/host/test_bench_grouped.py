"""Products of groups in the benchmark: which, their operands and floors, what is judged and what a row holds."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from bench_on_cpu import H100, Unable, pretend

import barrow.deep_gemm
from barrow.bench import grouped, providers, timing
from barrow.bench.grouped_problems import PROBLEMS, GroupedGemm, GroupedProblem, case_of
from barrow.bench.groups import Quantised
from barrow.bench.measure import Row

SMALL = [
    GroupedProblem("contiguous", 3, 100, 40, 256),
    GroupedProblem("contiguous", 3, 100, 40, 256, skewed=True),
    GroupedProblem("masked", 3, 10, 40, 256),
    GroupedProblem("masked", 8, 2, 40, 256),
    GroupedProblem("k_grouped", 3, 24, 40, 200),
]


def measured(gemms: list[GroupedGemm], problem: GroupedProblem) -> Row:
    (row,) = grouped.measure_grouped(H100, gemms, [problem], 3)
    return row


@pytest.mark.parametrize("problem", SMALL, ids=lambda p: f"{p.kind} {p.load}")
def test_all_contenders_compute_every_kind(problem: GroupedProblem, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pretend(monkeypatch, {"barrow": 2.0, "deep_gemm": 3.0})
    row = measured([grouped.Barrow(), grouped.DeepGemm(barrow.deep_gemm, False)], problem)
    assert (row["us"], row["failed"]) == ({"barrow": 2.0, "deep_gemm": 3.0}, {})
    assert all(0 <= error < 0.005 for error in row["relative_error"].values())
    assert (row["kind"], row["load"], row["shape"]) == (problem.kind, problem.load, problem.shape)
    assert row["floor_us"] == problem.floor_us(H100)
    assert row["samples"]["barrow"] == (2.0,) * 3
    assert seen == [dict.fromkeys(row["us"], timing.MOST_COPIES)]


class Silent(grouped.Barrow):
    """It writes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "silent"

    def contiguous(self, a: Quantised, b: Quantised, d: torch.Tensor, m_indices: torch.Tensor) -> None:
        pass

    def masked(self, a: Quantised, b: Quantised, d: torch.Tensor, masked_m: torch.Tensor, expected_m: int) -> None:
        raise RuntimeError("not this shape\nstack")

    def k_grouped(self, a: Quantised, b: Quantised, d: torch.Tensor, ks: list[int], ks_tensor: torch.Tensor) -> None:
        super().k_grouped(a, b, d.zero_(), ks, ks_tensor)


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (SMALL[0], "wrong result: relative error nan"),
        (SMALL[2], "RuntimeError: not this shape"),
        # It forgets what is there.
        (SMALL[4], "wrong result: relative error 0."),
    ],
    ids=["contiguous", "masked", "k_grouped"],
)
def test_who_is_wrong_or_refuses_has_no_time(
    problem: GroupedProblem, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, {"barrow": 2.0, "silent": 1.0})
    row = measured([grouped.Barrow(), Silent()], problem)
    assert row["us"] == {"barrow": 2.0}
    assert row["failed"]["silent"].startswith(told)


def test_the_problems_are_those_of_deep_gemms_tests() -> None:
    loads = list(dict.fromkeys((p.kind, p.load) for p in PROBLEMS))
    assert loads == [
        ("contiguous", "4 x 8192"),
        ("contiguous", "8 x 4096"),
        ("contiguous", "8 x 4096 Zipf"),
        ("masked", "32 x 192"),
        ("masked", "6 x 1024"),
        ("masked", "32 x 20"),
        ("masked", "6 x 20"),
        ("masked", "32 x 192 Zipf"),
        ("k_grouped", "4 x 8192"),
        ("k_grouped", "8 x 4096"),
        ("k_grouped", "16 x 2048"),
    ]
    shapes = {kind: [p.shape for p in PROBLEMS if p.kind == kind] for kind, _ in loads}
    assert set(shapes["contiguous"]) == {"6144 x 7168", "7168 x 3072", "4096 x 4096", "4096 x 2048"}
    assert set(shapes["masked"]) == set(shapes["contiguous"])
    assert set(shapes["k_grouped"]) == {"4096 x 7168", "7168 x 2048"}
    assert [len(found) for found in shapes.values()] == [12, 20, 6]


def test_sizes_spread_about_the_mean_or_are_skewed() -> None:
    for problem in PROBLEMS:
        sizes, mean = problem.sizes(), problem.k if problem.kind == "k_grouped" else problem.m
        assert len(sizes) == problem.groups
        assert problem.sizes() == sizes
        if problem.kind == "k_grouped":
            assert all(size % 128 == 0 for size in sizes)
            mean += 64
        else:
            assert sum(sizes) == problem.groups * mean
        if problem.skewed:
            assert sizes == sorted(sizes, reverse=True)
            assert max(sizes) > 2.5 * mean
        else:
            assert 0.65 * mean < min(sizes) < max(sizes) < 1.4 * mean


def test_floors_count_rows_and_groups_that_have_any() -> None:
    few = GroupedProblem("masked", 8, 2, 4096, 7168)
    used = sum(size > 0 for size in few.sizes())
    assert 0 < used < 8
    assert few.floor_us(H100) == pytest.approx((16 * 7168 + used * 4096 * 7168 + 2 * 16 * 4096) / 3.0e6)
    many = GroupedProblem("contiguous", 4, 8192, 6144, 7168)
    assert many.floor_us(H100) == pytest.approx(2 * 4 * 8192 * 6144 * 7168 / 1.5e9)
    gradients = GroupedProblem("k_grouped", 2, 4096, 7168, 128)
    total = sum(gradients.sizes())
    assert gradients.floor_us(H100) == pytest.approx((total * (4096 + 7168) + 2 * 8 * 4096 * 7168) / 3.0e6)


@pytest.mark.parametrize(("m", "room"), [(20, 1024), (1000, 4096)])
def test_a_masked_group_has_room_for_the_largest(m: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})
    assert case_of(GroupedProblem("masked", 3, m, 8, 128)).d.shape == (3, room, 8)


def test_operands_for_compiling_are_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})
    assert [case_of(problem, rotate=False).copies for problem in SMALL] == [1] * len(SMALL)


def test_the_cache_is_filled_for_every_problem_though_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})
    module = Unable()
    monkeypatch.setattr(grouped, "import_deep_gemm", lambda folder: module)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    grouped._compile(None, [SMALL[0], SMALL[2], SMALL[4]])
    names = ["m_grouped_fp8_gemm_nt_contiguous", "m_grouped_fp8_gemm_nt_masked", "k_grouped_fp8_gemm_nt_contiguous"]
    assert module.calls == [call for name in names for call in ("set_pdl False", name, "set_pdl True", name)]


def test_tasks_are_dealt_out_to_processes(tmp_path: Path) -> None:
    providers.in_processes(write_tasks, tmp_path, ["a", "b", "c", "d", "e"], 2)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["ace", "bd"]


def write_tasks(folder: Path | None, tasks: Sequence[str]) -> None:
    assert folder is not None
    (folder / tasks[0]).write_text("".join(tasks))


def test_deep_gemm_is_left_out_where_it_is_not_asked_for() -> None:
    found, missing = grouped.grouped_gemms(("triton", "bf16"), None)
    assert ([gemm.name for gemm in found], missing) == (["barrow", "barrow_prefetch"], {})
