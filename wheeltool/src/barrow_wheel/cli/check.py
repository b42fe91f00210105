"""`barrow-wheel check`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from barrow_wheel.allowlist import Allowlist
from barrow_wheel.check import Report, check
from barrow_wheel.errors import EXIT_CLEAN, EXIT_FINDINGS, UsageError
from barrow_wheel.facts.gpus import gpu
from barrow_wheel.findings import Severity
from barrow_wheel.report.html import to_html
from barrow_wheel.report.machine import to_json, to_sarif
from barrow_wheel.report.terminal import TerminalView
from barrow_wheel.rules import RULES

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_WRITERS = {"json": to_json, "sarif": to_sarif, "html": to_html}


def register(commands: Subparsers) -> None:
    command = commands.add_parser(
        "check",
        help="what a wheel claims against what is in it",
        description="Checks wheels; reads them, never imports or runs them.",
    )
    command.add_argument(
        "targets", nargs="*", metavar="WHEEL_OR_FOLDER_OR_NAME", help="a .whl, a folder, or an installed distribution"
    )
    command.add_argument(
        "--gpu",
        action="append",
        default=[],
        metavar="NAME[,NAME]",
        help="GPUs the wheel must run on: h100,b200,rtx4090 or sm_90",
    )
    command.add_argument(
        "--allow", type=Path, metavar="FILE", help="TOML allowlist; entries that match nothing are errors"
    )
    command.add_argument(
        "--fail-on",
        choices=["error", "warning", "note"],
        default="error",
        help="least severity that makes the exit code 1 (default: error)",
    )
    for name in _WRITERS:
        command.add_argument(
            f"--{name}", metavar="FILE", help=f"write {name.upper()} to FILE ('-' for standard output)"
        )
    command.add_argument("-v", "--verbose", action="store_true", help="all rows, notes and evidence")
    command.add_argument("--rules", action="store_true", help="list the rules and leave")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.rules:
        sys.stdout.writelines(f"{rule.name:34} {rule.severity!s:8} {rule.summary}\n" for rule in RULES.values())
        return EXIT_CLEAN
    if not options.targets:
        raise UsageError("give at least one .whl, folder or name of an installed distribution")
    to_stdout = [name for name in _WRITERS if getattr(options, name) == "-"]
    if len(to_stdout) > 1:
        raise UsageError(f"only one of --{' and --'.join(to_stdout)} can go to standard output")
    gpus = [gpu(name.strip()) for names in options.gpu for name in names.split(",") if name.strip()]
    allowlist = Allowlist.load(options.allow) if options.allow else None
    report = check(options.targets, gpus, allowlist)
    for name, write in _WRITERS.items():
        _deliver(getattr(options, name), write(report))
    if not to_stdout:
        sys.stdout.write(_terminal(report, sys.stdout, options.verbose))
    floor = Severity[options.fail_on.upper()]
    return EXIT_FINDINGS if report.worst is not None and report.worst >= floor else EXIT_CLEAN


def _deliver(place: str | None, text: str) -> None:
    if place == "-":
        sys.stdout.write(text)
    elif place is not None:
        try:
            # A file name in a folder need not be UTF-8.
            Path(place).write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{place}: cannot be written: {error.strerror}") from error


def _terminal(report: Report, stream: TextIO, verbose: bool) -> str:
    # NO_COLOR and FORCE_COLOR as https://no-color.org and https://force-color.org say.
    colour = (stream.isatty() and not os.environ.get("NO_COLOR")) or bool(os.environ.get("FORCE_COLOR"))
    return TerminalView(colour, shutil.get_terminal_size((110, 40)).columns, verbose).render(report)
