"""`barrow-wheel merge`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from barrow_wheel.cli.arguments import folder
from barrow_wheel.errors import EXIT_CLEAN
from barrow_wheel.merge import plan_merge, write_merge

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Subparsers) -> None:
    command = commands.add_parser(
        "merge",
        help="per-Python wheels of one release into one wheel",
        description="Merges per-Python wheels of one release into one wheel that serves all of them.",
    )
    command.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL")
    command.add_argument("-o", "--out", type=folder, default=Path("merged"), metavar="DIR", help="default: merged/")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    plan = plan_merge(options.wheels)
    output = write_merge(plan, options.out)
    print(f"{output}\n{len(plan.members)} files, Requires-Python {plan.requires_python}, {len(plan.tags)} tags")
    return EXIT_CLEAN
