"""Which CPythons a project must serve, and finding them."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from conftest import WheelSpec

from barrow_wheel.cli.main import main
from barrow_wheel.errors import MissingToolError, UsageError
from barrow_wheel.facts.cpython import CPython
from barrow_wheel.pythons import ask, find_pythons, parse_python, resolve, resolve_all, wanted_pythons

HERE = CPython(sys.version_info.minor)


def fake_python(path: Path, minor: int, headers: bool = True, implementation: str = "cpython") -> Path:
    """A program that answers as an interpreter would; nothing else of it is ever used."""
    include = path.parent / f"include{minor}"
    answer = {
        "implementation": implementation, "version": [3, minor, 1], "free_threaded": False, "headers": headers,
        "ext_suffix": f".cpython-3{minor}-x86_64-linux-gnu.so", "soabi": f"cpython-3{minor}", "include": str(include),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(answer)}\nEOF\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_sources_of_the_range(tmp_path: Path) -> None:
    expected = (CPython(10), CPython(11), CPython(12))
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nrequires-python = ">=3.10,<3.13"\n')
    wheel = WheelSpec({}, requires_python=">=3.10,<3.13").write(tmp_path)
    for source in (str(project), str(tmp_path), str(wheel), ">=3.10,<3.13"):
        assert wanted_pythons(source) == expected
    assert CPython(13, True) in wanted_pythons("==3.13.*", free_threaded=True)


@pytest.mark.parametrize(
    "text",
    [
        "[project]\n",
        '[project]\ndynamic = ["requires-python"]\n',
        "[project\n",
        '[project]\nrequires-python = "x"\n',
        "[project]\nrequires-python = 3.10\n",
        "project = 3\n",
    ],
)
def test_projects_that_do_not_say(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError):
        wanted_pythons(str(tmp_path))


@pytest.mark.parametrize("source", ["not a specifier", ">=3.40", "absent.toml"])
def test_senseless_sources(source: str) -> None:
    with pytest.raises(UsageError):
        wanted_pythons(source)


def test_this_interpreter_describes_itself() -> None:
    import sysconfig

    interpreter = ask(Path(sys.executable), "test")
    assert interpreter is not None and interpreter.python == HERE
    assert interpreter.ext_suffix == sysconfig.get_config_var("EXT_SUFFIX")


def test_preference_for_headers_and_early_places(tmp_path: Path) -> None:
    bare = fake_python(tmp_path / "a/python3.10", 10, headers=False)
    whole = fake_python(tmp_path / "b/python3.10", 10)
    other = fake_python(tmp_path / "c/python3.12", 12)
    search = find_pythons([CPython(10), CPython(11), CPython(12)], [("x", bare), ("y", other), ("z", whole)])
    assert [(i.python.minor, i.path) for i in search.found] == [(10, whole), (12, other)]
    assert search.missing == (CPython(11),)


def test_what_is_no_cpython_is_passed_over(tmp_path: Path) -> None:
    pypy = fake_python(tmp_path / "pypy3", 10, implementation="pypy")
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    chatty = tmp_path / "chatty"
    chatty.write_text("#!/bin/sh\necho hello\n")
    chatty.chmod(0o755)
    assert [ask(path, "x") for path in (pypy, silent, chatty, tmp_path / "absent")] == [None] * 4


@pytest.mark.parametrize("answer", ["{}", "[]", "3", "null", '{"implementation": "cpython", "version": []}'])
def test_json_of_another_program_is_no_answer(answer: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    assert ask(program, "x") is None


def test_search_on_path_and_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_python(tmp_path / "pyenv/versions/3.11.9/bin/python3", 11)
    fake_python(tmp_path / "pyenv/versions/3.11.10/bin/python3", 11)
    (tmp_path / "pyenv/versions/3.11.²").mkdir()
    on_path = fake_python(tmp_path / "bin/python3.13", 13)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    search = find_pythons([CPython(13)])
    assert search.found[0].path == on_path
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    found = [
        p
        for origin, p in __import__("barrow_wheel.pythons", fromlist=["x"]).candidates([CPython(11)])
        if origin == "pyenv"
    ]
    assert [p.parts[-3] for p in found] == ["3.11.10", "3.11.9", "3.11.²"]


def test_formats_and_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = fake_python(tmp_path / "bin/python3.13", 13)
    monkeypatch.setattr("barrow_wheel.pythons.candidates", lambda wanted: iter([("PATH", fake)]))
    assert main(["pythons", "==3.13.*", "--format", "cmake"]) == 0
    assert capsys.readouterr().out == f"{fake}\n"
    assert main(["pythons", ">=3.12,<3.14", "--format", "json"]) == 4
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert data["missing"] == ["3.12"] and data["found"][0]["ext_suffix"].endswith(".so")
    assert "CPython 3.12" in captured.err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["pythons", ">=3.12,<3.14", "--install"]) == 4
    assert "needs uv" in capsys.readouterr().err


def test_requests_for_builds(tmp_path: Path) -> None:
    assert parse_python("3.13t") == CPython(13, True)
    assert [parse_python(text) for text in ("2.7", "3.", "3.²", f"3.{'9' * 5000}")] == [None] * 4
    whole = fake_python(tmp_path / "p10", 10)
    assert resolve([str(whole)])[0].python == CPython(10)
    with pytest.raises(MissingToolError, match="not a CPython 3 that runs"):
        resolve([str(tmp_path / "absent")])
    with pytest.raises(MissingToolError, match=r"headers of CPython 3\.11"):
        resolve([str(fake_python(tmp_path / "p11", 11, headers=False))])


def test_a_range_needs_headers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [("PATH", fake_python(tmp_path / f"p{minor}", minor, headers=minor == 10)) for minor in (10, 11)]
    monkeypatch.setattr("barrow_wheel.pythons.candidates", lambda wanted: iter(places))
    assert [i.python for i in resolve_all("==3.10.*")] == [CPython(10)]
    with pytest.raises(MissingToolError, match=r"CPython 3\.12, headers of CPython 3\.11"):
        resolve_all(">=3.10,<3.13")
