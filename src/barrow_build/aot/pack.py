"""The pack of cubins and its manifest.

`kernels.pack` is little endian: 8 bytes of magic, uint32 version, uint32 count of cubins; then the cubins, each at a
multiple of 64 bytes. What is where stands in `manifest.json` and, for the launcher, in the table compiled into it.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from barrow_build.aot.kernel import Kernel
from barrow_build.config import GemmSpec

MAGIC = b"BARROWPK"
VERSION = 1
ALIGNMENT = 64
# Fields of a spec that are no facts about the kernel a user gets.
_UNLISTED = ("cost", "macros")
# What follows from them and is one.
_DERIVED = (
    "source",
    "k_groups",
    "blocks_ahead",
    "alternates",
    "part_rows",
    "threads",
    "smem_bytes",
    "ctas_per_sm",
    "store_rows",
    "store_columns",
)


@dataclass(frozen=True)
class Packed:
    """A kernel and the place of its cubin in the pack, in bytes."""

    kernel: Kernel
    offset: int

    @property
    def size(self) -> int:
        return len(self.kernel.cubin.image)

    @property
    def crc32(self) -> int:
        return zlib.crc32(self.kernel.cubin.image)


def pack(kernels: Sequence[Kernel]) -> tuple[bytes, tuple[Packed, ...]]:
    """The bytes of `kernels.pack`, and where each kernel lies in them; no kernels make no bytes."""
    if not kernels:
        return b"", ()
    content = bytearray(MAGIC + struct.pack("<II", VERSION, len(kernels)))
    placed = []
    for kernel in kernels:
        content += bytes(-len(content) % ALIGNMENT)
        placed.append(Packed(kernel, len(content)))
        content += kernel.cubin.image
    return bytes(content), tuple(placed)


def manifest(placed: Sequence[Packed], toolchain: str | None) -> str:
    """`manifest.json`: every kernel by name, with its spec, its resources and the place and hashes of its cubin."""
    rows = sorted((_row(packed) for packed in placed), key=lambda row: str(row["name"]))
    return json.dumps({"format": 1, "toolchain": toolchain, "kernels": rows}, indent=1) + "\n"


def _row(packed: Packed) -> dict[str, Any]:
    spec, cubin = packed.kernel.spec, packed.kernel.cubin
    listed = {field.name: getattr(spec, field.name) for field in fields(spec) if field.name not in _UNLISTED}
    if isinstance(spec, GemmSpec):
        listed |= {name: getattr(spec, name) for name in _DERIVED}
    return {
        "name": spec.name,
        **listed,
        "registers": cubin.registers,
        "spill_bytes": cubin.spill_bytes,
        "static_smem_bytes": cubin.static_smem_bytes,
        "offset": packed.offset,
        "size": packed.size,
        "sha256": hashlib.sha256(cubin.image).hexdigest(),
        "crc32": packed.crc32,
    }
