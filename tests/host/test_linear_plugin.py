"""Out-of-tree backends: the example package, built and installed as a user would, and packages that are wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from backend_choices import forget

from barrow.linear import Case, backends
from barrow.linear.target import NAMED

PACKAGE = Path(__file__).parents[2] / "examples" / "backend-package"

CHECK = """
import torch
from torch import nn
from barrow import Fp8Linear
from barrow.linear import backends, named

assert list(backends.registered()) == ["barrow", "abacus", "cublaslt", "triton", "cpu", "torch"]
linear = nn.Linear(300, 200)
layer = Fp8Linear.from_linear(linear)
found = layer.explain(5)
assert (found.backend, found.reason) == ("abacus", "the abacus, exact and slow"), found
x = torch.randn(3, 5, 300)
exact = Fp8Linear.from_linear(linear, backends=["torch"])(x)
torch.testing.assert_close(layer(x), exact, rtol=1e-4, atol=1e-4)
torch.testing.assert_close(torch.compile(layer, fullgraph=True)(x), exact, rtol=1e-4, atol=1e-4)
program = torch.export.export(layer, (x,), strict=False)
assert [str(node.target) for node in program.graph.nodes].count("abacus.linear.default") == 1

odd = Fp8Linear(300, 201).explain(5)
assert (odd.backend, odd.others["abacus"]) == ("cpu", "N is 201, not a multiple of 8")
assert Fp8Linear(300, 200, backends=["cpu"]).explain(5).others["abacus"] == "the preference leaves it out"
on_h100 = layer.explain(5, device=named("H100"))
assert on_h100.others["abacus"] == "an abacus has the host's memory, not that of H100"
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package installed in it."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", folder, PACKAGE], check=True)
    return folder


def test_the_example_package_is_found_chosen_and_run(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gone", "barrow_gone:BACKEND", r"'gone' \(barrow_gone:BACKEND\) cannot be loaded: ModuleNotFoundError"),
        ("pi", "math:pi", r"'pi' \(math:pi\) is 3\.14.*, not a barrow\.linear\.Backend of that name"),
        ("other", "barrow.linear.backends:KERNELS", r"'other' .* is Backend\(name='barrow'.*of that name"),
        ("barrow", "barrow.linear.backends:KERNELS", "'barrow' .* takes a name that is taken; rename it"),
    ],
)
def test_a_wrong_package_is_named(entry: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    point = EntryPoint(name=name, value=value, group=backends.ENTRY_POINTS)
    entry.setattr(backends, "entry_points", lambda group: [point])
    with pytest.raises(RuntimeError, match=message):
        backends.choose(Case(8, 8, target=NAMED["cpu"]))
