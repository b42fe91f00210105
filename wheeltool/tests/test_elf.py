"""The ELF reader against pyelftools, and against files that are cut, stripped or lie."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from conftest import CSource
from elftools.elf.elffile import ELFFile

from barrow_wheel.errors import FormatError, InputError, LimitError
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.elf import Elf, read_elf

SOURCE = CSource(
    exports=("PyInit__C", "PyMine_Helper", "unrelated"),
    calls=("PyLong_FromLong", "aoti_torch_empty", "malloc"),
    weak=("PyObject_GetBuffer",),
    flags=("-Wl,-rpath,$ORIGIN/../lib:/opt/somewhere", "-Wl,-soname,libdemo.so.1"),
)


@pytest.fixture
def image(compile_so: Callable[[CSource], bytes], link_stub: Callable[[str], tuple[str, ...]]) -> bytes:
    flags = (*SOURCE.flags, *link_stub("libone.so.1"), *link_stub("libtwo.so.2"))
    return compile_so(CSource(SOURCE.exports, SOURCE.calls, SOURCE.weak, flags=flags))


def read(data: bytes) -> Elf:
    return read_elf(Blob.of_bytes(data))


def test_what_the_loader_sees(image: bytes) -> None:
    elf = read(image)
    assert elf.needed == ("libone.so.1", "libtwo.so.2")
    assert elf.soname == "libdemo.so.1"
    assert elf.rpaths == ("$ORIGIN/../lib", "/opt/somewhere")
    assert elf.imports == {"PyLong_FromLong", "aoti_torch_empty", "malloc"}
    assert "PyObject_GetBuffer" in elf.weak_imports
    assert elf.python_exports == {"PyInit__C", "PyMine_Helper"}
    assert not elf.executable and not elf.executable_stack


def test_a_file_that_says_nothing_of_the_stack(image: bytes) -> None:
    """Assembly without a .note.GNU-stack section makes such files; only x86 then makes the stack executable."""
    stack = struct.pack("<I", 0x6474E551)
    start = struct.unpack_from("<Q", image, 0x20)[0]
    silent = image[:start] + image[start:].replace(stack, bytes(4), 1)
    assert read(silent).executable_stack
    arm = silent[:18] + struct.pack("<H", 183) + silent[20:]
    assert not read(arm).executable_stack


def test_agrees_with_pyelftools(image: bytes) -> None:
    oracle = ELFFile(io.BytesIO(image))
    symbols = list(oracle.get_section_by_name(".dynsym").iter_symbols())
    undefined = {
        s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF" and s.name and s["st_info"]["bind"] != "STB_WEAK"
    }
    elf = read(image)
    assert elf.imports == undefined
    assert [s.name for s in elf.sections] == [s.name for s in oracle.iter_sections()]
    assert [s.size for s in elf.sections] == [s["sh_size"] for s in oracle.iter_sections()]


def test_stripped_section_headers_change_nothing_for_the_loader(image: bytes) -> None:
    stripped = bytearray(image)
    stripped[0x28:0x30] = bytes(8)  # e_shoff
    stripped[0x3C:0x40] = bytes(4)  # e_shnum, e_shstrndx
    bare, whole = read(bytes(stripped)), read(image)
    assert bare.sections == ()
    assert (bare.imports, bare.needed, bare.python_exports) == (whole.imports, whole.needed, whole.python_exports)


@pytest.mark.parametrize("cut", [0, 3, 15, 17, 63, 64, 200, 1000, 4000])
def test_truncated_files_are_errors(image: bytes, cut: int) -> None:
    with pytest.raises(InputError):
        read(image[:cut])


@pytest.mark.parametrize(
    ("offset", "value", "error"),
    [
        (4, b"\x07", FormatError),  # ELF class
        (5, b"\x03", FormatError),  # byte order
        (0x20, struct.pack("<Q", 1 << 60), FormatError),  # e_phoff past the end
        (0x36, struct.pack("<H", 57), FormatError),  # e_phentsize
        (0x38, struct.pack("<H", 0xFFFE), LimitError),  # e_phnum
        (0x28, struct.pack("<Q", 1 << 62), FormatError),  # e_shoff past the end
    ],
)
def test_lying_headers_are_errors(image: bytes, offset: int, value: bytes, error: type[Exception]) -> None:
    changed = image[:offset] + value + image[offset + len(value) :]
    with pytest.raises(error):
        read(changed)


def test_a_million_symbols_stay_within_bounds() -> None:
    """A hostile symbol table whose entries all name the same long string: refused, not expanded."""
    count, name = 1_000_000, b"x" * 4096
    strings = b"\0" + name + b"\0"
    dynamic_at, strings_at = 64 + 2 * 56, 64 + 2 * 56 + 8 * 16
    symbols_at = (strings_at + len(strings) + 7) // 8 * 8
    hash_at = symbols_at + count * 24
    size = hash_at + 8
    dynamic = [(5, strings_at), (10, len(strings)), (6, symbols_at), (11, 24), (4, hash_at), (0, 0)]
    data = bytearray(size)
    data[:16] = b"\x7fELF\x02\x01\x01" + bytes(9)
    data[16:64] = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    data[64:120] = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    data[120:176] = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, dynamic_at, 0, len(dynamic) * 16, len(dynamic) * 16, 8)
    data[dynamic_at : dynamic_at + len(dynamic) * 16] = b"".join(struct.pack("<QQ", *entry) for entry in dynamic)
    data[strings_at : strings_at + len(strings)] = strings
    data[symbols_at:hash_at] = struct.pack("<IBBHQQ", 1, 0x10, 0, 0, 0, 0) * count
    data[hash_at:] = struct.pack("<II", 1, count)
    with pytest.raises(LimitError, match="names of dynamic symbols"):
        read(bytes(data))
