"""Times the grouped products of barrow and DeepGEMM on the shapes of DeepGEMM's tests."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import ModuleType

import torch

from barrow import ops
from barrow.bench.grouped_problems import (
    PROBLEMS,
    Case,
    GroupedGemm,
    GroupedProblem,
    case_of,
    references,
    relative_error,
)
from barrow.bench.groups import Quantised
from barrow.bench.machine import Machine
from barrow.bench.measure import WRONG, Row, empty_row, launches_of, prepared, sound, take_times
from barrow.bench.providers import UsesBarrow, UsesDeepGemm, collect, import_deep_gemm, in_processes, overlaps


class Barrow(UsesBarrow):
    """barrow's products of groups."""

    def contiguous(self, a: Quantised, b: Quantised, d: torch.Tensor, m_indices: torch.Tensor) -> None:
        ops.m_grouped_fp8_gemm_nt_indexed(*a.pair, *b.pair, m_indices, out=d, prefetch_b=self._prefetch)

    def masked(self, a: Quantised, b: Quantised, d: torch.Tensor, masked_m: torch.Tensor, expected_m: int) -> None:
        ops.m_grouped_fp8_gemm_nt_masked(
            *a.pair, *b.pair, masked_m, expected_m=expected_m, out=d, prefetch_b=self._prefetch
        )

    def k_grouped(self, a: Quantised, b: Quantised, d: torch.Tensor, ks: list[int], ks_tensor: torch.Tensor) -> None:
        ops.k_grouped_fp8_gemm_nt(*a.pair, *b.pair, ks, out=d)


class DeepGemm(UsesDeepGemm):
    """DeepGEMM's products of groups."""

    def contiguous(self, a: Quantised, b: Quantised, d: torch.Tensor, m_indices: torch.Tensor) -> None:
        self._module.m_grouped_fp8_gemm_nt_contiguous(a.pair, b.pair, d, m_indices)

    def masked(self, a: Quantised, b: Quantised, d: torch.Tensor, masked_m: torch.Tensor, expected_m: int) -> None:
        self._module.m_grouped_fp8_gemm_nt_masked(a.pair, b.pair, d, masked_m, expected_m)

    def k_grouped(self, a: Quantised, b: Quantised, d: torch.Tensor, ks: list[int], ks_tensor: torch.Tensor) -> None:
        self._module.k_grouped_fp8_gemm_nt_contiguous(a.pair, b.pair, d, ks, ks_tensor, d, recipe=(1, 1, 128))


def deep_gemms(module: ModuleType) -> list[GroupedGemm]:
    return [DeepGemm(module, pdl) for pdl in overlaps(module)]


def grouped_gemms(peers: Sequence[str], folder: Path | None) -> tuple[list[GroupedGemm], dict[str, str]]:
    """barrow and DeepGEMM, if it is among `peers`, or why it cannot be imported; see `providers`."""
    peers = [peer for peer in peers if peer == "deep_gemm"]
    found, missing = collect({"deep_gemm": lambda: deep_gemms(import_deep_gemm(folder))}, peers, folder)
    return [Barrow(), Barrow(prefetch=True), *found], missing


def judge(gemms: Sequence[GroupedGemm], case: Case, row: Row) -> list[GroupedGemm]:
    """Those who compute the products rightly; see `sound`."""
    want = references(case)
    return sound(gemms, lambda gemm: relative_error(case, gemm, want), row, lambda gemm: WRONG)


def measure_problem(machine: Machine, gemms: Sequence[GroupedGemm], problem: GroupedProblem, rounds: int) -> Row:
    """Time every contender on one problem and judge what it computed."""
    case = case_of(problem)
    floor = problem.floor_us(machine)
    row = {**empty_row(problem.m, floor), **asdict(problem), "load": problem.load, "shape": problem.shape}
    able = judge(gemms, case, row)
    calls = {gemm.name: prepared(gemm, [partial(case.run, gemm, i) for i in range(case.copies)]) for gemm in able}
    take_times(row, calls, rounds, launches_of(floor))
    return row


def measure_grouped(
    machine: Machine,
    gemms: Sequence[GroupedGemm],
    problems: Sequence[GroupedProblem],
    rounds: int,
) -> Iterator[Row]:
    """A row for every problem as soon as it is there."""
    for problem in problems:
        yield measure_problem(machine, gemms, problem, rounds)


def _compile(folder: Path | None, problems: Sequence[GroupedProblem]) -> None:
    gemms = deep_gemms(import_deep_gemm(folder))
    for problem in problems:
        case = case_of(problem, rotate=False)
        for gemm in gemms:
            gemm.prepare()
            # What it refuses here it refuses again when it is timed, and is quoted then.
            with suppress(Exception):
                case.run(gemm, 0)
        torch.cuda.synchronize()
        # Other processes need the memory.
        del case
        torch.cuda.empty_cache()


def warm_grouped(folder: Path | None, processes: int) -> None:
    """Let several processes fill DeepGEMM's cache on disk."""
    in_processes(_compile, folder, PROBLEMS, processes)
