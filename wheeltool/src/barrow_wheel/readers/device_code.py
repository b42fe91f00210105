"""Device code inside a file: CUDA fatbins and cubins, HIP bundles. Only headers are read, nothing is decompressed.

The layouts are not documented by their vendors; they were established with cuobjdump and nvcc 11.8 to 13.2.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from barrow_wheel.errors import FormatError, LimitError
from barrow_wheel.readers import limits
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.elf import EM_CUDA, MAGIC, Elf, read_elf

_FATBIN_MAGIC = struct.pack("<I", 0xBA55ED50)
_FATBIN_HEADER = struct.Struct("<IHHQ")
_ENTRY = struct.Struct("<HHIQ")
_ENTRY_BYTES = 0x30
_KIND_PTX, _KIND_CUBIN = 1, 2
_FLAG_ARCH_SPECIFIC, _FLAG_FAMILY = 0x100000, 0x200000
_OSABI_CUDA12, _OSABI_CUDA13 = 0x33, 0x41
_CUBIN_START = MAGIC + b"\x02\x01\x01"
_NOTE_ARCH = re.compile(rb"-arch[ =\0]?(?:sm|compute)_(\d+)([af]?)")
_HIP_MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
_HIP_TARGET = re.compile(r"(gfx[0-9a-f]+)")


@dataclass(frozen=True, slots=True, order=True)
class DeviceCode:
    """One kind of device code. `arch` is 90 for sm_90; `variant` is "", "a" or "f".

    `abi` is the ELF ABI version of a cubin (7: CUDA 11 and 12, 8: sm_100 of CUDA 12.8 on, and everything of CUDA 13);
    `ptx_isa` the PTX version, (8, 7) for 8.7.
    """

    kind: str
    arch: int
    variant: str = ""
    abi: int = 0
    ptx_isa: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        return f"{'sm' if self.kind == 'cubin' else 'compute'}_{self.arch}{self.variant}"


@dataclass(frozen=True, slots=True)
class DeviceCodes:
    """All device code of one file: how often each kind occurs, and the targets of HIP code objects."""

    cuda: tuple[tuple[DeviceCode, int], ...] = ()
    hip: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.cuda or self.hip)


def cubin_code(elf: Elf, blob: Blob) -> DeviceCode:
    """What a bare cubin runs on, from its ELF header; both layouts that exist."""
    if elf.osabi == _OSABI_CUDA12 or elf.abi_version == 7:
        return DeviceCode("cubin", elf.flags & 0xFF, "a" if elf.flags & 0x800 else "", elf.abi_version)
    if elf.osabi == _OSABI_CUDA13 or elf.abi_version == 8:
        arch, variant = (elf.flags >> 8) & 0xFF, ""
        for section in elf.sections:
            if section.name.startswith(".note.nv.tkinfo"):
                match = _NOTE_ARCH.search(blob.read_some(section.offset, min(section.size, 65536)))
                if match and int(match[1]) == arch:
                    variant = match[2].decode()
        return DeviceCode("cubin", arch, variant, elf.abi_version)
    raise FormatError(f"cubin of an unknown layout (OSABI {elf.osabi:#x}, ABI version {elf.abi_version})")


def read_device_code(blob: Blob, elf: Elf | None) -> DeviceCodes:
    """Device code of a file: `elf` when it is an ELF file, None for any other (a pack of cubins, a .fatbin)."""
    if elf is not None and elf.machine == EM_CUDA:
        return DeviceCodes(((cubin_code(elf, blob), 1),))
    found: Counter[DeviceCode] = Counter()
    fatbins: list[tuple[int, int]] = []
    position, entries = 0, 0
    while (at := blob.find(_FATBIN_MAGIC, position)) >= 0:
        end = _fatbin_end(blob, at)
        position = at + len(_FATBIN_MAGIC) if end is None else end
        if end is None:
            continue
        fatbins.append((at, end))
        for code in _fatbin_entries(blob, at, end):
            entries += 1
            if entries > limits.FATBIN_ENTRIES:
                raise LimitError(f"has more than {limits.FATBIN_ENTRIES} fatbin entries")
            found[code] += 1
    for code in _embedded_cubins(blob, fatbins, start=0 if elf is None else len(MAGIC)):
        found[code] += 1
    return DeviceCodes(tuple(sorted(found.items())), _hip_targets(blob, elf))


def _fatbin_end(blob: Blob, at: int) -> int | None:
    """Where the fatbin at `at` ends; None when the magic is chance (host code holds it as a constant)."""
    header = blob.read_some(at, _FATBIN_HEADER.size)
    if len(header) < _FATBIN_HEADER.size:
        return None
    _, version, header_size, size = _FATBIN_HEADER.unpack(header)
    if version != 1 or header_size != _FATBIN_HEADER.size:
        return None
    if at + header_size + size > blob.size:
        raise FormatError(f"the fatbin at {at:#x} claims {size} bytes, past the end of the file")
    return int(at + header_size + size)


def _fatbin_entries(blob: Blob, at: int, end: int) -> Iterator[DeviceCode]:
    position = at + _FATBIN_HEADER.size
    while position + _ENTRY_BYTES <= end:
        entry = blob.read(position, _ENTRY_BYTES)
        kind, _, header_size, payload = _ENTRY.unpack_from(entry)
        if header_size < _ENTRY_BYTES or position + header_size + payload > end:
            raise FormatError(f"the fatbin entry at {position:#x} claims {header_size} + {payload} bytes, past its end")
        low, high = struct.unpack_from("<HH", entry, 0x18)
        (arch,) = struct.unpack_from("<I", entry, 0x1C)
        (flags,) = struct.unpack_from("<Q", entry, 0x28)
        variant = "a" if flags & _FLAG_ARCH_SPECIFIC else "f" if flags & _FLAG_FAMILY else ""
        if kind == _KIND_PTX:
            yield DeviceCode("ptx", arch, variant, ptx_isa=(high, low))
        elif kind == _KIND_CUBIN:
            yield DeviceCode("cubin", arch, variant, abi=low)
        position += header_size + payload


def _embedded_cubins(blob: Blob, fatbins: list[tuple[int, int]], start: int) -> Iterator[DeviceCode]:
    """Cubins that a project stores itself, outside of any fatbin: byte arrays in host code, packs of kernels."""
    images = 0
    for begin, end in zip([start, *(end for _, end in fatbins)], [*(at for at, _ in fatbins), blob.size], strict=True):
        for at in blob.find_all(_CUBIN_START, begin, end):
            images += 1
            if images > limits.CUBINS:
                raise LimitError(f"has more than {limits.CUBINS} embedded ELF images")
            header = blob.read_some(at, 64)
            if len(header) == 64 and struct.unpack_from("<H", header, 18)[0] == EM_CUDA:
                image = blob.window(at)
                yield cubin_code(read_elf(image), image)


def _hip_targets(blob: Blob, elf: Elf | None) -> tuple[str, ...]:
    """Targets of an uncompressed clang offload bundle; the section has this name in every HIP library."""
    targets: set[str] = set()
    sections = [s for s in elf.sections if s.name == ".hip_fatbin"] if elf is not None else []
    for at in (at for s in sections for at in blob.find_all(_HIP_MAGIC, s.offset, s.offset + s.size)):
        head = blob.read_some(at + len(_HIP_MAGIC), 8)
        if len(head) < 8:
            continue
        (count,) = struct.unpack("<Q", head)
        position = at + len(_HIP_MAGIC) + 8
        for _ in range(min(count, 256)):
            record = blob.read_some(position, 24)
            if len(record) < 24:
                break
            (length,) = struct.unpack_from("<Q", record, 16)
            if length > 512:
                break
            match = _HIP_TARGET.search(blob.read_some(position + 24, length).decode("ascii", "replace"))
            if match:
                targets.add(match[1])
            position += 24 + length
    return tuple(sorted(targets))
