"""Arguments of the `barrow` command."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import barrow
from barrow.cli import bench, explain, info, tune
from barrow.cli.exit_status import FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (sys.argv if None); return its exit status."""
    parser = argparse.ArgumentParser(prog="barrow", description=barrow.__doc__)
    parser.add_argument("--version", action="version", version=f"barrow {barrow.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    info.add_to(commands)
    explain.add_to(commands)
    bench.add_to(commands)
    tune.add_to(commands)
    options = parser.parse_args(arguments)
    # A scheduler or `timeout` that ends a long run interrupts it as Ctrl-C does, so that it keeps what it has.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status: int = options.run(options)
        # Here and not when Python ends, where nobody could catch what comes of it.
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads (`head`) has enough. What is left to write goes nowhere, or Python would complain as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status
