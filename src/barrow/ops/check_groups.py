"""The debug mode of grouped GEMMs: the host reads the groups, and an error tells what is wrong with them, and where.

Otherwise only the GPU reads them, and what cannot be meant is clamped, empty or left out, as the docstrings of
`barrow.ops.grouped` say. With the environment variable BARROW_CHECK_GROUPS=1, set before barrow is imported, every
m_grouped function first checks its groups, for which the host waits for the GPU. The functions here may be called
without it.
"""

import os

import torch
from torch import Tensor

from barrow.ops.layout import GroupLayout

VARIABLE = "BARROW_CHECK_GROUPS"
OP = "barrow.m_grouped_fp8_gemm_nt"

_library = torch.library.Library("barrow", "FRAGMENT")
# Arguments as of the GEMM. It returns the groups, so that the product depends on it and torch.compile does not drop it.
_library.define(
    "checked_groups(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, int kind, int alignment, "
    "SymInt expected_m, Tensor? out) -> Tensor"
)


def check_groups_asked() -> bool:
    """Whether the environment turns the debug mode on."""
    value = os.environ.get(VARIABLE, "").strip()
    if value not in ("", "0", "1"):
        raise RuntimeError(f"barrow: {VARIABLE} is {value!r} but needs to be 0 or 1")
    return value == "1"


def check_group_ends(group_ends: Tensor, m: int, alignment: int = 1) -> None:
    """Raise RuntimeError unless the [G] ends ascend from 0 to at most m, none before its group's aligned first row."""
    _check_alignment(alignment)
    first = previous = 0
    for group, end in enumerate(_read("group_ends", group_ends)):
        told = f"{OP}: group_ends[{group}] is {end} but "
        if not 0 <= end <= m:
            raise RuntimeError(f"{told}needs to be from 0 to M = {m}; pass where the rows of each group end")
        if end < previous:
            raise RuntimeError(f"{told}the group before ends at {previous}; pass the ends in ascending order")
        if end < first:
            raise RuntimeError(
                f"{told}its group begins at row {first}, where the one before it ends ({previous}), rounded up to the "
                f"alignment of {alignment}; let an empty group end where it begins"
            )
        previous, first = end, -(-end // alignment) * alignment


def check_m_indices(m_indices: Tensor, groups: int, alignment: int = 128) -> None:
    """Raise RuntimeError unless [M] indices are from -1 to groups - 1, and in an aligned block its first or -1."""
    _check_alignment(alignment)
    told = torch.tensor(_read("m_indices", m_indices), dtype=torch.int64)
    for row in ((told < -1) | (told >= groups)).nonzero().flatten()[:1].tolist():
        raise RuntimeError(
            f"{OP}: m_indices[{row}] is {told[row]} but needs to be from -1 to {groups - 1}; pass the group of each "
            "row, -1 for padding"
        )
    rows = torch.arange(told.numel())
    first = rows // alignment * alignment
    for row in ((told != told[first]) & (told != -1)).nonzero().flatten()[:1].tolist():
        raise RuntimeError(
            f"{OP}: m_indices[{row}] is {told[row]} but its block of {alignment} rows begins at row {first[row]} with "
            f"{told[first[row]]}, which counts for all of it; let groups begin at multiples of the alignment"
        )


def check_masked_m(masked_m: Tensor, max_m: int) -> None:
    """Raise RuntimeError unless the [G] counts are from 0 to max_m."""
    for group, count in enumerate(_read("masked_m", masked_m)):
        if not 0 <= count <= max_m:
            raise RuntimeError(
                f"{OP}: masked_m[{group}] is {count} but needs to be from 0 to max_m = {max_m}; pass the rows of each "
                "group"
            )


def _check_alignment(alignment: int) -> None:
    # The operator has checked it and the dtype of groups already; the functions here can be called by themselves.
    if alignment < 1:
        raise RuntimeError(
            f"{OP}: alignment is {alignment} but needs to be at least 1; pass 1 for groups without padding"
        )


def _read(name: str, groups: Tensor) -> list[int]:
    if groups.dtype not in (torch.int32, torch.int64):
        dtype = str(groups.dtype).removeprefix("torch.")
        raise RuntimeError(f"{OP}: {name} has dtype {dtype} but needs int32; convert it with to(torch.int32)")
    if _captured(groups):
        raise RuntimeError(
            f"{OP}: the groups cannot be checked while a CUDA graph is captured, since the host would have to wait for "
            f"them; unset {VARIABLE}, or run without a graph while looking for a fault"
        )
    told: list[int] = groups.tolist()
    return told


def _captured(groups: Tensor) -> bool:
    if not groups.is_cuda:
        return False
    with torch.cuda.device(groups.device):
        return torch.cuda.is_current_stream_capturing()


def _checked_groups(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    groups: Tensor,
    kind: int,
    alignment: int,
    expected_m: int,
    out: Tensor | None,
) -> Tensor:
    torch.ops.barrow.check_m_grouped_fp8_gemm_nt.default(
        a, a_scale, b, b_scale, groups, kind, alignment, expected_m, out
    )
    if kind == GroupLayout.ENDS:
        check_group_ends(groups, a.shape[0], alignment)
    elif kind == GroupLayout.INDICES:
        check_m_indices(groups, b.shape[0], alignment)
    else:
        check_masked_m(groups, a.shape[1])
    return groups.clone()


def _checked_groups_meta(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, groups: Tensor, *rest: object
) -> Tensor:
    return torch.empty_like(groups)


def register() -> None:
    """Register the check as an operator, so that torch.compile need not look inside; called once, at import."""
    _library.impl("checked_groups", _checked_groups, "CompositeExplicitAutograd")
    torch.library.register_fake("barrow::checked_groups", _checked_groups_meta)
