"""Runs all GPU tests and the four tools of compute-sanitizer, and writes what came out as Markdown.

python tests/gpu/report.py --out docs/results/gpu-tests-h100.md

The exit code is 0 if everything passed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from barrow.bench.machine import Machine, this_machine

HERE = Path(__file__).resolve().parent

TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
TOOL_TIMEOUT_S = 110
AT_ONCE = 4
# What takes longest, which begins first.
LONG = ("test_cuda_backends", "test_cuda_aoti")
# The last line that a tool prints, for instance "ERROR SUMMARY: 0 errors".
SUMMARY = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: (.*)")


@dataclass
class FileResult:
    """Counts of one test file."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    seconds: float = 0.0

    @property
    def ran(self) -> bool:
        """Whether there was anything to run: what pytest is told may leave a file nothing."""
        return bool(self.passed or self.failed or self.skipped)


@dataclass(frozen=True)
class ToolResult:
    """What one sanitizer said of the short set."""

    tool: str
    clean: bool
    summary: str
    seconds: float


@dataclass(frozen=True)
class Results:
    """Of tests by file, of tools, and the names of those that are not done."""

    files: dict[str, FileResult]
    tools: list[ToolResult]
    missing: list[str]


def run_file(path: Path, extra: list[str]) -> FileResult:
    """Run the tests of one file; show their output when they are done."""
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", str(path), "-q", "--durations=5", f"--junitxml={xml}", *extra]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment())
        print(f"--- {path.stem}\n{done.stdout}", flush=True)
        result = FileResult()
        if not xml.exists():
            result.failed.append("pytest ended without a result")
            return result
        for case in ET.parse(xml).getroot().iter("testcase"):
            result.seconds += float(case.get("time", 0))
            if case.find("failure") is not None or case.find("error") is not None:
                result.failed.append(case.get("name", "?"))
            elif case.find("skipped") is not None:
                result.skipped += 1
            else:
                result.passed += 1
    return result


def _environment() -> dict[str, str]:
    # With the threads of all cores in each, processes wait for each other's: tests took fifty times as long.
    return {**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // AT_ONCE))}


def find_sanitizer() -> str | None:
    toolkit = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "bin" / "compute-sanitizer"
    return shutil.which("compute-sanitizer") or (str(toolkit) if toolkit.exists() else None)


def run_tool(sanitizer: str | None, tool: str) -> ToolResult:
    """Run the short set under one tool."""
    if sanitizer is None:
        return ToolResult(tool, False, "compute-sanitizer is not installed", 0.0)
    # Not the errors of API calls: torch probes for functions that a driver may lack.
    command = [sanitizer, "--tool", tool, "--report-api-errors", "no", "--print-limit", "20"]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [*command, sys.executable, str(HERE / "sanitizer_set.py")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TOOL_TIMEOUT_S,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        return ToolResult(tool, False, f"not done after {TOOL_TIMEOUT_S} s", TOOL_TIMEOUT_S)
    seconds = time.perf_counter() - started
    print(f"--- {tool}, exit code {done.returncode}\n{done.stdout[-4000:]}", flush=True)
    found = SUMMARY.findall(done.stdout)
    if not found:
        return ToolResult(tool, False, f"no summary, exit code {done.returncode}", seconds)
    clean = done.returncode == 0 and re.match(r"0 (errors|hazards)", found[-1]) is not None
    return ToolResult(tool, clean, found[-1], seconds)


def run_all(extra: list[str], with_tools: bool, write: Callable[[Results], None]) -> Results:
    """Every file of tests and every tool, some at once: while the host compiles for one, the GPU works for another.

    `write` is called with what is known after each of them, so that little is lost if the run ends early.
    """
    paths = sorted(HERE.glob("test_*.py"))
    sanitizer = find_sanitizer()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        files = {path.stem: pool.submit(run_file, path, extra) for path in sorted(paths, key=_begins_later)}
        tools = {tool: pool.submit(run_tool, sanitizer, tool) for tool in TOOLS if with_tools}
        jobs: dict[str, Future[Any]] = {**files, **tools}
        for _ in as_completed(jobs.values()):
            done = {path.stem: files[path.stem].result() for path in paths if files[path.stem].done()}
            results = Results(
                {name: result for name, result in done.items() if result.ran},
                [found.result() for found in tools.values() if found.done()],
                [name for name, job in jobs.items() if not job.done()],
            )
            write(results)
    return results


def _begins_later(path: Path) -> bool:
    return path.stem not in LONG


def markdown(machine: Machine, results: Results) -> str:
    files, tools = results.files, results.tools
    passed, skipped = sum(f.passed for f in files.values()), sum(f.skipped for f in files.values())
    failed = [f"{name}: {test}" for name, f in files.items() for test in f.failed]
    lines = [
        f"# GPU tests on {machine.gpu}",
        "",
        f"barrow {machine.barrow} (commit {machine.commit}), torch {machine.torch}, driver {machine.driver}, "
        f"Python {sys.version.split()[0]}, {machine.num_sms} SMs.",
        "",
        f"**{passed} passed, {len(failed)} failed, {skipped} skipped.** One test covers many shapes where it says so.",
        "",
        "| file | passed | failed | skipped | seconds |",
        "|---|---|---|---|---|",
        *(f"| {name} | {f.passed} | {len(f.failed)} | {f.skipped} | {f.seconds:.1f} |" for name, f in files.items()),
        "",
    ]
    if tools:
        lines += [
            "compute-sanitizer over every kernel (`tests/gpu/sanitizer_set.py`):",
            "",
            "| tool | result | seconds |",
            "|---|---|---|",
            *(f"| {t.tool} | {'clean' if t.clean else 'FAULT'}: {t.summary} | {t.seconds:.0f} |" for t in tools),
            "",
        ]
    if results.missing:
        lines += [f"Not done: {', '.join(results.missing)}.", ""]
    if failed:
        lines += ["Failed:", "", *(f"- {name}" for name in failed), ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--no-sanitizer", action="store_true", help="run the tests only")
    args, pytest_args = parser.parse_known_args()
    machine = this_machine()
    results = run_all(pytest_args, not args.no_sanitizer, lambda found: args.out.write_text(markdown(machine, found)))
    print(args.out.read_text())
    passed = results.files and all(not f.failed for f in results.files.values())
    return 0 if passed and all(t.clean for t in results.tools) else 1


if __name__ == "__main__":
    sys.exit(main())
