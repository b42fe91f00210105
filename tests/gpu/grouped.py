"""Exact operands of grouped GEMMs: what `exact` is for one product."""

from dataclasses import dataclass
from typing import Literal

import torch
from exact import GUARD, OutLayout, ScaleLayout, ceil_div, fp8_rows, guarded_out, laid_out_scale, moved, wrong_values
from reference import Problem, blocks, product

Kind = Literal["ends", "indices", "counts"]
KINDS: tuple[Kind, ...] = ("ends", "indices", "counts")
# What rows of no group hold before and after.
UNTOUCHED = 77.0


@dataclass(frozen=True)
class GroupedCase:
    """Rows of every group and how they are laid out; `spare` rows follow the last group, or every slab's largest."""

    sizes: tuple[int, ...]
    n: int
    k: int
    kind: Kind = "ends"
    alignment: int = 1
    spare: int = 0
    a_pad: int = 0
    a_offset: int = 0
    b_pad: int = 0
    a_scale: ScaleLayout = "k_block_major"
    out: OutLayout = "contiguous"


@dataclass(frozen=True)
class GroupedOperands:
    """Arguments of one call, `runs` of (group, slab, first row, end) and the storage around `out`."""

    case: GroupedCase
    a: torch.Tensor
    a_scale: torch.Tensor
    b: torch.Tensor
    b_scale: torch.Tensor
    groups: torch.Tensor
    out: torch.Tensor
    guard: torch.Tensor
    runs: tuple[tuple[int, int, int, int], ...]

    def to(self, device: torch.device) -> "GroupedOperands":
        """The same bytes, strides and gaps on another device."""
        guard = self.guard.to(device)
        out = guard.as_strided(self.out.shape, self.out.stride(), self.out.storage_offset())
        tensors = (moved(t, device) for t in (self.a, self.a_scale, self.b, self.b_scale, self.groups))
        a, a_scale, b, b_scale, groups = tensors
        return GroupedOperands(self.case, a, a_scale, b, b_scale, groups, out, guard, self.runs)

    def run(self, kernel: int | None = None, prefetch_b: bool = False) -> None:
        """By the kernel with this row of the table, or by the operator's choice."""
        kind = KINDS.index(self.case.kind)
        args = (self.a, self.a_scale, self.b, self.b_scale, self.groups, kind, self.case.alignment, 0)
        if kernel is None:
            torch.ops.barrow.m_grouped_fp8_gemm_nt.out(*args, prefetch_b, out=self.out)
        else:
            torch.ops.barrow.m_grouped_fp8_gemm_nt_with(*args, kernel, prefetch_b, out=self.out)


def _place(case: GroupedCase) -> tuple[list[tuple[int, int, int, int]], list[int], int]:
    """Runs, the numbers that tell the groups, and rows of a slab."""
    if case.kind == "counts":
        return [(g, g, 0, size) for g, size in enumerate(case.sizes)], list(case.sizes), max(case.sizes) + case.spare
    runs, end = [], 0
    for group, size in enumerate(case.sizes):
        first = ceil_div(end, case.alignment) * case.alignment
        end = first + size
        runs.append((group, 0, first, end))
    if case.kind == "ends":
        return runs, [run[3] for run in runs], end + case.spare
    rows = ceil_div(end + case.spare, case.alignment) * case.alignment
    indices = [-1] * rows
    for group, _, first, end in runs:
        # Padding behind a group is multiplied as well.
        indices[first:end] = [group] * (end - first)
    whole = [(g, s, first, ceil_div(end, case.alignment) * case.alignment) for g, s, first, end in runs if first < end]
    return whole, indices, rows


def grouped_operands(case: GroupedCase, device: torch.device, seed: int = 0) -> GroupedOperands:
    """Fresh exact operands, drawn on `device`."""
    g = torch.Generator(device=device).manual_seed(seed)
    powers = torch.tensor([0.5, 1.0, 2.0], device=device)
    runs, told, m = _place(case)
    count, k_blocks = len(case.sizes), blocks(case.k)
    slabs = count if case.kind == "counts" else 1

    def integers(rows: int) -> torch.Tensor:
        return torch.randint(-2, 3, (rows, case.k), generator=g, device=device, dtype=torch.float32)

    def scales(rows: int) -> torch.Tensor:
        return powers[torch.randint(0, 3, (rows, k_blocks), generator=g, device=device)]

    a = fp8_rows(integers(slabs * m), case.a_pad, case.a_offset)
    b = fp8_rows(integers(count * case.n), case.b_pad)
    b = b.as_strided((count, case.n, case.k), (case.n * b.stride(0), b.stride(0), 1), b.storage_offset())
    b_scale = scales(count * blocks(case.n)).view(count, blocks(case.n), k_blocks)
    out, guard = guarded_out(slabs * m, case.n, torch.bfloat16, case.out, device)
    out.fill_(UNTOUCHED)
    if case.kind == "counts":
        a = a.as_strided((slabs, m, case.k), (m * a.stride(0), a.stride(0), 1), a.storage_offset())
        parts = [laid_out_scale(scales(m), case.a_scale) for _ in range(slabs)]
        strides = parts[0].stride()
        extent = max(0, 1 + (m - 1) * strides[0] + (k_blocks - 1) * strides[1])
        pitch = ceil_div(extent, 4) * 4 + 4
        # Nothing lies behind the last slab, so that an overrun is one.
        storage = torch.full(((slabs - 1) * pitch + extent,), float("nan"), device=device)
        a_scale = storage.as_strided((slabs, m, k_blocks), (pitch, *strides))
        # An expanded dimension is written once.
        once = tuple(slice(1) if stride == 0 else slice(None) for stride in strides)
        for slab, part in enumerate(parts):
            a_scale[slab][once].copy_(part[once])
        out = out.as_strided((slabs, m, case.n), (m * out.stride(0), out.stride(0), 1), out.storage_offset())
    else:
        a_scale = laid_out_scale(scales(m), case.a_scale)
    groups = torch.tensor(told, dtype=torch.int32, device=device)
    return GroupedOperands(case, a, a_scale, b, b_scale, groups, out, guard, tuple(runs))


def grouped_expected(x: GroupedOperands) -> torch.Tensor:
    """The one right result: every group's product, and what was there before in all other rows."""
    want = torch.full_like(x.out, UNTOUCHED)
    for group, slab, first, end in x.runs:
        if x.case.kind == "counts":
            a, scale, d = x.a[slab], x.a_scale[slab], want[slab]
        else:
            a, scale, d = x.a, x.a_scale, want
        problem = Problem(a[first:end], scale[first:end], x.b[group], x.b_scale[group])
        # One row of b has one scale either way.
        d[first:end] = product(problem).float().to(torch.bfloat16)
    return want


def grouped_fault(x: GroupedOperands, want: torch.Tensor) -> str | None:
    """What is wrong with a call's result, or None."""
    rows = (-1, x.case.n)
    if found := wrong_values(x.out.reshape(rows), want.reshape(rows)):
        return found
    around = x.guard.clone()
    around.as_strided(x.out.shape, x.out.stride(), x.out.storage_offset()).fill_(GUARD)
    return None if bool((around == GUARD).all()) else "wrote outside out"
