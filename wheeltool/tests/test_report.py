"""The views: complete, valid, self-contained and not to be injected into."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import CSource, WheelSpec, cuda_source, fatbin, fatbin_entry

from barrow_wheel.check import Report, check
from barrow_wheel.facts.gpus import gpu
from barrow_wheel.report.html import to_html
from barrow_wheel.report.machine import to_json, to_sarif
from barrow_wheel.report.terminal import TerminalView
from barrow_wheel.rules import RULES


@pytest.fixture
def report(compile_so: Callable[[CSource], bytes], tmp_path: Path) -> Report:
    private = CSource(exports=("PyInit__C",), calls=("_PyObject_GetDictPtr",))
    device = cuda_source(tmp_path, fatbin(fatbin_entry(2, 90), fatbin_entry(1, 80, low=0, high=8)))
    spec = WheelSpec(
        {
            "demo/_C.cpython-312-x86_64-linux-gnu.so": compile_so(private),
            "demo/libkernels.so": compile_so(device),
            "demo/<script>alert(1)</script>.py": b"import triton\n@triton.jit\n",
        },
        requires_python=">=3.11,<3.14",
    )
    return check([str(spec.write(tmp_path))], [gpu("h100"), gpu("b200")])


def test_terminal_says_all_on_one_screen(report: Report) -> None:
    text = TerminalView(colour=False, width=100).render(report)
    assert len(text.splitlines()) <= 24
    assert "3.11 3.12 3.13" in text and "demo._C" in text and "matrix-missing-cell" in text and "\x1b" not in text
    lines = text.splitlines()
    assert next(i for i, line in enumerate(lines) if "loaded by" in line) < next(
        i for i, line in enumerate(lines) if "error" in line
    )
    assert "\x1b[31m" in TerminalView(colour=True).render(report)


def test_many_modules_stay_on_one_screen(compile_so: Callable[[CSource], bytes], tmp_path: Path) -> None:
    files = {}
    for number in range(60):
        source = CSource(exports=(f"PyInit_m{number}",), calls=("PyLong_FromLong",))
        files[f"demo/m{number}.abi3.so"] = compile_so(source) if number < 3 else files["demo/m0.abi3.so"]
    text = TerminalView(colour=False).render(check([str(WheelSpec(files).write(tmp_path))]))
    assert len(text.splitlines()) <= 24 and "more without a gap" in text


def test_json_round_trips(report: Report) -> None:
    data = json.loads(to_json(report))
    (wheel,) = data["wheels"]
    assert wheel["matrix"]["pythons"] == ["3.11", "3.12", "3.13"]
    assert wheel["gpus"][0]["support"] == {"h100": "native", "b200": "jit"}
    assert wheel["device_code"][0]["cuda"][1]["ptx_isa"] == "8.0"
    assert {f["rule"] for f in wheel["findings"]} >= {"matrix-missing-cell", "gpu-jit-only"}


def test_sarif_has_what_the_standard_demands(report: Report) -> None:
    """The required properties of SARIF 2.1.0, section 3, and what code-scanning services demand on top."""
    data = json.loads(to_sarif(report))
    assert data["version"] == "2.1.0" and data["$schema"].endswith("sarif-2.1.0.json")
    (run,) = data["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "barrow-wheel"
    assert len(run["results"]) == len(report.findings)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] and result["ruleId"] in RULES
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"].isascii()
        assert " " not in location["physicalLocation"]["artifactLocation"]["uri"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_one_closed_page_without_script(report: Report) -> None:
    page = to_html(report)
    parser = _Page()
    parser.feed(page)
    assert parser.open == [] and parser.references == []
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http" not in page and "url(" not in page
    assert 'class="cell bad"' in page and "matrix-missing-cell" in page


def test_a_wheel_for_every_cpython_fits_no_narrow_terminal(
    compile_so: Callable[[CSource], bytes], tmp_path: Path
) -> None:
    module = compile_so(CSource(exports=("PyInit__C",)))
    spec = WheelSpec({"demo/_C.so": module}, tag="py3-none-manylinux_2_28_x86_64", requires_python=None)
    text = TerminalView(colour=False, width=60).render(check([str(spec.write(tmp_path))]))
    assert "demo._C " in text and "3.15t" in text


def test_control_characters_do_not_reach_the_terminal(compile_so: Callable[[CSource], bytes], tmp_path: Path) -> None:
    escape = "\x1b[2J"
    image = fatbin(fatbin_entry(2, 90))
    library = compile_so(cuda_source(tmp_path, image, CSource(flags=("-Wl,-rpath,/else\x1b[2Jwhere",))))
    spec = WheelSpec({f"demo/{escape}/lib{escape}.so": library, f"demo/{escape}.so": b"", f"{escape}.bin": image})
    report = check([str(spec.write(tmp_path))], [gpu("b200")])
    assert {"rpath-outside", "unreadable-file", "gpu-not-covered"} <= {f.rule for f in report.findings}
    for verbose in (False, True):
        assert "\x1b" not in TerminalView(colour=False, verbose=verbose).render(report)
