"""Entry point: one subcommand a module, one exit code a family of outcomes (see errors.py)."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence

from barrow_wheel import __version__
from barrow_wheel.cli import build_ext, check, cmake_dir, doctor, merge, pythons
from barrow_wheel.errors import EXIT_INTERNAL, BarrowWheelError, UsageError

_COMMANDS = (check, pythons, build_ext, merge, doctor, cmake_dir)
_EPILOG = (
    "exit codes: 0 nothing found, 1 findings, 2 wrong usage, 3 input unreadable, 4 something missing on this machine, "
    "5 a build failed, 6 wheels cannot be merged, 70 a bug in barrow-wheel"
)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="barrow-wheel", description="Prove what a wheel claims, and build what it needs.", epilog=_EPILOG
    )
    top.add_argument("--version", action="version", version=f"barrow-wheel {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Marks and file names that the terminal's encoding lacks are no reason to fail.
        sys.stdout.reconfigure(errors="replace")
    try:
        code: int = options.run(options)
    except BarrowWheelError as error:
        sys.stderr.write(f"barrow-wheel {options.command}: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`| head`); Python would complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        sys.stderr.write(f"barrow-wheel {options.command}: {error}; give another path or correct this one\n")
        return UsageError.exit_code
    except Exception as error:
        traceback.print_exc()
        sys.stderr.write(f"barrow-wheel {options.command}: failed with {type(error).__name__}; please report this\n")
        return EXIT_INTERNAL
    return code
