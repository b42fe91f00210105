"""What a check returns: findings, and the report that holds them beside the facts they rest on."""

from __future__ import annotations

import enum
from collections.abc import Sized
from dataclasses import dataclass


class Severity(enum.IntEnum):
    """How bad: an error breaks somebody's import or call, a warning may, a note is worth knowing."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


def printable(text: str) -> str:
    """A text fit for a terminal: control characters, which file names may hold, are spelled out."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def and_more(files: Sized) -> str:
    """What to say behind the name of the first of `files`: how many more there are, if any."""
    more = len(files) - 1
    return f" (and {more} more file{'s' if more > 1 else ''})" if more > 0 else ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of one rule.

    `file` is the path inside the wheel ("" for the wheel as a whole), `evidence` the symbols, sections or paths that
    prove it, `remedy` what to do about this very case.
    """

    rule: str
    severity: Severity
    wheel: str
    file: str
    message: str
    remedy: str
    evidence: tuple[str, ...] = ()

    @property
    def sort_key(self) -> tuple[int, str, str, str]:
        return (-self.severity, self.rule, self.file, self.message)
