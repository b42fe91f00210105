"""The one error of this package."""

from collections.abc import Sequence

MOST_SHOWN = 10


class CheckpointError(ValueError):
    """A checkpoint cannot be read or does not fit; the message names the file, key or tensors. Nothing was loaded."""


def raise_for(where: str, problems: Sequence[str]) -> None:
    """Raise `CheckpointError` with the first few problems, if there are any."""
    if problems:
        more = [f"and {len(problems) - MOST_SHOWN} more"] if len(problems) > MOST_SHOWN else []
        raise CheckpointError("\n  ".join([f"barrow.checkpoint: {where}:", *problems[:MOST_SHOWN], *more]))
