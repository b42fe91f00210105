"""The terminal view: the matrix first, then device code, then findings, all on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby

from barrow_wheel.check import Report, WheelReport
from barrow_wheel.checks.matrix import Cell
from barrow_wheel.facts.gpus import Support
from barrow_wheel.findings import Finding, Severity, printable
from barrow_wheel.report import summary

_RESET, _BOLD, _DIM, _RED, _GREEN, _YELLOW, _BLUE = (
    "\x1b[0m",
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[31m",
    "\x1b[32m",
    "\x1b[33m",
    "\x1b[36m",
)
_SEVERITY = {
    Severity.ERROR: (_RED, "✗ error"),
    Severity.WARNING: (_YELLOW, "! warning"),
    Severity.NOTE: (_BLUE, "· note"),
}
_CELL = {Cell.OK: _GREEN, Cell.ABI3: _GREEN, Cell.ANY: _DIM, Cell.PURE: _DIM, Cell.RISK: _YELLOW, Cell.MISSING: _RED}
_SHORTEST_NAME = 16
_SUPPORT = {Support.NATIVE: (_GREEN, "✓"), Support.JIT: (_YELLOW, "JIT"), Support.NONE: (_DIM, "-")}


class TerminalView:
    """Renders a report for a terminal of `width` columns; with `verbose` all rows, notes and evidence."""

    def __init__(self, colour: bool, width: int = 100, verbose: bool = False) -> None:
        self._colour = colour
        self._width = max(width, 60)
        self._verbose = verbose

    def render(self, report: Report) -> str:
        lines: list[str] = []
        for wheel in report.wheels:
            lines += [*self._wheel(wheel, report), ""]
        if report.general:
            lines += [*self._findings(report.general), ""]
        return "\n".join(lines)

    def _paint(self, text: str, *codes: str) -> str:
        return f"{''.join(codes)}{text}{_RESET}" if self._colour and text.strip() else text

    def _wheel(self, report: WheelReport, whole: Report) -> Iterator[str]:
        wheel = report.wheel
        python = (
            f"Python {wheel.metadata.requires_python}" if wheel.metadata.requires_python is not None else "any Python"
        )
        yield self._paint(printable(wheel.name), _BOLD)
        yield self._paint(
            f"{summary.size_text(wheel.size)}, {summary.plural(len(wheel.files), 'file')}, {python}", _DIM
        )
        yield from self._matrix(report)
        torch = summary.torch_text(report)
        if torch:
            yield f"torch  {torch}"
        yield from self._gpus(report, whole)
        yield from self._findings(report.findings)
        yield self._verdict(report)

    def _matrix(self, report: WheelReport) -> Iterator[str]:
        matrix = report.matrix
        if not matrix.modules:
            yield "no extension modules or libraries"
            return
        shown, rest = summary.matrix_rows(report, limit=10**6) if self._verbose else summary.matrix_rows(report)
        columns = [str(python) for python in matrix.pythons]
        cell_width = max([len(c) for c in columns] or [0]) + 1
        # A wheel for every CPython has more columns than a narrow terminal: then the lines get longer.
        room = max(self._width - len(columns) * cell_width - 18, _SHORTEST_NAME)
        names = [printable(module.name) for module in shown]
        name_width = min(max(map(len, names)), room)
        yield self._paint(
            f"{'module':{name_width}}  {'loaded by':15}" + "".join(f"{c:>{cell_width}}" for c in columns), _DIM
        )
        for module, whole in zip(shown, names, strict=True):
            name = whole if len(whole) <= name_width else "…" + whole[-(name_width - 1) :]
            cells = "".join(self._paint(f"{summary.SYMBOLS[cell]:>{cell_width}}", _CELL[cell]) for cell in module.cells)
            yield f"{name:{name_width}}  {module.loader.value:15}{cells}"
        if rest:
            yield self._paint(f"and {len(rest)} more without a gap (-v shows them)", _DIM)

    def _gpus(self, report: WheelReport, whole: Report) -> Iterator[str]:
        gpus = summary.gpus_of(whole.gpus)
        rows = summary.gpu_rows(report, gpus)
        if not rows:
            return
        names = [gpu.name for gpu in gpus]
        widths = [max(len(name), 3) + 1 for name in names]
        label_width = min(max(len(_label(row)) for row in rows), 34)
        code_width = self._width - label_width - sum(widths) - 16
        yield self._paint(
            f"{'device code in':{label_width}} "
            + "".join(f"{n:>{w}}" for n, w in zip(names, widths, strict=True))
            + "  driver",
            _DIM,
        )
        limit = 10**6 if self._verbose else 4
        for row in rows[:limit]:
            marks = "".join(
                self._paint(f"{_SUPPORT[s][1]:>{w}}", _SUPPORT[s][0]) for s, w in zip(row.support, widths, strict=True)
            )
            driver = f"≥ {row.driver}" if row.driver else "?"
            label = _label(row) if len(_label(row)) <= label_width else "…" + _label(row)[-(label_width - 1) :]
            codes = textwrap.shorten(row.codes, max(code_width, 24), placeholder=" …")
            yield f"{label:{label_width}} {marks}  {driver:6}  {codes}"
        if len(rows) > limit:
            yield self._paint(f"and {len(rows) - limit} more (-v shows them)", _DIM)

    def _findings(self, findings: tuple[Finding, ...]) -> Iterator[str]:
        shown = [f for f in findings if self._verbose or f.severity is not Severity.NOTE]
        for (rule, severity), group in groupby(shown, key=lambda f: (f.rule, f.severity)):
            members = list(group)
            colour, label = _SEVERITY[severity]
            limit = len(members) if self._verbose else 2
            for found in members[:limit]:
                where = f"{found.file}: " if found.file and found.file not in found.message else ""
                text = f"{self._paint(label, colour, _BOLD)} {self._paint(rule, colour)}  {where}{found.message}"
                yield from self._wrap(text, "    ")
                evidence = (
                    found.evidence
                    if self._verbose
                    else tuple(e for e in found.evidence[:2] if severity is Severity.ERROR)
                )
                room = self._width * (4 if self._verbose else 1) - 4
                for item in evidence:
                    yield "    " + self._paint(textwrap.shorten(item, room, placeholder=" …"), _DIM)
            if len(members) > limit:
                yield self._paint(f"    and {len(members) - limit} more of this rule", _DIM)
            yield from self._wrap(f"  → {members[0].remedy}", "    ")

    def _wrap(self, text: str, indent: str) -> list[str]:
        # Colour codes count as text here; the lines only get a little shorter.
        return textwrap.wrap(
            text,
            self._width + 20 * self._colour,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _verdict(self, report: WheelReport) -> str:
        numbers = summary.counts(report)
        excused = f", {report.excused} excused by the allowlist" if report.excused else ""
        if not any(numbers.values()):
            return self._paint("✓ nothing found", _GREEN, _BOLD) + excused
        text = ", ".join(summary.plural(number, str(severity)) for severity, number in numbers.items() if number)
        worst = max(severity for severity, number in numbers.items() if number)
        hint = "" if self._verbose or not numbers[Severity.NOTE] else " (-v shows notes and evidence)"
        return self._paint(text, _SEVERITY[worst][0], _BOLD) + excused + self._paint(hint, _DIM)


def _label(row: summary.GpuRow) -> str:
    name = printable(row.files[0].rpartition("/")[2])
    return name if len(row.files) == 1 else f"{name} +{len(row.files) - 1}"
