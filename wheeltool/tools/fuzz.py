"""Coverage-guided fuzzing of the readers with atheris, for longer than a test suite may take.

    pip install atheris && python tools/fuzz.py elf|wheel CORPUS_DIR -max_total_time=600

Everything after the target goes to libFuzzer. A file in CORPUS_DIR is a seed: a small shared object, a small wheel.
Whatever is not an answer or an InputError within 10 seconds and 500 MiB is reported as a crash.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["barrow_wheel", "zipfile", "packaging"]):
    from barrow_wheel.check import findings_of, read_archive
    from barrow_wheel.checks.matrix import build_matrix
    from barrow_wheel.errors import InputError
    from barrow_wheel.readers.blob import Blob
    from barrow_wheel.readers.device_code import read_device_code
    from barrow_wheel.readers.elf import MAGIC, read_elf

_SPOOL = Path(tempfile.mkdtemp(prefix="fuzz-")) / "demo-1.0-cp310-abi3-manylinux_2_28_x86_64.whl"


def elf(data: bytes) -> None:
    blob = Blob.of_bytes(data)
    with suppress(InputError):
        read_device_code(blob, read_elf(blob) if data.startswith(MAGIC) else None)


def wheel(data: bytes) -> None:
    _SPOOL.write_bytes(data)
    with suppress(InputError):
        read = read_archive(_SPOOL)
        build_matrix(read)
        findings_of(read)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("elf", "wheel"):
        sys.exit(__doc__)
    target = {"elf": elf, "wheel": wheel}[sys.argv.pop(1)]
    atheris.Setup([*sys.argv, "-timeout=10", "-rss_limit_mb=500"], target)
    atheris.Fuzz()
