"""Runs `barrow-wheel check` on real wheels from the package index: known verdicts, and a look for false alarms.

    python tools/check_real_wheels.py CACHE_DIR [--write docs/results/real-wheels.md]

Downloads about 2.5 GB into CACHE_DIR once (`pip download`, nothing is installed). Not part of the test suite. Exits
with 1 when a known verdict does not come out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PLATFORMS = ("2_35", "2_28", "2_27", "2_26", "2_24", "2_17")


@dataclass(frozen=True)
class Expected:
    """A wheel whose verdict was established by hand with readelf, nm and cuobjdump."""

    requirement: str
    verdict: str
    holds: Callable[[dict[str, Any]], bool]


def _rules(wheel: dict[str, Any], severity: str | None = None) -> set[str]:
    return {f["rule"] for f in wheel["findings"] if severity in (None, f["severity"])}


def _loaders(wheel: dict[str, Any]) -> set[str]:
    return {module["loaded_by"] for module in wheel["matrix"]["modules"]}


def _codes(wheel: dict[str, Any]) -> set[str]:
    return {f"{c['kind']}{c['arch']}{c['variant']}" for file in wheel["device_code"] for c in file["cuda"]}


def _vllm(wheel: dict[str, Any]) -> bool:
    missing = [f for f in wheel["findings"] if f["rule"] == "matrix-missing-cell"]
    return (
        _rules(wheel, "error") == {"matrix-missing-cell"}
        and len(missing) == 1
        and missing[0]["file"].startswith("vllm/third_party/deep_gemm/_C.cpython-312")
        and missing[0]["message"].endswith("3.10, 3.11, 3.13, 3.14")
        and "uses 7 symbols" in missing[0]["evidence"][1]
        and "PyGen_Type" in missing[0]["evidence"][1]
        and {"tag-mismatch", "toolkit-at-run-time"} <= _rules(wheel, "warning")
    )


def _xformers(wheel: dict[str, Any]) -> bool:
    hidden = [f for f in wheel["findings"] if f["rule"] == "cuda-library-undeclared"]
    return (
        _loaders(wheel) == {"torch.ops"}
        and not _rules(wheel, "error")
        and len(hidden) == 1
        and "libcudart.so.12" in hidden[0]["message"]
        and [t["minimum"] for t in wheel["torch"]] == ["2.10"]
        and _codes(wheel) == {"cubin75", "cubin80", "cubin90a", "ptx80"}
    )


def _torchao(wheel: dict[str, Any]) -> bool:
    undeclared = [f["message"] for f in wheel["findings"] if f["rule"] == "torch-requirement-missing"]
    return (
        _loaders(wheel) == {"torch.ops"}
        and not _rules(wheel, "error")
        and not any(rule.startswith(("matrix", "abi3")) for rule in _rules(wheel))
        and len(undeclared) == 1
        and "torch >= 2.11" in undeclared[0]
    )


def _bitsandbytes(wheel: dict[str, Any]) -> bool:
    layouts = {c["elf_abi"] for file in wheel["device_code"] for c in file["cuda"] if c["kind"] == "cubin"}
    return _loaders(wheel) == {"ctypes / linked"} and not _rules(wheel, "error") and layouts == {7, 8}


KNOWN = (
    Expected("vllm==0.20.2", "broken: deep_gemm._C is a cp312 file only, and no abi3 candidate", _vllm),
    Expected("xformers==0.0.35", "right: no import inside, torch >= 2.10; hidden need of libcudart.so.12", _xformers),
    Expected("torchao==0.18.0", "right in spite of a cp310 name; torch >= 2.11 undeclared", _torchao),
    Expected("bitsandbytes==0.50.2", "right: ctypes only, one library per CUDA, both cubin layouts", _bitsandbytes),
)
# fmt: off
OTHERS = [
    "numpy", "scipy", "pandas", "pillow", "lxml", "cryptography", "bcrypt", "psutil", "pydantic-core", "orjson",
    "rpds-py", "tokenizers", "safetensors", "tiktoken", "sentencepiece", "hf-xet", "polars", "pyarrow", "protobuf",
    "grpcio", "pyzmq", "h5py", "numba", "llvmlite", "matplotlib", "opencv-python-headless", "PySide6-Essentials",
    "PyQt6", "faiss-cpu", "xgboost", "ruff", "uv", "cmake", "triton", "torchaudio", "torchvision", "torchcodec",
    "xgrammar", "apache-tvm-ffi", "tilelang", "flashinfer-python", "sgl-kernel", "sglang-kernel", "vllm==0.33.0",
    "aphrodite-engine", "autoawq-kernels", "lmcache", "exllamav3", "cupy-cuda12x", "rmm-cu12", "ucxx-cu12",
    "onnxruntime-gpu", "jaxlib", "jax-cuda12-plugin", "cuda-bindings", "nvidia-cublas-cu12",
    "nvidia-cuda-runtime-cu12", "nvidia-nccl-cu12", "nvidia-dali-cuda120", "ctranslate2", "scikit-learn", "spacy",
    "lightgbm", "catboost", "duckdb", "ray", "uvloop", "shapely", "playwright", "xformers==0.0.33", "vllm==0.21.0",
    "humming-kernels", "transformer-engine-cu12", "paddlepaddle", "torch==2.13.0", "nvidia-nvshmem-cu12", "shiboken6",
]
# fmt: on


def download(requirement: str, cache: Path) -> Path | None:
    """The wheel of a requirement for CPython 3.12 on x86-64 Linux, from the cache where it is there."""
    folder = cache / requirement.replace("==", "-")
    have = sorted(folder.glob("*.whl"))
    if not have:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
        command += [
            "--python-version",
            "3.12",
            "--implementation",
            "cp",
            "--abi",
            "cp312",
            "--abi",
            "abi3",
            "--abi",
            "none",
        ]
        command += [part for p in _PLATFORMS for part in ("--platform", f"manylinux_{p}_x86_64")]
        command += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux1_x86_64"]
        subprocess.run([*command, requirement], check=False, capture_output=True)
        have = sorted(folder.glob("*.whl"))
    return have[0] if have else None


def run(path: Path) -> tuple[dict[str, Any], float, int]:
    """The JSON report of one wheel, seconds of wall time, and peak memory in MiB of the process."""
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "barrow_wheel", "check", str(path), "--json", "-"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{path.name}: exit code {process.returncode}")
    return json.loads(text)["wheels"][0], time.monotonic() - started, usage.ru_maxrss // 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    lines = [
        "| wheel | MB | s | MiB | known verdict | as known | errors | warnings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    wrong = 0
    for expected in (*KNOWN, *(Expected(name, "", lambda wheel: True) for name in OTHERS)):
        path = download(expected.requirement, options.cache)
        if path is None:
            lines.append(f"| {expected.requirement} | | | | not on the index for this platform | | | |")
            wrong += bool(expected.verdict)
            continue
        wheel, seconds, memory = run(path)
        holds = expected.holds(wheel)
        wrong += not holds
        mark = ("yes" if holds else "**no**") if expected.verdict else ""
        rules = [", ".join(sorted(_rules(wheel, severity))) for severity in ("error", "warning")]
        name = "-".join(path.name.split("-")[:2])
        cells = [
            name,
            f"{path.stat().st_size / 1e6:.0f}",
            f"{seconds:.1f}",
            str(memory),
            expected.verdict,
            mark,
            *rules,
        ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    if options.write:
        head = "# Real wheels\n\nWritten by `tools/check_real_wheels.py`. Seconds of wall time and peak memory of one "
        head += f"`barrow-wheel check` process, on {os.cpu_count()} processors.\n\n"
        options.write.write_text(head + "\n".join(lines) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
