"""Files that a long run writes as it goes."""

import os
from pathlib import Path

# What a run that ends without a word may lose.
SAVE_SECONDS = 10.0


def write_whole(path: Path, text: str) -> None:
    """Write a file, which an interruption leaves as it was or as it is to be."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
