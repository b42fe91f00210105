"""`barrow-wheel pythons`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from barrow_wheel.errors import EXIT_CLEAN, MissingToolError
from barrow_wheel.pythons import Interpreter, Search, find_pythons, install_pythons, wanted_pythons

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Subparsers) -> None:
    command = commands.add_parser(
        "pythons",
        help="the CPythons that requires-python covers, and where they are",
        description="Lists the CPythons that a project must serve and finds each on this machine.",
    )
    command.add_argument("source", help="a pyproject.toml, a project folder, a wheel, or a specifier such as '>=3.10'")
    command.add_argument(
        "--format",
        choices=["table", "cmake", "json", "lines"],
        default="table",
        help="cmake: paths as a CMake list; lines: one path a line (default: table)",
    )
    command.add_argument("--free-threaded", action="store_true", help="the free-threaded builds as well")
    command.add_argument("--install", action="store_true", help="install missing ones with uv")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    wanted = wanted_pythons(options.source, options.free_threaded)
    search = find_pythons(wanted)
    if search.missing and options.install:
        install_pythons(search.missing)
        search = find_pythons(wanted)
    sys.stdout.write(_FORMATS[options.format](search))
    if search.missing:
        raise MissingToolError(
            f"not on this machine: CPython {', '.join(map(str, search.missing))}; "
            "install them, or use --install (needs uv)"
        )
    return EXIT_CLEAN


def _table(search: Search) -> str:
    lines = []
    found = {interpreter.python: interpreter for interpreter in search.found}
    for python in search.wanted:
        one = found.get(python)
        if one is None:
            lines.append(f"{python!s:6} missing")
        else:
            headers = "" if one.headers else "  (no Python.h)"
            version = ".".join(map(str, one.version))
            lines.append(f"{python!s:6} {version:8} {one.path}  [{one.origin}]  {one.ext_suffix}{headers}")
    return "\n".join(lines) + "\n"


def _json(search: Search) -> str:
    data = {"found": [_entry(one) for one in search.found], "missing": [str(python) for python in search.missing]}
    return json.dumps(data, indent=2) + "\n"


def _entry(one: Interpreter) -> dict[str, object]:
    return {
        "python": str(one.python),
        "version": ".".join(map(str, one.version)),
        "path": str(one.path),
        "include": str(one.include),
        "ext_suffix": one.ext_suffix,
        "soabi": one.soabi,
        "headers": one.headers,
        "origin": one.origin,
    }


def _cmake(search: Search) -> str:
    return ";".join(one.path.as_posix() for one in search.found) + "\n"


def _lines(search: Search) -> str:
    return "".join(f"{one.path}\n" for one in search.found)


_FORMATS = {"table": _table, "json": _json, "cmake": _cmake, "lines": _lines}
