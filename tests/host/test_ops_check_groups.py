"""The debug mode of grouped GEMMs: what is wrong with the groups is told, with its place; what is right passes."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from grouped_problem import TOLD, Told
from refusal import refused
from torch import Tensor

import barrow
from barrow.ops import check_groups

FP8 = torch.float8_e4m3fn
UNTOUCHED = 7.0


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if BARROW_CHECK_GROUPS were 1 at import."""
    monkeypatch.setattr("barrow.ops.grouped._CHECK_GROUPS", True)


def blank(told: Told, groups: int = 5) -> Tensor:
    shape = (groups, told.rows) if told.kind == "counts" else (told.rows,)
    return torch.full((*shape, 3), UNTOUCHED, dtype=torch.bfloat16)


def call(told: Told, out: Tensor | None, groups: int = 5) -> Tensor:
    """The function for this kind."""
    shape = blank(told, groups).shape[:-1]
    a, scale = torch.zeros(*shape, 5).to(FP8), torch.ones(*shape, 1)
    b, b_scale = torch.zeros(groups, 3, 5).to(FP8), torch.ones(groups, 1, 1)
    numbers = torch.tensor(told.numbers, dtype=torch.int32)
    if told.kind == "counts":
        return barrow.m_grouped_fp8_gemm_nt_masked(a, scale, b, b_scale, numbers, out=out)
    function = barrow.m_grouped_fp8_gemm_nt if told.kind == "ends" else barrow.m_grouped_fp8_gemm_nt_indexed
    return function(a, scale, b, b_scale, numbers, alignment=told.alignment, out=out)


def test_groups_that_were_just_checked_are_not_loaded_ahead(checked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel in front has written what it returns."""
    asked: list[object] = []
    monkeypatch.setattr("barrow.ops.grouped._gemm", lambda *args: asked.append(args[-1]))
    ends = torch.tensor([2, 3], dtype=torch.int32)
    a, b = torch.zeros(3, 5).to(FP8), torch.zeros(2, 3, 5).to(FP8)
    barrow.m_grouped_fp8_gemm_nt(a, torch.ones(3, 1), b, torch.ones(2, 1, 1), ends, prefetch_b=True)
    assert asked == [False]


# Those of TOLD that mean something wrong, and what is said of them; the others pass.
WRONG = {
    "an aligned start beyond M": "group_ends[2] is 131 but its group begins at row 256",
    "ends before aligned starts": "group_ends[1] is 6 but its group begins at row 8, where the one before it ends (5), "
    "rounded up to the alignment of 8; let an empty group end where it begins",
    "ends that descend": "group_ends[1] is 4 but the group before ends at 9; pass the ends in ascending order",
    "ends beyond M": "group_ends[1] is 30 but needs to be from 0 to M = 20; pass where the rows of each group end",
    "ends below 0": "group_ends[0] is -1 but needs to be from 0 to M = 9",
    "an alignment beyond M": "group_ends[3] is 7 but its group begins at row 2147483647, where the one before it ends "
    "(4), rounded up to the alignment of 2147483647",
    "indices of no group": "m_indices[0] is 5 but needs to be from -1 to 4; pass the group of each row, -1 for padding",
    "a block that begins with padding": "m_indices[7] is 9 but needs to be from -1 to 4",
    "counts beyond max_m and below 0": "masked_m[0] is 9 but needs to be from 0 to max_m = 7; pass the rows of each",
}
# What TOLD lacks.
WRONG_TOO = [
    (Told("ends", (3, -4, 5), 9), "group_ends[1] is -4 but needs to be from 0 to M = 9"),
    (Told("ends", (3, 8, 7), 9, 4), "group_ends[2] is 7 but the group before ends at 8; pass the ends in ascending"),
    (
        Told("ends", (3, 3, 9), 9, 4),
        "group_ends[1] is 3 but its group begins at row 4, where the one before it ends (3)",
    ),
    (Told("indices", (0, 0, -2, 1), 4, 1), "m_indices[2] is -2 but needs to be from -1 to 2; pass the group of each"),
    (
        Told("indices", (0, -1, 0, 1, 2, 2, 1, -1), 8, 3),
        "m_indices[4] is 2 but its block of 3 rows begins at row 3 with 1",
    ),
    (
        Told("indices", (0, 0, -1, -1, 2, -1, 2, 1), 8, 4),
        "m_indices[7] is 1 but its block of 4 rows begins at row 4 with 2, which counts for all of it; let groups "
        "begin at multiples of the alignment",
    ),
    (Told("indices", (-1, -1, -1, 2), 4, 4), "m_indices[3] is 2 but its block of 4 rows begins at row 0 with -1"),
    (Told("counts", (3, 4, -1), 4), "masked_m[2] is -1 but needs to be from 0 to max_m = 4"),
    (Told("counts", (5, 0, 0), 4), "masked_m[0] is 5 but needs to be from 0 to max_m = 4"),
]


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("name", WRONG)
def test_wrong_groups_are_told_before_anything_is_multiplied(name: str) -> None:
    told, out = TOLD[name], blank(TOLD[name])
    for into in (out, None):
        refused(partial(call, told, into), f"barrow.m_grouped_fp8_gemm_nt: {WRONG[name]}")
    assert (out == UNTOUCHED).all()


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize(("told", "message"), WRONG_TOO, ids=[message[:40] for _, message in WRONG_TOO])
def test_the_first_wrong_number_is_named(told: Told, message: str) -> None:
    refused(lambda: call(told, None, 3), f"barrow.m_grouped_fp8_gemm_nt: {message}")


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("name", [name for name in TOLD if name not in WRONG])
def test_right_groups_pass(name: str) -> None:
    told = TOLD[name]
    owned = torch.tensor([len(owners) for owners in told.owners(5)]).bool()
    out = call(told, blank(told)).reshape(-1, 3)
    assert (out[owned] == 0).all()
    assert (out[~owned] == UNTOUCHED).all()


@pytest.mark.parametrize("name", WRONG)
def test_without_the_debug_mode_nothing_is_said(name: str) -> None:
    call(TOLD[name], None)


@pytest.mark.usefixtures("checked")
def test_other_faults_are_told_first() -> None:
    wide = torch.empty(20, 4, dtype=torch.bfloat16)
    refused(lambda: call(TOLD["ends that descend"], wide), "out has shape [20, 4] but needs [M, N]")


@pytest.mark.usefixtures("checked")
def test_nothing_is_read_of_meta_tensors() -> None:
    args = [torch.zeros(20, 5).to(FP8), torch.ones(20, 1), torch.zeros(5, 3, 5).to(FP8), torch.ones(5, 1, 1)]
    ends = torch.tensor(TOLD["ends that descend"].numbers, dtype=torch.int32)
    assert barrow.m_grouped_fp8_gemm_nt(*(x.to("meta") for x in (*args, ends))).shape == (20, 3)


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("backend", ["inductor", "aot_eager"])
def test_compiled_calls_are_checked_too(backend: str) -> None:
    torch.compiler.reset()

    def product(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, ends: Tensor) -> Tensor:
        return barrow.m_grouped_fp8_gemm_nt(a, a_scale, b, b_scale, ends) + 1

    compiled = torch.compile(product, fullgraph=True, backend=backend)
    args = torch.zeros(20, 5).to(FP8), torch.ones(20, 1), torch.zeros(2, 3, 5).to(FP8), torch.ones(2, 1, 1)
    right, wrong = (torch.tensor(ends, dtype=torch.int32) for ends in ((3, 20), (3, 21)))
    assert (compiled(*args, right) == 1).all()
    with pytest.raises(RuntimeError, match=r"group_ends\[1\] is 21 but needs to be from 0 to M = 20"):
        compiled(*args, wrong)


def test_a_capture_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_groups, "_captured", lambda groups: True)
    for check in (
        lambda: check_groups.check_group_ends(torch.tensor([1]), 1),
        lambda: check_groups.check_m_indices(torch.tensor([0]), 1),
        lambda: check_groups.check_masked_m(torch.tensor([1]), 1),
    ):
        refused(check, "cannot be checked while a CUDA graph is captured", "unset BARROW_CHECK_GROUPS")


@pytest.mark.parametrize("alignment", [0, -1])
def test_a_check_that_is_called_refuses_what_the_product_would(alignment: int) -> None:
    numbers = torch.tensor([3, 4], dtype=torch.int32)
    told = f"barrow.m_grouped_fp8_gemm_nt: alignment is {alignment} but needs to be at least 1"
    refused(lambda: check_groups.check_group_ends(numbers, 4, alignment), told)
    refused(lambda: check_groups.check_m_indices(numbers, 5, alignment), told)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool], ids=str)
def test_groups_are_whole_numbers(dtype: torch.dtype) -> None:
    numbers = torch.tensor([0.5, 0.9]).to(dtype)
    name = str(dtype).removeprefix("torch.")
    refused(lambda: check_groups.check_group_ends(numbers, 1), f"group_ends has dtype {name} but needs int32; convert")
    refused(lambda: check_groups.check_m_indices(numbers, 1, 1), f"m_indices has dtype {name} but needs int32; conver")
    refused(lambda: check_groups.check_masked_m(numbers, 1), f"masked_m has dtype {name} but needs int32; convert")


@pytest.mark.parametrize(("value", "said"), [("", False), ("0", False), ("1", True), (None, False)])
def test_the_variable_is_read_at_import(value: str | None, said: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("BARROW_CHECK_GROUPS", raising=False)
    else:
        monkeypatch.setenv("BARROW_CHECK_GROUPS", value)
    code = (
        "import os, torch, barrow\nos.environ['BARROW_CHECK_GROUPS'] = '1'\n"
        "zeros = torch.zeros(4, 5).to(torch.float8_e4m3fn)\n"
        "ends = torch.tensor([9], dtype=torch.int32)\n"
        "barrow.m_grouped_fp8_gemm_nt(zeros, torch.ones(4, 1), zeros[None], torch.ones(1, 1, 1), ends)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1:]
    wanted = "RuntimeError: barrow.m_grouped_fp8_gemm_nt: group_ends[0] is 9 but needs to be from 0 to M = 4; "
    assert bool(last and last[0].startswith(wanted)) == said
    assert done.returncode == said


def test_a_variable_that_says_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARROW_CHECK_GROUPS", "yes")
    refused(check_groups.check_groups_asked, "barrow: BARROW_CHECK_GROUPS is 'yes' but needs to be 0 or 1")
