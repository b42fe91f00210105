"""Shapes on a command line, alike for every command that takes them."""

import argparse
import os
from pathlib import Path

from barrow.bench.models import linears
from barrow.bench.shapes import parse_nk
from barrow.checkpoint.errors import CheckpointError
from barrow.checkpoint.format import read_config


def positive(text: str) -> int:
    """An int from 1 to what a dimension may be; for argparse's `type`."""
    try:
        if 1 <= (value := int(text)) < 2**31:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 to 2^31 - 1")


def nk(text: str) -> tuple[int, int]:
    """`2112x7168`; for argparse's `type`."""
    try:
        return parse_nk(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def writable(text: str) -> Path:
    """A file that can be written, with others beside it, found out before measuring; for argparse's `type`."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise argparse.ArgumentTypeError(f"{place} cannot be written; name a file elsewhere")
    return path


def config_nk(parser: argparse.ArgumentParser, path: Path, tp: int) -> list[tuple[int, int]]:
    """N x K of the layers of a config.json, listed on stdout; ends the program where it cannot be understood."""
    try:
        layers = linears(read_config(path), tp)
    except CheckpointError as error:
        parser.error(f"--config {path}: {error}")
    for layer in layers:
        print(f"{layer.name}: N = {layer.n}, K = {layer.k}")
    return list(dict.fromkeys((layer.n, layer.k) for layer in layers))
