"""Code in a process of its own: for what only the first call of a process shows."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_fresh(code: str, *args: str, env: dict[str, str] | None = None) -> str:
    """Run `code` in a new Python that can import this folder's modules. Returns its output; raises AssertionError."""
    # Beside what the caller's Python can import: barrow may come from PYTHONPATH.
    path = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
