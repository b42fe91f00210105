"""Every exception of barrow-wheel, each family with its own exit code.

Exit code 0 means checked and nothing found, 1 means findings; everything from 2 on means that there is no answer.
"""

from __future__ import annotations

EXIT_CLEAN = 0
EXIT_FINDINGS = 1
EXIT_INTERNAL = 70


class BarrowWheelError(Exception):
    """Base of all errors raised on purpose; the text says what was wrong and what to do."""

    exit_code = 3


class UsageError(BarrowWheelError):
    """The request itself makes no sense: an unknown GPU, an impossible specifier, a malformed allowlist."""

    exit_code = 2


class InputError(BarrowWheelError):
    """What was given cannot be read at all, so nothing can be said about it."""

    exit_code = 3


class FormatError(InputError):
    """Bytes that do not follow their format: truncated, or a header that lies."""


class LimitError(InputError):
    """Bytes that follow their format but ask for more than a reader is willing to spend."""


class MissingToolError(BarrowWheelError):
    """An interpreter, a compiler or a program that the command needs is not on this machine."""

    exit_code = 4


class BuildError(BarrowWheelError):
    """A compiler or another program was started and failed."""

    exit_code = 5


class MergeError(BarrowWheelError):
    """The wheels given cannot become one wheel."""

    exit_code = 6
