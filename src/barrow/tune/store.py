"""The file of a tuning: what was timed, on what, and which of it still holds when a run goes on."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from barrow import launcher
from barrow.bench.machine import Machine
from barrow.bench.saving import write_whole
from barrow.launcher import GemmKernel

Row = dict[str, Any]
# M, N, K and with how many groups the rows come; 0 for a plain product.
Problem = tuple[int, int, int, int]
# A kernel and what it was timed on.
Key = tuple[str, Problem]


class StoreError(ValueError):
    """A file that a run cannot go on from; the text names it and says what to do."""


def key_of(row: Row) -> Key:
    return row["kernel"], problem_of(row)


def problem_of(row: Row) -> Problem:
    # Files of before there were groups have none.
    return row["m"], row["n"], row["k"], row.get("groups", 0)


def hashes() -> dict[str, str]:
    """SHA-256 of every kernel's machine code, from the manifest beside the pack."""
    manifest = json.loads(Path(launcher.pack_path()).with_name("manifest.json").read_text(encoding="utf-8"))
    return {kernel["name"]: kernel["sha256"] for kernel in manifest["kernels"]}


@dataclass
class Store:
    """Rows of times by kernel and shape, and the file that they are kept in.

    A row has `us`, and is `coarse` where it is one eager launch of a kernel that is hopeless there. `dropped` counts
    the rows of an earlier run whose kernels have changed since.
    """

    path: Path
    machine: Machine
    kernels: list[GemmKernel]
    sha256: dict[str, str]
    rows: dict[Key, Row] = field(default_factory=dict)
    dropped: int = 0

    @classmethod
    def open(
        cls, path: Path, machine: Machine, kernels: list[GemmKernel], sha256: dict[str, str], changed_too: bool = False
    ) -> "Store":
        """The rows of an earlier run in `path` that still hold, or, `changed_too`, of all kernels that are still there.
        None where there is no file.

        Raises StoreError for a file of another GPU or one that is no tuning.
        """
        store = cls(path, machine, kernels, sha256)
        if not path.exists():
            return store
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            gpu, rows = data["machine"]["gpu"], data["rows"]
            before = {kernel["name"]: kernel.get("sha256") for kernel in data["kernels"]}
            holds = {name for name, code in sha256.items() if changed_too or before.get(name) == code}
            kept = {key_of(row): row for row in rows if row["kernel"] in holds}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} is not what barrow tune wrote ({error!r}); choose another --out") from error
        if gpu != machine.gpu:
            raise StoreError(f"{path} holds times of {gpu}, this is {machine.gpu}; choose another --out")
        store.rows, store.dropped = kept, len(rows) - len(kept)
        return store

    def add(self, kernel: str, problem: Problem, us: float, coarse: bool) -> None:
        m, n, k, groups = problem
        row = {"kernel": kernel, "m": m, "n": n, "k": k, "groups": groups, "us": round(us, 4), "coarse": coarse}
        self.rows[key_of(row)] = row

    def exact(self, out: str) -> dict[Problem, list[Row]]:
        """By problem, rows of the kernels that write `out` that are not coarse."""
        names = {kernel["name"] for kernel in self.kernels if kernel["out"] == out}
        found: dict[Problem, list[Row]] = defaultdict(list)
        for row in self.rows.values():
            if not row["coarse"] and row["kernel"] in names:
                found[problem_of(row)].append(row)
        return found

    def of_problem(self, problem: Problem) -> list[Row]:
        return [row for row in self.rows.values() if problem_of(row) == problem]

    def save(self) -> None:
        """Write everything, a line per row; an interruption leaves the file as it was or as it is to be."""
        head = {
            "machine": self.machine.as_json(),
            "kernels": [{**kernel, "sha256": self.sha256[kernel["name"]]} for kernel in self.kernels],
        }
        rows = ",\n".join(json.dumps(row) for row in self.rows.values())
        text = "{" + "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
        write_whole(self.path, f'{text}"rows": [\n{rows}\n]}}\n')
