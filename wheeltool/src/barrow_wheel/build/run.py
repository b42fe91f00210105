"""Runs a plan: only what is out of date, in parallel, each file appearing whole or not at all."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from barrow_wheel.build.plan import Plan, Step, Target
from barrow_wheel.errors import BuildError, InputError
from barrow_wheel.facts.cpython import CPython
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.elf import MAGIC, read_elf

_TOKEN = re.compile(r"(?:\\.|[^\s\\])+")
# Of a compiler's output, from its first error on: pages of notes may follow.
_SHOWN_CHARACTERS = 4000
_ERROR = re.compile(r"^.*(?:\berror\b|\bundefined\b|\bcannot find\b)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Built:
    """One module file. `compiled` counts the sources compiled, 0 when all was up to date; seconds of work, not wall."""

    python: CPython
    path: Path
    compiled: int
    seconds: float


def dependencies(depfile: Path) -> tuple[Path, ...]:
    """The files that a compiler's depfile (Make syntax) lists as read."""
    text = depfile.read_text(encoding="utf-8", errors="surrogateescape").replace("\\\n", " ")
    _, _, listed = text.partition(":")
    tokens = _TOKEN.findall(listed.partition("\n")[0])
    return tuple(Path(re.sub(r"\\(.)", r"\1", token).replace("$$", "$")) for token in tokens)


def out_of_date(step: Step) -> bool:
    """Whether a step must run: nothing made yet, another command, or something it read is newer or gone."""
    try:
        made = step.output.stat().st_mtime_ns
        if _stamp(step).read_text() != step.fingerprint:
            return True
        read = dependencies(step.depfile) if step.depfile is not None else step.inputs
        return any(path.stat().st_mtime_ns > made for path in read)
    except OSError:
        return True


def _stamp(step: Step) -> Path:
    return step.output.with_name(step.output.name + ".command") if step.depfile else _link_stamp(step)


def _link_stamp(step: Step) -> Path:
    # Beside the objects: the output folder belongs to the package.
    return step.inputs[0].parent / "link.command"


def build(plan: Plan, jobs: int, tell: Callable[[str], None] = lambda line: None) -> tuple[Built, ...]:
    """Builds all targets with at most `jobs` compilers at once. Raises BuildError with the compiler's own words."""
    seconds: dict[int, float] = {}
    compiled: dict[int, int] = {}

    def run(number: int, step: Step) -> None:
        started = time.monotonic()
        _execute(step)
        seconds[number] = seconds.get(number, 0.0) + time.monotonic() - started

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting: list[Future[None]] = []
        for number, target in enumerate(plan.targets):
            stale = [step for step in target.compile if out_of_date(step)]
            compiled[number] = len(stale)
            waiting += [pool.submit(run, number, step) for step in stale]
        _finish(waiting)
        links = [(n, t) for n, t in enumerate(plan.targets) if compiled[n] or out_of_date(t.link)]
        _finish([pool.submit(run, number, target.link) for number, target in links])
    built = []
    for number, target in enumerate(plan.targets):
        _check(target, plan.extension.name)
        one = Built(target.interpreter.python, target.link.output, compiled[number], seconds.get(number, 0.0))
        state = f"{one.compiled} compiled, {one.seconds:.1f} s of work" if one.seconds else "up to date"
        tell(f"{one.python!s:6} {one.path}  ({state})")
        built.append(one)
    return tuple(built)


def _finish(futures: list[Future[None]]) -> None:
    done, pending = wait(futures, return_when=FIRST_EXCEPTION)
    for future in pending:
        future.cancel()
    for future in done:
        future.result()


def _execute(step: Step) -> None:
    step.output.parent.mkdir(parents=True, exist_ok=True)
    _stamp(step).parent.mkdir(parents=True, exist_ok=True)
    partial = step.output.with_name(f".{step.output.name}.{os.getpid()}.tmp")
    command = [*step.command[:-1], str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        partial.unlink(missing_ok=True)
        output = (done.stderr or done.stdout).strip()
        first = _ERROR.search(output)
        words = output[first.start() :][:_SHOWN_CHARACTERS] if first else output[-_SHOWN_CHARACTERS:]
        raise BuildError(f"this command failed with {done.returncode}:\n{shlex.join(step.command)}\n{words}")
    partial.replace(step.output)
    _stamp(step).write_text(step.fingerprint)


def _check(target: Target, name: str) -> None:
    """Python imports NAME from the file only through PyInit_NAME; a wrong macro argument is the usual mistake."""
    data = target.link.output.read_bytes()
    if not data.startswith(MAGIC):
        return
    try:
        exports = read_elf(Blob.of_bytes(data)).python_exports
    except InputError as error:
        raise BuildError(f"{target.link.output}: the linker made a file that cannot be read: {error}") from error
    if f"PyInit_{name}" not in exports:
        have = ", ".join(sorted(e for e in exports if e.startswith("PyInit_"))) or "none"
        raise BuildError(
            f"{target.link.output}: exports no PyInit_{name} (has {have}); name the module TORCH_EXTENSION_NAME or "
            f"{name} in PYBIND11_MODULE"
        )
