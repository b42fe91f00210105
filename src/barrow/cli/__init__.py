"""The `barrow` command."""

from barrow.cli.main import main

__all__ = ["main"]
