"""Compiled kernels by content: what went into a kernel is hashed, and the same content is never compiled twice."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from barrow_build.aot.kernel import Cubin


def content_key(toolchain: str, options: Sequence[str], sources: Mapping[str, bytes]) -> str:
    """Hash of all that decides a cubin: the compiler, its options (macros among them), the source and its headers."""
    digests = {name: hashlib.sha256(text).hexdigest() for name, text in sources.items()}
    return hashlib.sha256(json.dumps([toolchain, list(options), digests], sort_keys=True).encode()).hexdigest()


def load(folder: Path, key: str) -> Cubin | None:
    """The kernel stored under `key`; None when there is none or the file is damaged."""
    try:
        head, image = (folder / key).read_bytes().split(b"\n", 1)
        facts = json.loads(head)
        if facts.pop("sha256") != hashlib.sha256(image).hexdigest():
            return None
        return Cubin(image, **facts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store(folder: Path, key: str, cubin: Cubin) -> None:
    """Store a kernel; a reader, or another build at the same time, sees all of it or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "registers": cubin.registers,
        "spill_bytes": cubin.spill_bytes,
        "static_smem_bytes": cubin.static_smem_bytes,
        "sha256": hashlib.sha256(cubin.image).hexdigest(),
    }
    partial = folder / f"{key}.{os.getpid()}"
    partial.write_bytes(json.dumps(facts).encode() + b"\n" + cubin.image)
    partial.replace(folder / key)
