"""Writes docs/rules.md from the table in src/barrow_wheel/rules.py."""

from __future__ import annotations

import sys
from pathlib import Path

from barrow_wheel.rules import RULES

DOCUMENT = Path(__file__).parents[1] / "docs/rules.md"
_HEAD = """# Rules

Written by `tools/generate_rules_doc.py` from `src/barrow_wheel/rules.py`. The severity is the highest that a rule
gives; a finding can be milder where its file is optional.

"""


def rules_document() -> str:
    parts = [_HEAD]
    for rule in RULES.values():
        parts.append(f"## {rule.name}\n\n*{rule.severity}*: {rule.summary}.\n\n{rule.why}\n\n")
        parts.append(f"**What to do:** {rule.remedy}\n\n")
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(rules_document())
    sys.exit(0)
