"""What the commands tell the shell beside 0."""

FAILED = 1
INTERRUPTED = 130
"""As a shell says of a command that Ctrl-C ended: 128 + SIGINT."""
