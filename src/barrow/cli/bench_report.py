"""What `barrow bench` says while it measures, and what its file holds."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from barrow.bench.machine import Machine
from barrow.bench.measure import Row, Settings
from barrow.bench.saving import SAVE_SECONDS, write_whole
from barrow.bench.summary import summary_lines


def say(text: str) -> None:
    """Print at once, for a run takes minutes."""
    print(text, flush=True)


def say_missing(missing: Mapping[str, str]) -> None:
    for name, why in missing.items():
        say(f"{name} is left out: {why}")


def warmed(warm: Callable[[], None]) -> None:
    """Fill DeepGEMM's cache and tell how long it took."""
    started = time.perf_counter()
    warm()
    say(f"DeepGEMM's cache filled in {time.perf_counter() - started:.0f} s")


def as_text(data: Row) -> str:
    """What the file holds."""
    return json.dumps(data, indent=1) + "\n"


def report(
    machine: Machine,
    settings: Settings,
    measured: Iterable[Row],
    line: Callable[[Row], str],
    summarise: Callable[[Sequence[Row]], list[Row]],
    out: Path | None,
) -> Row:
    """Print a line for each row as it comes, and the summary; what the JSON holds.

    An interruption ends the rows and not the report: what took minutes to measure is not lost. Nor is it where a run
    ends without a word: `out` has what there was some seconds before.
    """
    rows: list[Row] = []

    def data(complete: bool) -> Row:
        about = {"machine": machine.as_json(), "settings": settings.as_json(), "complete": complete}
        return {**about, "summary": summarise(rows), "rows": rows}

    complete, saved = False, time.monotonic()
    try:
        for row in measured:
            rows.append(row)
            say(line(row))
            if out and time.monotonic() - saved > SAVE_SECONDS:
                # Into no pipe or device. That a file cannot be written is told in the end.
                if out.is_file() or not out.exists():
                    with suppress(OSError):
                        write_whole(out.resolve(), as_text(data(complete)))
                saved = time.monotonic()
        complete = True
    except KeyboardInterrupt:
        if not rows:
            raise
        say(f"interrupted after {len(rows)} rows")
    found = data(complete)
    for text in summary_lines(rows, found["summary"]):
        say(text)
    return found
