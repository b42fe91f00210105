"""The allowlist: findings that a project knows and accepts, each with a reason, each checked to be still needed."""

from __future__ import annotations

import fnmatch
import sys
from dataclasses import dataclass, field
from pathlib import Path

from barrow_wheel.errors import UsageError
from barrow_wheel.findings import Finding
from barrow_wheel.rules import RULES, finding

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS = {"rule", "file", "evidence", "reason"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted finding: its rule, and optionally a glob for its file and a text in its message or evidence."""

    rule: str
    reason: str
    file: str = "*"
    evidence: str = ""

    def matches(self, found: Finding) -> bool:
        return (
            self.rule == found.rule
            and fnmatch.fnmatchcase(found.file, self.file)
            and (not self.evidence or any(self.evidence in text for text in (found.message, *found.evidence)))
        )


@dataclass(slots=True)
class Allowlist:
    """Entries of one file. `apply` remembers which entries were of use, `stale` names the others."""

    entries: tuple[Entry, ...] = ()
    origin: str = ""
    _used: set[Entry] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> Allowlist:
        """Reads a TOML file of [[allow]] tables. Raises UsageError for anything it does not understand."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{path}: cannot be read as TOML ({error})") from error
        tables = data.pop("allow", [])
        if data or not isinstance(tables, list):
            raise UsageError(f"{path}: may only hold [[allow]] tables, but holds {', '.join(data) or 'allow = ...'}")
        return cls(tuple(_entry(path, number, table) for number, table in enumerate(tables, 1)), str(path))

    def apply(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """The findings that no entry excuses."""
        kept = []
        for found in findings:
            matching = [entry for entry in self.entries if entry.matches(found)]
            self._used.update(matching)
            if not matching:
                kept.append(found)
        return tuple(kept)

    def stale(self) -> tuple[Finding, ...]:
        return tuple(
            finding(
                "allowlist-stale", self.origin, entry.file, f"{entry.rule} is no longer found", evidence=(entry.reason,)
            )
            for entry in self.entries
            if entry not in self._used
        )


def _entry(path: Path, number: int, table: object) -> Entry:
    where = f"{path}: [[allow]] number {number}"
    if isinstance(table, dict) and (unknown := set(table) - _KEYS):
        raise UsageError(f"{where}: unknown key {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KEYS))}")
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise UsageError(f"{where}: needs strings: rule, reason, and optionally file and evidence")
    if table.get("rule") not in RULES:
        raise UsageError(f"{where}: unknown rule {table.get('rule')!r}; `barrow-wheel check --rules` lists them")
    if not table.get("reason"):
        raise UsageError(f"{where}: needs a reason, so that the next reader can judge it")
    return Entry(**table)
