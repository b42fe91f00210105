"""The command line: exit codes, messages, and that only it prints."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CSource, WheelSpec

import barrow_wheel
from barrow_wheel.cli.main import main
from barrow_wheel.rules import RULES

PACKAGE = Path(barrow_wheel.__file__).parent
STABLE = CSource(exports=("PyInit__C",), calls=("PyLong_FromLong",))
PRIVATE = CSource(exports=("PyInit__C",), calls=("_PyObject_GetDictPtr",))
Make = Callable[[CSource], bytes]


@pytest.fixture
def good(compile_so: Make, tmp_path: Path) -> str:
    return str(WheelSpec({"demo/_C.abi3.so": compile_so(STABLE)}).write(tmp_path))


@pytest.fixture
def bad(compile_so: Make, tmp_path: Path) -> str:
    return str(WheelSpec({"demo/_C.abi3.so": compile_so(PRIVATE)}, name="bad").write(tmp_path))


def test_exit_codes(good: str, bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip")
    assert main(["check", good]) == 0
    assert main(["check", bad]) == 1
    assert main(["check", good, bad]) == 1
    assert main(["check", str(broken)]) == 3
    assert main(["check", str(tmp_path / "absent.whl")]) == 3
    assert main(["check", "no-such-distribution-at-all"]) == 3
    assert main(["check", good, "--gpu", "voodoo2"]) == 2
    assert main(["check"]) == 2
    assert main(["check", good, "--json", "-", "--sarif", "-"]) == 2
    with pytest.raises(SystemExit) as usage:
        main(["chekc"])
    assert usage.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_fail_on(compile_so: Make, tmp_path: Path) -> None:
    path = str(WheelSpec({"demo/_C.abi3.so": compile_so(STABLE)}, tag="cp312-abi3-linux_x86_64").write(tmp_path))
    assert main(["check", path]) == 0
    assert main(["check", path, "--fail-on", "warning"]) == 1


def test_outputs(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["check", bad, "--json", "-", "--html", str(tmp_path / "p.html"), "--sarif", str(tmp_path / "s.json")])
        == 1
    )
    assert json.loads(capsys.readouterr().out)["wheels"][0]["findings"][0]["rule"] == "abi3-unstable-symbol"
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "s.json").read_text())["version"] == "2.1.0"


def test_allowlist_file(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    allow = tmp_path / "allow.toml"
    allow.write_text('[[allow]]\nrule = "abi3-unstable-symbol"\nfile = "demo/*"\nreason = "tested on every release"\n')
    assert main(["check", bad, "--allow", str(allow)]) == 0
    assert "1 excused" in capsys.readouterr().out
    for text in (
        '[[allow]]\nrule = "no-such-rule"\nreason = "x"\n',
        '[[allow]]\nrule = "rpath-outside"\n',
        "[[allow]\n",
        "x = 1\n",
        '[[allow]]\nrule = "rpath-outside"\nreason = "x"\nfiles = "y"\n',
        "[[allow]]\nrule = 1\n",
    ):
        allow.write_text(text)
        assert main(["check", bad, "--allow", str(allow)]) == 2


def test_folders_and_unpacked_wheels(good: str, bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert Path(good).name in out and Path(bad).name in out
    unpacked = tmp_path / "unpacked"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", good, str(unpacked)], check=True)
    assert main(["check", str(unpacked)]) == 0
    assert main(["check", str(PACKAGE)]) == 3


def test_installed_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is installed here is read without being imported."""
    assert main(["check", "packaging"]) == 0
    assert "(installed)" in capsys.readouterr().out


def test_an_editable_installation_has_nothing_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(WheelSpec({"demo.pth": b"/src"}, name="demo_editable").write(tmp_path)) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    origin = tmp_path / "site/demo_editable-1.0.dist-info/direct_url.json"
    origin.write_text('{"url": "file:///src", "dir_info": {}}')
    assert main(["check", "demo_editable"]) == 0
    origin.write_text('{"url": "file:///src", "dir_info": {"editable": true}}')
    assert main(["check", "demo_editable"]) == 3
    assert "editable mode" in capsys.readouterr().err


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--rules"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RULES)


def test_the_check_imports_neither_torch_nor_the_host_package() -> None:
    code = "import sys, barrow_wheel.cli.main; print([m for m in ('torch', 'barrow', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_the_cli_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "cli" in path.parts or path.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", path


def test_nothing_executes_what_it_reads() -> None:
    """The reading half of the package starts no program and evaluates nothing."""
    for path in [
        *PACKAGE.glob("readers/*.py"),
        *PACKAGE.glob("checks/*.py"),
        *PACKAGE.glob("report/*.py"),
        PACKAGE / "check.py",
    ]:
        text = path.read_text()
        for word in ("subprocess", "eval(", "exec(", "import_module", "__import__", "extractall", ".extract("):
            assert word not in text, (path, word)


def test_the_table_of_rules_in_the_docs_is_current() -> None:
    """Regenerate with tools/generate_rules_doc.py."""
    project = Path(__file__).parents[1]
    sys.path.insert(0, str(project / "tools"))
    try:
        from generate_rules_doc import rules_document
    finally:
        sys.path.pop(0)
    assert (project / "docs/rules.md").read_text() == rules_document()


def test_what_the_output_encoding_lacks_is_replaced(good: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "barrow_wheel", "check", good]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, check=False)
    assert done.returncode == 0 and b"? nothing found" in done.stdout and not done.stderr


def test_file_names_that_are_not_utf8(compile_so: Make, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"un\xffpacked")
    path = WheelSpec({"demo/_C.abi3.so": compile_so(PRIVATE)}).write(tmp_path)
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(path), str(folder)], check=True)
    (folder / "demo/_C.abi3.so").rename(folder / os.fsdecode(b"demo/_C\xff.abi3.so"))
    (folder / os.fsdecode(b"demo/\xff.so")).write_bytes(b"no binary")
    outputs = [f"--{name}={tmp_path / name}" for name in ("json", "sarif", "html")]
    assert main(["check", str(folder), *outputs]) == 1
    assert json.loads((tmp_path / "json").read_text())["wheels"][0]["name"] == folder.name
    assert "un%FFpacked" in (tmp_path / "sarif").read_text() and "un?packed" in (tmp_path / "html").read_text()


def test_a_folder_without_wheels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even where a folder within has some: which are meant has to be said."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/demo-1.0-py3-none-any.whl").touch()
    assert main(["check", str(tmp_path)]) == 3
    assert "holds neither a *.whl nor" in capsys.readouterr().err


def test_a_file_where_a_folder_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("")
    for command in (["merge", "a.whl"], ["build-ext", "--name", "_C", "a.cpp"]):
        with pytest.raises(SystemExit) as usage:
            main([*command, "--out", str(tmp_path / "taken")])
        assert usage.value.code == 2
        assert f"--out: {tmp_path / 'taken'} is a file" in capsys.readouterr().err


def test_a_path_that_the_system_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{'x' * 300}.whl"]) == 2
    error = capsys.readouterr().err
    assert "too long" in error and len(error.splitlines()) == 1


def test_a_bug_has_an_exit_code_of_its_own(
    good: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("barrow_wheel.cli.check.check", broken)
    assert main(["check", good]) == 70
    error = capsys.readouterr().err
    assert "Traceback" in error and error.endswith("failed with KeyError; please report this\n")
