"""CPU implementation of the grouped GEMMs: one group after the other, as `barrow.ops.cpu` multiplies."""

from collections.abc import Iterator

import torch
from torch import Tensor

from barrow.ops.cpu import product
from barrow.ops.layout import GroupLayout, scale_blocks

_library = torch.library.Library("barrow", "IMPL")


def _runs(groups: Tensor, kind: int, alignment: int, rows: int, matrices: int) -> Iterator[tuple[int, int, int]]:
    """Group, first row and end of every run of rows, within a slab where there are some."""
    told = groups.tolist()
    if kind == GroupLayout.INDICES:
        for first in range(0, rows, alignment):
            if 0 <= told[first] < matrices:
                yield told[first], first, min(first + alignment, rows)
        return
    end = 0
    for group, number in enumerate(told):
        first = -(-end // alignment) * alignment if kind == GroupLayout.ENDS else 0
        end = min(max(number, 0), rows)
        yield group, first, end


def _multiply(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, groups: Tensor, kind: int, alignment: int, out: Tensor
) -> None:
    if b.shape[2] == 0:
        out.zero_()
        return
    rows = a.shape[-2]
    for group, first, end in _runs(groups, kind, alignment, rows, b.shape[0]):
        if first >= end:
            continue
        x, scale, d = (a[group], a_scale[group], out[group]) if kind == GroupLayout.COUNTS else (a, a_scale, out)
        d[first:end] = product(x[first:end], scale[first:end], b[group], b_scale[group])


def _m_grouped_fp8_gemm_nt(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    groups: Tensor,
    kind: int,
    alignment: int,
    expected_m: int,
    prefetch_b: bool = False,
) -> Tensor:
    torch.ops.barrow.check_m_grouped_fp8_gemm_nt.default(
        a, a_scale, b, b_scale, groups, kind, alignment, expected_m, None
    )
    out = a.new_empty((*a.shape[:-1], b.shape[1]), dtype=torch.bfloat16)
    _multiply(a, a_scale, b, b_scale, groups, kind, alignment, out)
    return out


def _m_grouped_fp8_gemm_nt_out(
    a: Tensor,
    a_scale: Tensor,
    b: Tensor,
    b_scale: Tensor,
    groups: Tensor,
    kind: int,
    alignment: int,
    expected_m: int,
    prefetch_b: bool = False,
    *,
    out: Tensor,
) -> None:
    torch.ops.barrow.check_m_grouped_fp8_gemm_nt.default(
        a, a_scale, b, b_scale, groups, kind, alignment, expected_m, out
    )
    _multiply(a, a_scale, b, b_scale, groups, kind, alignment, out)


def _k_grouped_fp8_gemm_nt(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, ks: list[int], *, out: Tensor
) -> None:
    torch.ops.barrow.check_k_grouped_fp8_gemm_nt.default(a, a_scale, b, b_scale, ks, out)
    _, m, n = out.shape
    begin = block = 0
    for d, k in zip(out, ks, strict=True):
        scales = slice(block, block + scale_blocks(k))
        of_a, of_b = (x.view(-1)[rows * begin : rows * (begin + k)].view(rows, k) for x, rows in ((a, m), (b, n)))
        d.add_(product(of_a, a_scale[:, scales], of_b, b_scale[:, scales]))
        begin, block = begin + k, scales.stop


def register() -> None:
    """Register the implementation for CPU tensors with torch; called once, at import."""
    _library.impl("m_grouped_fp8_gemm_nt", _m_grouped_fp8_gemm_nt, "CPU")
    _library.impl("m_grouped_fp8_gemm_nt.out", _m_grouped_fp8_gemm_nt_out, "CPU")
    _library.impl("k_grouped_fp8_gemm_nt", _k_grouped_fp8_gemm_nt, "CPU")
