"""Proves build-ext and merge on a real torch extension, and times them. Heavy: not part of the test suite.

    python tools/prove_torch_extension.py [--write docs/results/build-ext.md] INTERPRETER...

The interpreter that runs this needs torch (its headers and libraries are what is compiled against) and this package.
Each INTERPRETER must have a torch of the same version installed, because the extension uses the C++ ABI. What is done:

1. examples/torch_extension is built for all of them, once one after the other, once in one call; both from nothing.
2. A wheel is packed for each, the wheels are merged, and the merged wheel is checked.
3. On each, pip installs the merged wheel, and the extension is imported and gives the right numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from hashlib import sha256
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples/torch_extension"
SOURCES = [str(EXAMPLE / "binding.cpp"), str(EXAMPLE / "rowwise.cpp")]
TOOL = [sys.executable, "-m", "barrow_wheel"]
RUN = """
import torch, rowwise._C as extension
result = extension.scale_rows(torch.ones(2, 3), torch.tensor([1.0, 2.0]))
assert result.tolist() == [[1.0] * 3, [2.0] * 3], result
try:
    extension.scale_rows(torch.ones(2), torch.ones(2))
except RuntimeError as error:
    assert "has 1 dimensions, needs 2" in str(error)
else:
    raise SystemExit("no error for a wrong shape")
print("torch", torch.__version__, extension.__file__.rpartition("/")[2])
"""


def build(pythons: list[str], folder: Path) -> float:
    """Seconds of wall time of one build-ext call from nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [*TOOL, "build-ext", "--name", "_C", "--torch", "--out", str(folder / "out"), *SOURCES]
    command += [part for python in pythons for part in ("--python", python)]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def pack(module: Path, tag: str, folder: Path) -> Path:
    """A wheel around one module."""
    contents = {
        "rowwise/__init__.py": b"",
        f"rowwise/{module.name}": module.read_bytes(),
        "rowwise-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: rowwise\nVersion: 1.0\n"
        b"Requires-Python: >=3.10\nRequires-Dist: torch==2.13.*\n",
        "rowwise-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in contents.items())
    contents["rowwise-1.0.dist-info/RECORD"] = (record + "rowwise-1.0.dist-info/RECORD,,\n").encode()
    path = folder / f"rowwise-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in contents.items():
            archive.writestr(member, data)
    return path


def _digest(data: bytes) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interpreters", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="torch-extension-"))
    one_by_one, together = [], []
    for _ in range(options.rounds):
        one_by_one.append(sum(build([python], work / "single") for python in options.interpreters))
        together.append(build(options.interpreters, work / "all"))
    wheels = []
    for module in sorted((work / "all/out").iterdir()):
        python = module.name.split("-")[1]
        wheels.append(pack(module, f"cp{python}-cp{python}-linux_x86_64", work))
    subprocess.run([*TOOL, "merge", "-o", str(work / "merged"), *map(str, wheels)], check=True)
    (merged,) = (work / "merged").glob("*.whl")
    report = json.loads(
        subprocess.run([*TOOL, "check", str(merged), "--json", "-"], check=False, capture_output=True, text=True).stdout
    )
    matrix = report["wheels"][0]["matrix"]
    cells = zip(matrix["pythons"], matrix["modules"][0]["cells"], strict=True)
    middle = options.rounds // 2
    lines = [
        "# One torch extension for several CPythons",
        "",
        "Written by `tools/prove_torch_extension.py` for `examples/torch_extension` (pybind11, torch's C++ API).",
        "",
        f"- one build-ext call a CPython, one after the other: {_figures(one_by_one)}",
        f"- one build-ext call for all {len(options.interpreters)}: {_figures(together)}",
        f"- ratio of the medians: {sorted(one_by_one)[middle] / sorted(together)[middle]:.2f} "
        f"({os.cpu_count()} processors)",
        "",
        f"Merged into `{merged.name}`; matrix: {', '.join(f'{python} {cell}' for python, cell in cells)}",
        "",
        "Installed with pip and imported:",
        "",
    ]
    for number, python in enumerate(options.interpreters):
        target = work / f"site{number}"
        pip = [python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target), str(merged)]
        subprocess.run(pip, check=True)
        environment = {**os.environ, "PYTHONPATH": str(target)}
        done = subprocess.run(
            [python, "-W", "ignore", "-c", RUN], capture_output=True, text=True, env=environment, check=True
        )
        lines.append(f"- {done.stdout.strip()}")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        options.write.write_text(text)
    return 0


def _figures(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.1f} s (median of {len(ordered)}, {ordered[0]:.1f} to {ordered[-1]:.1f})"


if __name__ == "__main__":
    sys.exit(main())
