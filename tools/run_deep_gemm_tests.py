"""Runs DeepGEMM's own tests, unchanged, with `barrow.deep_gemm` in the place of `deep_gemm`, and reports the results.

    python tools/run_deep_gemm_tests.py DeepGEMM/tests --out docs/results/deep-gemm-tests-h100.md

DIR is the folder `tests` of DeepGEMM's repository; nothing is fetched. Needs a Hopper GPU and numpy. Tests of functions
that barrow lacks are reported as such and do not count as failures. The exit status is 1 if a test of functions that
barrow has fails, or none ran.
"""

import argparse
import contextlib
import hashlib
import importlib
import io
import random
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TextIO

import torch
from torch import Tensor

import barrow
import barrow.deep_gemm

# The tests of FP8 GEMM and of layouts of scales; the others are about functions of which barrow has none.
MODULES = ("test_fp8_fp4", "test_layout")


# What the tests print for each shape, after its checks.
CASE = "> Perf"


class Tee(io.TextIOBase):
    """Shows what a test prints while it runs, and keeps it."""

    def __init__(self, shown: TextIO) -> None:
        self.kept = io.StringIO()
        self._shown = shown

    def write(self, text: str) -> int:
        self._shown.write(text)
        return self.kept.write(text)

    def flush(self) -> None:
        self._shown.flush()

    def fileno(self) -> int:
        return self._shown.fileno()


def cublaslt_gemm_nt(a: Tensor, b: Tensor, d: Tensor, c: Tensor | None = None) -> None:
    """The product without scales, that the tests time for comparison and do not check: torch's call of cuBLASLt."""
    one = torch.ones((), device=a.device)
    product = torch._scaled_mm(a, b.T, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    d.copy_(product if c is None else product + c)


def stand_in() -> None:
    """Make `import deep_gemm`, and of its submodules, find barrow's."""
    vars(barrow.deep_gemm)["cublaslt_gemm_nt"] = cublaslt_gemm_nt
    for name, module in list(sys.modules.items()):
        if f"{name}.".startswith("barrow.deep_gemm."):
            sys.modules[name.removeprefix("barrow.")] = module


def tests_of(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        if name.startswith("test_") and getattr(value, "__module__", None) == module.__name__:
            yield name


def run(module: ModuleType, name: str) -> tuple[str, str, str]:
    """Result, cause and output of one test."""
    torch.manual_seed(0)
    random.seed(0)
    tee = Tee(sys.stdout)
    try:
        with contextlib.redirect_stdout(tee):
            getattr(module, name)()
    except NotImplementedError as error:
        return "not in barrow", str(error), tee.kept.getvalue()
    except Exception as error:
        traceback.print_exc()
        return "FAILED", f"{type(error).__name__}: {error}", tee.kept.getvalue()
    output = tee.kept.getvalue()
    # Some tests skip themselves on a GPU that they are not for.
    return ("passed" if CASE in output else "ran nothing"), "", output


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, help="where to write the report, Markdown")
    options = parser.parse_args()
    missing = [name for name in (*MODULES, "generators") if not (options.dir / f"{name}.py").is_file()]
    if missing:
        parser.error(f"{options.dir} has no {', '.join(f'{name}.py' for name in missing)}; pass DeepGEMM's tests/")

    stand_in()
    sys.path.insert(0, str(options.dir))
    rows, outputs, results = [], [], []
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in tests_of(module):
            start = time.perf_counter()
            result, cause, output = run(module, name)
            seconds = time.perf_counter() - start
            results.append(result)
            cases = output.count(CASE)
            rows.append(f"| {module_name}.{name} | {result} | {cases} | {seconds:.0f} | {cause.replace('|', '/')} |")
            if output.strip():
                outputs.append(f"## {module_name}.{name}\n\n```\n{output.strip()}\n```\n")
            print(rows[-1], flush=True)

    report = [
        "# DeepGEMM's own tests with barrow.deep_gemm in its place",
        "",
        f"barrow {barrow.__version__}, torch {torch.__version__}, "
        + (torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"),
        "",
        "The tests are unchanged: " + ", ".join(f"{path.name} {digest(path)}" for path in sources(options.dir)),
        "(first 12 digits of the SHA-256). `cases` counts the shapes that a test went through to its timing; what it",
        "calls cuBLAS is torch's `_scaled_mm`. `not in barrow` names the function at which a test ended.",
        "",
        "| test | result | cases | seconds | cause |",
        "|---|---|---|---|---|",
        *rows,
        "",
        *outputs,
    ]
    if options.out is not None:
        options.out.write_text("\n".join(report))
    return 1 if "FAILED" in results or "passed" not in results else 0


def sources(folder: Path) -> list[Path]:
    return [folder / f"{name}.py" for name in ("generators", *MODULES)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
