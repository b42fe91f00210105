"""What a process has found out about its backends, so that a test can pretend another machine or environment."""

from barrow.linear import backends, target


def forget() -> None:
    """Forget all choices, installed backends and devices: a process asks for each once."""
    for asked in (backends._name_for, backends.choose, backends.registered, target.here):
        asked.cache_clear()
