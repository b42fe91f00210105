"""The commands that README and recipes show exist as shown."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from barrow_wheel.cli.main import parser
from barrow_wheel.rules import RULES

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "recipes").iterdir())]


def shown_commands() -> list[str]:
    found = []
    for document in DOCUMENTS:
        for line in document.read_text(encoding="utf-8").splitlines():
            match = re.match(r"^\s*(?:\$ |- run: |entry: |\")?(barrow-wheel [a-z][^\"`|]*)\"?,?$", line)
            if match:
                found.append(match[1])
    return found


@pytest.mark.parametrize("command", shown_commands())
def test_shown_commands_parse(command: str) -> None:
    parser().parse_args(shlex.split(command)[1:])


def test_enough_commands_are_shown() -> None:
    assert {command.split()[1] for command in shown_commands()} == {"check", "pythons", "build-ext", "merge", "doctor"}


def test_rules_named_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r'^rule = "([^"]+)"', text, re.M)) <= set(RULES)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in the standard library from 3.11 on")
def test_toml_examples_are_toml() -> None:
    import tomllib

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S):
        assert tomllib.loads(block)["allow"]
    recipe = tomllib.loads((ROOT / "recipes/cibuildwheel.toml").read_text())
    assert any("barrow-wheel check {wheel}" in c for c in recipe["tool"]["cibuildwheel"]["audit-command"])
