"""What a dynamic loader sees of an ELF file: needed libraries, imported symbols, version needs.

Read from the program headers and the dynamic segment, as the loader does, because section headers may be stripped or
lie. Sections serve only what the loader ignores: device code, debug information, read-only strings.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from barrow_wheel.errors import FormatError, LimitError
from barrow_wheel.readers import limits
from barrow_wheel.readers.blob import Blob

MAGIC = b"\x7fELF"

EM_386, EM_PPC64, EM_S390, EM_ARM, EM_X86_64, EM_AARCH64, EM_CUDA, EM_RISCV, EM_AMDGPU = (
    3,
    21,
    22,
    40,
    62,
    183,
    190,
    243,
    224,
)
MACHINES = {
    EM_386: ("i386", "i686"),
    EM_PPC64: ("ppc64", "ppc64le"),
    EM_S390: ("s390x",),
    EM_ARM: ("armv6l", "armv7l"),
    EM_X86_64: ("x86_64",),
    EM_AARCH64: ("aarch64",),
    EM_RISCV: ("riscv64",),
}

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_GNU_STACK = 1, 2, 3, 0x6474E551
_SHT_SYMTAB, _SHT_NOBITS, _SHT_DYNSYM = 2, 8, 11
_DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT = 1, 4, 5, 6, 10, 11
_DT_SONAME, _DT_RPATH, _DT_RUNPATH, _DT_GNU_HASH, _DT_VERNEED, _DT_VERNEEDNUM = (
    14,
    15,
    29,
    0x6FFFFEF5,
    0x6FFFFFFE,
    0x6FFFFFFF,
)
_STB_WEAK = 2
# Definitions that later questions are about: module initialisers, and Python names that sibling files may import.
_KEPT_EXPORTS = (b"PyInit_", b"PyModExport_", b"Py", b"_Py")


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    type: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Elf:
    """One ELF file. `imports`: the undefined dynamic symbols that must resolve, `weak_imports` those that need not."""

    machine: int
    bits: int
    type: int
    osabi: int
    abi_version: int
    flags: int
    needed: tuple[str, ...] = ()
    soname: str = ""
    rpaths: tuple[str, ...] = ()
    imports: frozenset[str] = frozenset()
    weak_imports: frozenset[str] = frozenset()
    python_exports: frozenset[str] = frozenset()
    version_needs: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    executable: bool = False
    executable_stack: bool = False

    def section_bytes(self, *prefixes: str) -> int:
        """Bytes in the file of all sections whose name starts with one of `prefixes`."""
        return sum(s.size for s in self.sections if s.name.startswith(prefixes) and s.type != _SHT_NOBITS)

    @property
    def symbol_table_bytes(self) -> int:
        """Bytes that `strip` takes away without touching what the loader uses, debug information aside."""
        return sum(s.size for s in self.sections if s.type == _SHT_SYMTAB or s.name == ".strtab")


@dataclass(frozen=True, slots=True)
class _Layout:
    """struct formats of one ELF class and byte order."""

    header: struct.Struct
    segment: struct.Struct
    section: struct.Struct
    dynamic: struct.Struct
    symbol: struct.Struct
    wide: bool
    order: str

    @classmethod
    def of(cls, ident: bytes) -> _Layout:
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise FormatError(f"ELF class {ident[4]} and byte order {ident[5]} do not exist")
        order, wide = "<>"[ident[5] - 1], ident[4] == 2
        word = "Q" if wide else "I"
        return cls(
            header=struct.Struct(f"{order}HHI{word}{word}{word}IHHHHHH"),
            segment=struct.Struct(f"{order}IIQQQQQQ" if wide else f"{order}IIIIIIII"),
            section=struct.Struct(f"{order}II{word}{word}{word}{word}II{word}{word}"),
            dynamic=struct.Struct(f"{order}{word}{word}"),
            symbol=struct.Struct(f"{order}IBBHQQ" if wide else f"{order}IIIBBH"),
            wide=wide,
            order=order,
        )


@dataclass(frozen=True, slots=True)
class _Segment:
    type: int
    flags: int
    offset: int
    address: int
    size: int


def read_elf(blob: Blob) -> Elf:
    """Reads one ELF file. Raises FormatError for broken or lying headers, LimitError for absurd sizes."""
    ident = blob.read(0, 16)
    if ident[:4] != MAGIC:
        raise FormatError("does not start with the ELF magic")
    layout = _Layout.of(ident)
    header = layout.header.unpack(blob.read(16, layout.header.size))
    elf_type, machine, flags = header[0], header[1], header[6]
    common = {
        "machine": machine,
        "bits": 64 if layout.wide else 32,
        "type": elf_type,
        "osabi": ident[7],
        "abi_version": ident[8],
        "flags": flags,
    }
    segments = _read_segments(blob, layout, offset=header[4], entry_size=header[8], count=header[9])
    sections = _read_sections(blob, layout, offset=header[5], entry_size=header[10], count=header[11], names=header[12])
    if machine in (EM_CUDA, EM_AMDGPU):
        return Elf(**common, sections=sections)
    dynamic_segment = next((s for s in segments if s.type == _PT_DYNAMIC and s.size), None)
    loader_view = _DynamicReader(blob, layout, segments, sections).read(dynamic_segment) if dynamic_segment else {}
    return Elf(
        **common,
        **loader_view,  # type: ignore[arg-type]
        sections=sections,
        executable=any(s.type == _PT_INTERP for s in segments),
        executable_stack=_wants_executable_stack(machine, segments),
    )


def _wants_executable_stack(machine: int, segments: tuple[_Segment, ...]) -> bool:
    """What the header says of the stack; a loader on x86 takes a file without one for old code that needs it."""
    stated = [s.flags & 1 == 1 for s in segments if s.type == _PT_GNU_STACK]
    loaded = any(s.type == _PT_DYNAMIC for s in segments)
    return any(stated) if stated else loaded and machine in (EM_386, EM_X86_64)


def _read_segments(blob: Blob, layout: _Layout, offset: int, entry_size: int, count: int) -> tuple[_Segment, ...]:
    if not count:
        return ()
    if count > limits.ELF_SEGMENTS:
        raise LimitError(f"has {count} program headers, more than the {limits.ELF_SEGMENTS} that are read")
    if entry_size != layout.segment.size:
        raise FormatError(f"program headers of {entry_size} bytes instead of {layout.segment.size}")
    table = blob.read(offset, entry_size * count)
    found = []
    for entry in layout.segment.iter_unpack(table):
        if layout.wide:
            kind, flags, at, address, _, size, _, _ = entry
        else:
            kind, at, address, _, size, _, flags, _ = entry
        found.append(_Segment(kind, flags, at, address, size))
    return tuple(found)


def _read_sections(
    blob: Blob, layout: _Layout, offset: int, entry_size: int, count: int, names: int
) -> tuple[Section, ...]:
    if not offset:
        return ()
    if entry_size != layout.section.size:
        raise FormatError(f"section headers of {entry_size} bytes instead of {layout.section.size}")
    if not count or names == 0xFFFF:
        # More than 65280 sections: the true numbers stand in the first header.
        first = layout.section.unpack(blob.read(offset, entry_size))
        count = count or first[5]
        names = first[6] if names == 0xFFFF else names
    if count > limits.ELF_SECTIONS:
        raise LimitError(f"has {count} section headers, more than the {limits.ELF_SECTIONS} that are read")
    headers = list(layout.section.iter_unpack(blob.read(offset, entry_size * count)))
    if names >= len(headers):
        return ()
    name_table = b""
    if headers[names][1] != _SHT_NOBITS:
        if headers[names][5] > limits.CHUNK_BYTES * 16:
            raise LimitError(f"section names take {headers[names][5]} bytes")
        name_table = blob.read(headers[names][4], headers[names][5])
    found = []
    for header in headers:
        kind, at, size = header[1], header[4], header[5]
        if kind and kind != _SHT_NOBITS and at + size > blob.size:
            raise FormatError(f"a section claims bytes {at}..{at + size}, but the file has {blob.size}")
        found.append(Section(_text(name_table, header[0]), kind, at, size))
    return tuple(found)


def _text(table: bytes, offset: int, limit: int = limits.SYMBOL_NAME_BYTES) -> str:
    """The NUL-terminated name at `offset`, cut at `limit` bytes."""
    end = table.find(b"\0", offset, offset + limit)
    return table[offset : end if end >= 0 else offset + limit].decode("utf-8", "replace")


class _DynamicReader:
    """Reads what the dynamic segment points at."""

    def __init__(
        self, blob: Blob, layout: _Layout, segments: tuple[_Segment, ...], sections: tuple[Section, ...]
    ) -> None:
        self._blob = blob
        self._layout = layout
        self._loads = [s for s in segments if s.type == _PT_LOAD and s.size]
        self._sections = sections

    def read(self, segment: _Segment) -> dict[str, object]:
        size = self._layout.dynamic.size
        if segment.size // size > limits.ELF_DYNAMIC_ENTRIES:
            raise LimitError(f"dynamic segment of {segment.size} bytes")
        single: dict[int, int] = {}
        needed_at: list[int] = []
        for tag, value in self._layout.dynamic.iter_unpack(
            self._blob.read(segment.offset, segment.size // size * size)
        ):
            if tag == 0:
                break
            if tag == _DT_NEEDED:
                needed_at.append(value)
            else:
                single[tag] = value
        strings = self._strings(single)
        names = {
            tag: _text(strings, single[tag], 4096) for tag in (_DT_SONAME, _DT_RPATH, _DT_RUNPATH) if tag in single
        }
        # RUNPATH, where there is one, makes the loader ignore RPATH.
        search = names.get(_DT_RUNPATH, names.get(_DT_RPATH, ""))
        return {
            "needed": tuple(_text(strings, at) for at in needed_at),
            "soname": names.get(_DT_SONAME, ""),
            # An empty string is no path at all; only an empty entry between others means the current folder.
            "rpaths": tuple(search.split(":")) if search else (),
            "version_needs": self._version_needs(single, strings),
            **self._symbols(single, strings),
        }

    def _offset(self, address: int) -> int:
        for load in self._loads:
            if load.address <= address < load.address + load.size:
                return address - load.address + load.offset
        raise FormatError(f"address {address:#x} of the dynamic segment is in no loaded segment")

    def _strings(self, single: dict[int, int]) -> bytes:
        if _DT_STRTAB not in single or _DT_STRSZ not in single:
            raise FormatError("the dynamic segment names no string table")
        if single[_DT_STRSZ] > limits.ELF_STRING_TABLE_BYTES:
            raise LimitError(f"string table of {single[_DT_STRSZ]} bytes")
        return self._blob.read(self._offset(single[_DT_STRTAB]), single[_DT_STRSZ])

    def _symbol_count(self, single: dict[int, int]) -> int:
        """The number of dynamic symbols, which no single field of the format gives."""
        table = self._offset(single[_DT_SYMTAB])
        counts = [
            s.size // self._layout.symbol.size for s in self._sections if s.type == _SHT_DYNSYM and s.offset == table
        ]
        order = self._layout.order
        if _DT_HASH in single and not counts:
            _, chains = struct.unpack(f"{order}II", self._blob.read(self._offset(single[_DT_HASH]), 8))
            counts.append(chains)
        if _DT_GNU_HASH in single and not counts:
            counts.append(self._gnu_hash_count(self._offset(single[_DT_GNU_HASH])))
        return max(counts, default=0)

    def _gnu_hash_count(self, at: int) -> int:
        order, word = self._layout.order, 8 if self._layout.wide else 4
        buckets, first, bloom, _ = struct.unpack(f"{order}IIII", self._blob.read(at, 16))
        if buckets > limits.ELF_SYMBOLS or bloom > limits.ELF_SYMBOLS:
            raise LimitError(f"symbol hash with {buckets} buckets")
        heads = struct.unpack(f"{order}{buckets}I", self._blob.read(at + 16 + bloom * word, buckets * 4))
        last = max(heads, default=0)
        if last < first:
            return int(first)
        chain = at + 16 + bloom * word + buckets * 4
        while last < limits.ELF_SYMBOLS:
            (value,) = struct.unpack(f"{order}I", self._blob.read(chain + (last - first) * 4, 4))
            last += 1
            if value & 1:
                return int(last)
        raise LimitError("symbol hash chain without an end")

    def _symbols(self, single: dict[int, int], strings: bytes) -> dict[str, object]:
        if _DT_SYMTAB not in single:
            return {}
        symbol = self._layout.symbol
        if single.get(_DT_SYMENT, symbol.size) != symbol.size:
            raise FormatError(f"symbols of {single[_DT_SYMENT]} bytes instead of {symbol.size}")
        count = self._symbol_count(single)
        if count > limits.ELF_SYMBOLS:
            raise LimitError(f"has {count} dynamic symbols, more than the {limits.ELF_SYMBOLS} that are read")
        table = self._blob.read(self._offset(single[_DT_SYMTAB]), count * symbol.size)
        imports: set[str] = set()
        weak: set[str] = set()
        exports: set[str] = set()
        spent = 0
        wide = self._layout.wide
        for entry in symbol.iter_unpack(table):
            name_at = entry[0]
            info, index = (entry[1], entry[3]) if wide else (entry[3], entry[5])
            if index and not strings.startswith(_KEPT_EXPORTS, name_at):
                continue
            name = _text(strings, name_at)
            if not name:
                continue
            spent += len(name)
            if spent > limits.ELF_NAMES_BYTES:
                raise LimitError(f"names of dynamic symbols take more than {limits.ELF_NAMES_BYTES} bytes")
            (exports if index else weak if info >> 4 == _STB_WEAK else imports).add(name)
        return {
            "imports": frozenset(imports),
            "weak_imports": frozenset(weak),
            "python_exports": frozenset(exports),
        }

    def _version_needs(self, single: dict[int, int], strings: bytes) -> tuple[tuple[str, str], ...]:
        if _DT_VERNEED not in single:
            return ()
        order = self._layout.order
        needs: list[tuple[str, str]] = []
        at = self._offset(single[_DT_VERNEED])
        for _ in range(min(single.get(_DT_VERNEEDNUM, 0), limits.ELF_VERSION_ENTRIES)):
            _, count, file, aux, following = struct.unpack(f"{order}HHIII", self._blob.read(at, 16))
            library, aux_at = _text(strings, file), at + aux
            for _ in range(count):
                _, _, _, name, next_aux = struct.unpack(f"{order}IHHII", self._blob.read(aux_at, 16))
                needs.append((library, _text(strings, name)))
                if len(needs) > limits.ELF_VERSION_ENTRIES:
                    raise LimitError("has more version needs than are read")
                if not next_aux:
                    break
                aux_at += next_aux
            if not following:
                break
            at += following
        return tuple(sorted(set(needs)))
