"""A progress bar on a terminal, and now and then a line elsewhere."""

import time
from typing import TextIO

WIDTH = 30
LINE_SECONDS = 30.0


class Progress:
    """Shows how far a long work has come and when it will be done."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._start = time.monotonic()
        self._said = float("-inf")

    def __call__(self, done: int, total: int, label: str) -> None:
        """`done` of `total` steps are over and `label` is next; with all done, the line is ended."""
        now = time.monotonic()
        last = done >= total
        if not (self._live or last or now - self._said >= LINE_SECONDS):
            return
        self._said = now
        text = f"{self._bar(done, total)}{done}/{total}{self._left(done, total, now)} {label}".rstrip()
        self._out.write(f"\r\033[K{text}" + "\n" * last if self._live else f"{text}\n")
        self._out.flush()

    def _bar(self, done: int, total: int) -> str:
        filled = WIDTH * done // total if total else WIDTH
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] " if self._live else ""

    def _left(self, done: int, total: int, now: float) -> str:
        if not 0 < done < total:
            return ""
        seconds = round((now - self._start) / done * (total - done))
        return f", {seconds // 60}:{seconds % 60:02d} left"
