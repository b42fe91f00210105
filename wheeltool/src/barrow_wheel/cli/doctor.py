"""`barrow-wheel doctor`."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

from barrow_wheel.build.toolchain import environment
from barrow_wheel.doctor.diagnose import TARGETS, Diagnosis, diagnose
from barrow_wheel.doctor.probe import probe
from barrow_wheel.errors import EXIT_CLEAN, EXIT_FINDINGS
from barrow_wheel.findings import Severity

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTE: "·", None: "✓"}


def register(commands: Subparsers) -> None:
    command = commands.add_parser(
        "doctor",
        help="what to set before building for a target",
        description="Looks at this machine and says what stands in the way of a build, and what to set for it.",
    )
    command.add_argument("--target", choices=TARGETS, required=True)
    command.add_argument("--gpu", action="append", default=[], metavar="NAME[,NAME]", help="h100,b200 or mi300x")
    command.add_argument("--sh", action="store_true", help="only export lines, for eval; findings go to standard error")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    gpus = [name.strip() for names in options.gpu for name in names.split(",") if name.strip()]
    diagnosis = diagnose(probe(environment()), options.target, gpus)
    if options.sh:
        sys.stderr.write(_findings(diagnosis, problems_only=True))
        sys.stdout.write(_exports(diagnosis))
    else:
        sys.stdout.write(_findings(diagnosis, problems_only=False) + "\n" + _exports(diagnosis))
    return EXIT_CLEAN if diagnosis.healthy else EXIT_FINDINGS


def _findings(diagnosis: Diagnosis, problems_only: bool) -> str:
    lines = []
    for advice in diagnosis.advice:
        if problems_only and advice.severity in (None, Severity.NOTE):
            continue
        lines.append(f"{_MARKS[advice.severity]} {advice.text}")
        if advice.remedy:
            lines.append(f"    → {advice.remedy}")
    return "".join(f"{line}\n" for line in lines)


def _exports(diagnosis: Diagnosis) -> str:
    return "".join(f"# {v.reason}\nexport {v.name}={shlex.quote(v.value)}\n" for v in diagnosis.variables)
