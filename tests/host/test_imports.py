"""Who may import whom: the one-way flow of docs/architecture.md, held against the sources."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

# A package, or the module that runs one, and the packages it may import, itself aside.
TABLE = {
    "barrow.launcher": set(),
    "barrow.ops": {"barrow.launcher"},
    "barrow.linear": {"barrow.ops", "barrow.launcher"},
    "barrow.experts": {"barrow.linear", "barrow.ops"},
    "barrow.bench": {
        "barrow.checkpoint",
        "barrow.experts",
        "barrow.linear",
        "barrow.ops",
        "barrow.launcher",
        "barrow",
    },
    "barrow.tune": {"barrow.bench", "barrow.ops", "barrow.launcher"},
    "barrow.deep_gemm": {"barrow.ops"},
    "barrow.integrations": {"barrow.deep_gemm", "barrow.ops"},
    "barrow.checkpoint": {"barrow.experts", "barrow.linear", "barrow.ops"},
    "barrow.parallel": {"barrow.experts", "barrow.linear", "barrow.ops"},
    "barrow.cli": {
        "barrow.tune",
        "barrow.bench",
        "barrow.checkpoint",
        "barrow.linear",
        "barrow.ops",
        "barrow.launcher",
        "barrow",
    },
    "barrow.__main__": {"barrow.cli"},
    "barrow": {"barrow.experts", "barrow.linear", "barrow.ops", "barrow.launcher"},
    "barrow_build.config": set(),
    "barrow_build.aot": {"barrow_build.config"},
    "barrow_build": set(),
}


def package_of(module: str) -> str | None:
    """The row of the table that a module belongs to; None for other projects' modules."""
    return next((p for p in sorted(TABLE, key=len, reverse=True) if f"{module}.".startswith(f"{p}.")), None)


def imports(path: Path) -> set[str]:
    """Absolute names of all modules imported by a file, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute in this project"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(path for suffix in ("*.py", "*.pyi") for path in SOURCE.rglob(suffix))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_follow_the_table(path: Path) -> None:
    module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    package = package_of(module)
    assert package is not None, f"{module} is in no package of the table"
    used = {found: package_of(found) for found in imports(path)}
    wrong = {name for name, other in used.items() if other not in (None, package, *TABLE[package])}
    assert not wrong, f"{package} may import {sorted(TABLE[package])}, but {module} imports {sorted(wrong)}"
    if package.startswith("barrow_build"):
        assert not {name for name in used if name.split(".")[0] == "torch"}, "a build must not import torch"


def test_every_package_of_the_table_exists() -> None:
    paths = {package: SOURCE / package.replace(".", "/") for package in TABLE}
    assert [name for name, path in paths.items() if not path.is_dir() and not path.with_suffix(".py").is_file()] == []


def test_device_code_includes_no_torch() -> None:
    kernels = SOURCE.parent / "kernels"
    sources = [path for path in kernels.rglob("*") if path.is_file()]
    assert len(sources) > 1
    assert [path.name for path in sources if "torch/" in path.read_text()] == []
