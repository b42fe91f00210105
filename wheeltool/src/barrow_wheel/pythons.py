"""The CPythons that a project must serve, and where each is on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from barrow_wheel.check import read_archive
from barrow_wheel.errors import BuildError, MissingToolError, UsageError
from barrow_wheel.facts.cpython import CPython, covered

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Runs in the interpreter that is asked, isolated (-I) and without site (-S): nothing installed there can interfere.
_QUESTION = """
import json, sys, sysconfig, os
v = sysconfig.get_config_var
include = sysconfig.get_path("include")
print(json.dumps({
    "implementation": sys.implementation.name, "version": list(sys.version_info[:3]),
    "free_threaded": bool(v("Py_GIL_DISABLED")), "ext_suffix": v("EXT_SUFFIX"), "soabi": v("SOABI"),
    "include": include, "headers": os.path.exists(os.path.join(include, "Python.h")),
}))
"""
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One CPython on this machine. `headers` tells whether Python.h is really there."""

    python: CPython
    version: tuple[int, int, int]
    path: Path
    include: Path
    ext_suffix: str
    soabi: str
    headers: bool
    origin: str


@dataclass(frozen=True, slots=True)
class Search:
    """What was wanted, in order, and what was found for it."""

    wanted: tuple[CPython, ...]
    found: tuple[Interpreter, ...]

    @property
    def missing(self) -> tuple[CPython, ...]:
        have = {interpreter.python for interpreter in self.found}
        return tuple(python for python in self.wanted if python not in have)


def wanted_pythons(source: str, free_threaded: bool = False) -> tuple[CPython, ...]:
    """The CPythons of a pyproject.toml (or its folder), a wheel, or a specifier such as `>=3.10,<3.15`."""
    spec = _specifier(source)
    pythons = covered(spec, free_threaded)
    if not pythons:
        raise UsageError(f"{source}: Requires-Python {spec} covers no CPython that exists")
    return pythons


def _specifier(source: str) -> SpecifierSet | None:
    path = Path(source)
    if path.suffix == ".whl":
        return read_archive(path).metadata.requires_python
    if path.is_dir():
        path = path / "pyproject.toml"
    if path.suffix == ".toml":
        return _of_pyproject(path)
    try:
        return SpecifierSet(source)
    except InvalidSpecifier as error:
        raise UsageError(
            f"{source}: is neither a pyproject.toml, nor a wheel, nor a specifier such as '>=3.10'"
        ) from error


def _of_pyproject(path: Path) -> SpecifierSet:
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if not isinstance(project, dict):
        raise UsageError(f"{path}: project is {project!r}, needs to be a table: write [project]")
    text = project.get("requires-python")
    if not text:
        dynamic = "requires-python" in project.get("dynamic", [])
        hint = "it is dynamic; build the wheel and give that" if dynamic else "add one to [project]"
        raise UsageError(f"{path}: states no requires-python: {hint}")
    if not isinstance(text, str):
        raise UsageError(f"{path}: requires-python is {text!r}, needs to be a specifier in quotes such as '>=3.10'")
    try:
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise UsageError(f"{path}: requires-python {text!r} is no specifier") from error


def parse_python(text: str) -> CPython | None:
    """CPython 3.13 free-threaded of `3.13t`; None when the text is no version."""
    # No more digits than int() takes.
    version = re.fullmatch(r"3\.(\d{1,4})(t?)", text, re.ASCII)
    return CPython(int(version[1]), bool(version[2])) if version is not None else None


def ask(path: Path, origin: str) -> Interpreter | None:
    """What the interpreter at `path` says of itself; None when it does not run or is no CPython 3."""
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        answer = json.loads(done.stdout)
        if answer["implementation"] != "cpython" or answer["version"][0] != 3 or not answer["ext_suffix"]:
            return None
        return Interpreter(
            python=CPython(answer["version"][1], answer["free_threaded"]),
            version=tuple(answer["version"]),
            path=path,
            include=Path(answer["include"]),
            ext_suffix=answer["ext_suffix"],
            soabi=answer["soabi"] or "",
            headers=answer["headers"],
            origin=origin,
        )
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        # Lookup and type: any other program may print JSON of another shape.
        return None


def find_pythons(wanted: Sequence[CPython], places: Iterable[tuple[str, Path]] | None = None) -> Search:
    """Looks for each wanted CPython; one with headers wins over one without, an earlier place over a later one."""
    best: dict[CPython, Interpreter] = {}
    asked: set[Path] = set()
    for origin, path in places if places is not None else candidates(wanted):
        try:
            real = path.resolve(strict=True)
        except OSError:
            continue
        # A virtual environment's python is a link to its base, and answers the same.
        if real in asked or all(p in best and best[p].headers for p in wanted):
            continue
        asked.add(real)
        interpreter = ask(path, origin)
        if interpreter is None or interpreter.python not in wanted:
            continue
        known = best.get(interpreter.python)
        if known is None or (interpreter.headers and not known.headers):
            best[interpreter.python] = interpreter
    return Search(tuple(wanted), tuple(best[p] for p in wanted if p in best))


def candidates(wanted: Sequence[CPython]) -> Iterator[tuple[str, Path]]:
    """Executables that may be a wanted CPython, in order of preference: PATH, pyenv, uv, standard places."""
    names = [f"python{python}" for python in wanted] + ["python3", "python"]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        # pyenv's shims start whatever the current folder selects; the versions themselves come next.
        if folder and "shims" not in Path(folder).parts:
            yield from (("PATH", Path(folder, name)) for name in names)
    home = Path.home()
    roots = (
        ("pyenv", Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"),
        ("uv", Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")),
        ("manylinux image", Path("/opt/python")),
        ("python.org", Path("/Library/Frameworks/Python.framework/Versions")),
    )
    for origin, root in roots:
        if root.is_dir():
            # Newest patch release first.
            for version in sorted(root.iterdir(), key=lambda f: _natural(f.name), reverse=True):
                yield origin, version / "bin" / "python3"
    for folder_name in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"):
        yield from (("standard place", Path(folder_name, name)) for name in names)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.replace("-", ".").split(".")]


def install_pythons(missing: Sequence[CPython]) -> None:
    """Installs CPythons with uv. Raises MissingToolError without uv, BuildError when it fails."""
    uv = shutil.which("uv")
    if uv is None:
        raise MissingToolError("--install needs uv on PATH (pip install uv), or install the interpreters yourself")
    done = subprocess.run([uv, "python", "install", *map(_uv_name, missing)], check=False, stdout=sys.stderr)
    if done.returncode:
        raise BuildError(f"uv python install failed for {', '.join(map(str, missing))}")


def _uv_name(python: CPython) -> str:
    return f"3.{python.minor}{'+freethreaded' if python.free_threaded else ''}"


def resolve(requests: Sequence[str]) -> tuple[Interpreter, ...]:
    """Interpreters for versions (`3.12`, `3.13t`) and paths, in order. Raises MissingToolError for what is missing."""
    found: list[Interpreter] = []
    problems: list[str] = []
    for request in requests:
        version = parse_python(request)
        if version is not None:
            search = find_pythons([version])
            found += search.found
            problems += [f"CPython {python}" for python in search.missing]
        else:
            interpreter = ask(Path(request), "argument")
            if interpreter is None:
                problems.append(f"{request} (not a CPython 3 that runs)")
            else:
                found.append(interpreter)
    remedy = "install them (`barrow-wheel pythons SPEC --install`, a -dev package) or give paths of interpreters"
    return _complete(found, problems, remedy)


def resolve_all(source: str) -> tuple[Interpreter, ...]:
    """Interpreters for every CPython that `source` covers. Raises MissingToolError naming those not on this machine."""
    search = find_pythons(wanted_pythons(source))
    remedy = f"install them (`barrow-wheel pythons '{source}' --install`, a -dev package) or choose with --python"
    return _complete(search.found, [f"CPython {python}" for python in search.missing], remedy)


def _complete(found: Sequence[Interpreter], missing: Sequence[str], remedy: str) -> tuple[Interpreter, ...]:
    """`found`, where nothing is missing, headers included."""
    problems = [*missing, *(f"headers of CPython {i.python} ({i.include})" for i in found if not i.headers)]
    if problems:
        raise MissingToolError(f"missing: {', '.join(problems)}; {remedy}")
    return tuple(found)
