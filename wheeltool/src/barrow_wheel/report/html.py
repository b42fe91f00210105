"""One self-contained HTML page: no script, no network, fit to attach to a release."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from barrow_wheel import __version__
from barrow_wheel.check import Report, WheelReport
from barrow_wheel.checks.matrix import Cell
from barrow_wheel.facts.gpus import Support
from barrow_wheel.findings import Finding, Severity
from barrow_wheel.report import summary

_STYLE = """
:root{--ok:#1a7f37;--ok-bg:#dafbe1;--bad:#b42318;--bad-bg:#ffe4e1;--warn:#8a5a00;--warn-bg:#fff3d1;--dim:#667085;
--line:#e4e7ec;--text:#1d2433;--page:#f7f8fa;--card:#fff;--note:#175cd3;--note-bg:#e0ecff}
@media(prefers-color-scheme:dark){:root{--ok:#56d364;--ok-bg:#12311c;--bad:#ff8a80;--bad-bg:#471a17;--warn:#f2c55c;
--warn-bg:#3b2e0d;--dim:#98a2b3;--line:#2c3442;--text:#e6e9ef;--page:#11151c;--card:#181e28;--note:#84b4ff;--note-bg:#16294a}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px}section{background:var(--card);border:1px solid var(--line);
border-radius:12px;padding:24px;margin-bottom:24px}
h1{font-size:20px;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:15px;margin:28px 0 8px}
.dim{color:var(--dim)}.verdict{display:inline-block;padding:3px 12px;border-radius:99px;font-weight:600;margin-top:10px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:14px;min-width:50%}
th{font-weight:500;color:var(--dim);text-align:left;padding:4px 10px;white-space:nowrap}
td{padding:3px 10px;border-top:1px solid var(--line);white-space:nowrap}
td.name{font-family:ui-monospace,Menlo,monospace;font-size:13px}
td.wrap{white-space:normal}td.cell,th.cell{text-align:center;min-width:52px}
.ok{color:var(--ok);background:var(--ok-bg)}.bad{color:var(--bad);background:var(--bad-bg);font-weight:700}
.warn{color:var(--warn);background:var(--warn-bg)}.any{color:var(--dim)}.note{color:var(--note);background:var(--note-bg)}
article{border-top:1px solid var(--line);padding:12px 0}article:first-of-type{border-top:0}
.tag{border-radius:6px;padding:1px 8px;font-size:12px;font-weight:600;margin-right:8px}
code{font:12.5px ui-monospace,Menlo,monospace;overflow-wrap:anywhere}ul{margin:6px 0;padding-left:20px}
.do::before{content:"→ ";color:var(--dim)}footer{color:var(--dim);font-size:13px;text-align:center}
"""
_CELL_CLASS = {
    Cell.OK: "ok",
    Cell.ABI3: "ok",
    Cell.ANY: "any",
    Cell.PURE: "any",
    Cell.RISK: "warn",
    Cell.MISSING: "bad",
}
_SUPPORT = {Support.NATIVE: ("ok", "native"), Support.JIT: ("warn", "JIT"), Support.NONE: ("any", "-")}
_SEVERITY_CLASS = {Severity.ERROR: "bad", Severity.WARNING: "warn", Severity.NOTE: "note"}


def to_html(report: Report) -> str:
    names = ", ".join(wheel.wheel.name for wheel in report.wheels[:3])
    body = "".join("".join(_wheel(wheel, report)) for wheel in report.wheels)
    if report.general:
        body += f"<section><h1>All wheels together</h1>{''.join(_findings(report.general))}</section>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(names)}: barrow-wheel</title><style>{_STYLE}</style></head><body><main>"
        f"{body}<footer>barrow-wheel {__version__}</footer></main></body></html>\n"
    )


def _wheel(report: WheelReport, whole: Report) -> Iterator[str]:
    wheel = report.wheel
    python = f"Python {wheel.metadata.requires_python}" if wheel.metadata.requires_python is not None else "any Python"
    yield f"<section><h1>{escape(wheel.name)}</h1>"
    size, files = summary.size_text(wheel.size), summary.plural(len(wheel.files), "file")
    yield f'<div class="dim">{size} · {files} · {escape(python)}</div>'
    yield _verdict(report)
    yield from _matrix(report)
    torch = summary.torch_text(report)
    if torch:
        yield f"<h2>torch</h2><div>{escape(torch)}</div>"
    yield from _gpus(report, whole)
    if report.findings:
        yield "<h2>Findings</h2>"
        yield from _findings(report.findings)
    yield "</section>"


def _verdict(report: WheelReport) -> str:
    numbers = summary.counts(report)
    worst = max((severity for severity, number in numbers.items() if number), default=None)
    text = (
        ", ".join(summary.plural(number, str(severity)) for severity, number in numbers.items() if number)
        or "nothing found"
    )
    excused = f" · {report.excused} excused by the allowlist" if report.excused else ""
    return f'<div class="verdict {_SEVERITY_CLASS[worst] if worst else "ok"}">{text}{excused}</div>'


def _matrix(report: WheelReport) -> Iterator[str]:
    matrix = report.matrix
    if not matrix.modules:
        return
    head = "".join(f'<th class="cell">{python}</th>' for python in matrix.pythons)
    yield f'<h2>What each CPython gets</h2><div class="scroll"><table><tr><th>module</th><th>loaded by</th>{head}</tr>'
    shown, _ = summary.matrix_rows(report, limit=10**6)
    for module in shown:
        cells = "".join(
            f'<td class="cell {_CELL_CLASS[cell]}" title="{summary.MEANINGS[cell]}">{summary.SYMBOLS[cell]}</td>'
            for cell in module.cells
        )
        yield (
            f'<tr><td class="name" title="{escape(", ".join(module.files))}">{escape(module.name)}</td>'
            f"<td>{module.loader.value}</td>{cells}</tr>"
        )
    used = {cell for module in shown for cell in module.cells}
    legend = " · ".join(f"{summary.SYMBOLS[cell]} {text}" for cell, text in summary.MEANINGS.items() if cell in used)
    yield f'</table></div><div class="dim">{legend}</div>'


def _gpus(report: WheelReport, whole: Report) -> Iterator[str]:
    gpus = summary.gpus_of(whole.gpus)
    rows = summary.gpu_rows(report, gpus)
    if not rows:
        return
    head = "".join(f'<th class="cell">{escape(one.name)}</th>' for one in gpus)
    yield f'<h2>Device code</h2><div class="scroll"><table><tr><th>file</th>{head}<th>driver</th><th>code</th></tr>'
    for row in rows:
        cells = "".join(f'<td class="cell {_SUPPORT[level][0]}">{_SUPPORT[level][1]}</td>' for level in row.support)
        files = row.files[0] + (f" and {len(row.files) - 1} more" if len(row.files) > 1 else "")
        driver = f"≥ {row.driver}" if row.driver else "?"
        codes = f'<td class="wrap">{escape(row.codes)}</td>'
        yield f'<tr><td class="name">{escape(files)}</td>{cells}<td>{driver}</td>{codes}</tr>'
    yield '</table></div><div class="dim">JIT: the driver compiles PTX at first use · driver: oldest branch</div>'


def _findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    for found in findings:
        evidence = "".join(f"<li><code>{escape(item)}</code></li>" for item in found.evidence)
        yield (
            f'<article><span class="tag {_SEVERITY_CLASS[found.severity]}">{found.severity}</span><b>{found.rule}</b> '
            f"{f'<code>{escape(found.file)}</code> ' if found.file else ''}<div>{escape(found.message)}</div>"
            f"{f'<ul>{evidence}</ul>' if evidence else ''}"
            f'<div class="do">{escape(found.remedy)}</div></article>'
        )
