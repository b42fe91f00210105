"""Archives that mean harm are refused within bounds."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path

import pytest
from conftest import WheelSpec, fatbin, fatbin_entry

from barrow_wheel.check import check, read_archive
from barrow_wheel.errors import FormatError, InputError, LimitError
from barrow_wheel.facts.gpus import gpu
from barrow_wheel.readers.archive import path_distrust


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb-1.0-py3-none-any.whl"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as stream,
    ):
        for _ in range(300):
            stream.write(bytes(1 << 20))
    started = time.monotonic()
    with pytest.raises(LimitError, match="unpacks from"):
        read_archive(path)
    assert time.monotonic() - started < 1


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    """The directory lists one member many times at the same place, as Fifield's bomb does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"x" * 1000)
    data = buffer.getvalue()
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", data[end + 16 : end + 20])[0]
    entry = data[start:end]
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 50, 50, len(entry) * 50)
    path = tmp_path / "overlap-1.0-py3-none-any.whl"
    path.write_bytes(data[:start] + entry * 50 + bytes(tail))
    with pytest.raises(InputError):
        read_archive(path)


def test_a_directory_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "directory-1.0-py3-none-any.whl"
    size = 20 << 20
    with path.open("wb") as stream:
        stream.truncate(size)
        stream.seek(size)
        stream.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 60000, 60000, size, 0, 0))
    with pytest.raises(LimitError):
        read_archive(path)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"not a zip at all", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_an_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken-1.0-py3-none-any.whl"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="not a readable zip"):
        read_archive(path)


def test_archive_without_metadata_is_no_wheel(tmp_path: Path) -> None:
    path = tmp_path / "nothing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.py", b"")
    with pytest.raises(InputError, match=r"\.dist-info"):
        read_archive(path)


@pytest.mark.parametrize(
    "path", ["../evil", "a/../../evil", "/etc/passwd", "C:/windows", "C:evil", "a\\..\\evil", "", "a/./b", "a\0b"]
)
def test_paths_that_lead_out(path: str) -> None:
    assert path_distrust(path)


@pytest.mark.parametrize("path", ["a/b.py", "a..b/c", "...", "a b/ü.py", "x.data/scripts/run"])
def test_paths_that_do_not(path: str) -> None:
    assert not path_distrust(path)


def test_hostile_members_are_findings_and_never_written(tmp_path: Path) -> None:
    names = ["../evil.py", "/evil.py", "demo/\x1b[31mred.py"]
    path = WheelSpec({}, extra_members=[(zipfile.ZipInfo(name), b"x") for name in names]).write(tmp_path)
    before = sorted(tmp_path.parent.rglob("*"))
    findings = check([str(path)]).findings
    assert {f.file for f in findings if f.rule == "unsafe-member"} == {"../evil.py", "/evil.py"}
    assert not any("\x1b" in f.file + f.message + "".join(f.evidence) for f in findings)
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_a_member_without_a_name_is_a_finding(tmp_path: Path) -> None:
    """Found by fuzzing: zipfile's own is_dir fails on it."""
    path = WheelSpec({"x": b"x"}).write(tmp_path)
    raw = path.read_bytes()
    at = raw.index(b"PK\x01\x02")
    assert raw[at + 46 : at + 47] == b"x"
    end = raw.rindex(b"PK\x05\x06")
    tail = bytearray(raw[end:])
    struct.pack_into("<I", tail, 12, end - at - 1)  # the directory is one byte shorter
    head = bytearray(raw[at : at + 46])
    struct.pack_into("<H", head, 28, 0)  # and its first name empty
    path.write_bytes(raw[:at] + bytes(head) + raw[at + 47 : end] + bytes(tail))
    assert "unsafe-member" in {f.rule for f in check([str(path)]).findings}


def test_bad_checksum_is_a_finding(tmp_path: Path) -> None:
    path = WheelSpec({"demo/data.txt": b"A" * 4096}).write(tmp_path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"demo/data.txt") + len("demo/data.txt")
    raw[at + 2] ^= 0xFF
    path.write_bytes(bytes(raw))
    assert "unreadable-file" in {f.rule for f in check([str(path)]).findings}


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize("data", [b"", LFS_POINTER, b"EL", bytes(8)])
@pytest.mark.parametrize(
    "name", ["_C.cpython-312-x86_64-linux-gnu.so", "_C.cp312-win_amd64.pyd", "libx.so.1.2", "x.dll"]
)
def test_what_is_named_as_a_binary_and_is_none(name: str, data: bytes, tmp_path: Path) -> None:
    (found,) = check([str(WheelSpec({f"demo/{name}": data}).write(tmp_path))]).findings
    assert found.rule == "unreadable-file" and "named as a binary and is none" in found.message


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("libx.so", b"/* GNU ld script */\nINPUT(libx.so.1)\n"),
        ("libc.so", b"OUTPUT_FORMAT(elf64-x86-64)\nGROUP ( libc.so.6 AS_NEEDED ( ld.so.2 ) )\n"),
        ("._libx.so", b"\0\x05\x16\x07Mac OS X"),
        ("notes.so.txt", b"words"),
    ],
)
def test_what_looks_like_a_binary_and_may(name: str, data: bytes, tmp_path: Path) -> None:
    assert check([str(WheelSpec({f"demo/{name}": data}).write(tmp_path))]).findings == ()


def test_webassembly_is_a_binary_of_another_platform(tmp_path: Path) -> None:
    path = WheelSpec({"demo/_C.cpython-312-wasm32-emscripten.so": b"\0asm\1\0\0\0"}, requires_python="==3.12.*")
    assert read_archive(path.write(tmp_path)).foreign == ((next(iter(path.files)), "WebAssembly"),)


def test_device_code_of_a_windows_module_is_read(tmp_path: Path) -> None:
    image = b"MZ" + bytes(100) + fatbin(fatbin_entry(2, 90))
    spec = WheelSpec({"demo/_C.cp312-win_amd64.pyd": image}, tag="cp312-cp312-win_amd64", requires_python="==3.12.*")
    path = str(spec.write(tmp_path))
    assert {f.rule for f in check([path], [gpu("h100")]).findings} == {"binary-not-read"}
    assert "sm_90" in next(f for f in check([path], [gpu("b200")]).findings if f.rule == "gpu-not-covered").evidence


@pytest.mark.parametrize(
    ("line", "words"), [("", "Wheel-Version is missing"), ("Wheel-Version: 2.0", "Wheel-Version: 2.0")]
)
def test_a_format_that_installers_refuse(line: str, words: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(WheelSpec({"demo/x.py": b""}).write(tmp_path)) as archive:
        archive.extractall(tmp_path / "tree")
    stated = tmp_path / "tree/demo-1.0.dist-info/WHEEL"
    stated.write_text(stated.read_text().replace("Wheel-Version: 1.0", line))
    found = next(f for f in check([str(tmp_path / "tree")]).findings if f.rule == "metadata-invalid")
    assert found.file.endswith("/WHEEL") and words in found.message
