"""`barrow-wheel cmake-dir`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from barrow_wheel.cmake import CMAKE_DIR
from barrow_wheel.errors import EXIT_CLEAN

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Subparsers) -> None:
    command = commands.add_parser("cmake-dir", help="the folder for CMAKE_PREFIX_PATH or BarrowWheel_DIR")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    print(CMAKE_DIR)
    return EXIT_CLEAN
