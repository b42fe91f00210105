"""The members of a wheel, an unpacked wheel or an installed distribution, read one at a time within limits."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from barrow_wheel.errors import FormatError, InputError, LimitError
from barrow_wheel.readers import limits

_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """One file: its path as written, sizes in bytes, and why it must not be trusted (empty when it may)."""

    path: str
    size: int
    packed_size: int
    distrust: str = ""


class Source(Protocol):
    """Where members come from. `packed` is True for an archive; `duplicates` are paths that occur more than once."""

    name: str
    packed: bool

    @property
    def duplicates(self) -> tuple[str, ...]: ...

    @property
    def members(self) -> tuple[Member, ...]: ...

    def chunks(self, member: Member) -> Iterator[bytes]: ...

    def close(self) -> None: ...


def path_distrust(path: str) -> str:
    """Why an installer could be led out of its folder by this path; empty when it cannot."""
    if not path or "\0" in path:
        return "empty or with a NUL byte"
    if path.startswith(("/", "\\")) or _DRIVE.match(path):
        return "absolute"
    if "\\" in path:
        return "has a backslash, a separator on Windows"
    if any(part in ("..", ".") for part in path.split("/")):
        return "climbs with '.' or '..'"
    return ""


class _BoundedFile(io.BufferedReader):
    """Refuses one huge read: zipfile takes the size of the directory from the file itself and reads it whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        limit = limits.ARCHIVE_DIRECTORY_BYTES
        data = super().read(limit + 1 if size is None or size < 0 else min(size, limit + 1))
        if len(data) > limit:
            raise LimitError(f"its directory takes more than the {limit} bytes that are read; no honest wheel has that")
        return data


class ZipSource:
    """A .whl file. Nothing is ever extracted under the names it contains."""

    packed = True

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._file = _BoundedFile(io.FileIO(path, "rb"))
        except OSError as error:
            raise InputError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._infos = self._zip.infolist()
            self._check_totals(path.stat().st_size)
        except LimitError as error:
            self._file.close()
            raise LimitError(f"{path}: {error}") from error
        except Exception as error:
            # zipfile trips over hostile bytes in many ways (struct.error, IndexError, ...); all mean the same.
            self._file.close()
            raise FormatError(f"{path}: is not a readable zip archive ({error}); build or download it again") from error
        self._by_member = {
            Member(info.filename, info.file_size, info.compress_size, self._distrust(info)): info
            for info in self._infos
            if not info.filename.endswith("/")
        }

    def _check_totals(self, archive_size: int) -> None:
        if len(self._infos) > limits.ARCHIVE_MEMBERS:
            raise LimitError(f"has {len(self._infos)} members, more than the {limits.ARCHIVE_MEMBERS} that are read")
        packed = sum(info.compress_size for info in self._infos)
        if packed > archive_size:
            raise LimitError(f"its members claim {packed} packed bytes in a file of {archive_size}: they overlap")
        unpacked = sum(info.file_size for info in self._infos)
        allowed = max(limits.ARCHIVE_ALWAYS_ALLOWED_BYTES, limits.ARCHIVE_RATIO * archive_size)
        if unpacked > allowed:
            raise LimitError(f"unpacks from {archive_size} to {unpacked} bytes, more than the {allowed} that are read")

    @staticmethod
    def _distrust(info: zipfile.ZipInfo) -> str:
        if stat.S_ISLNK(info.external_attr >> 16):
            return "is a symbolic link"
        if info.flag_bits & 0x1:
            return "is encrypted"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"uses compression method {info.compress_type}; installers know stored and deflated"
        if info.file_size > limits.MEMBER_BYTES:
            return f"claims {info.file_size} bytes"
        # zipfile cuts a name at a NUL and turns backslashes on Windows only: the name as stored is the one to judge.
        return path_distrust(info.orig_filename)

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self._by_member)

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Paths that occur more than once; installers differ in which one wins."""
        seen: set[str] = set()
        return tuple(sorted({i.filename for i in self._infos if i.filename in seen or seen.add(i.filename)}))  # type: ignore[func-returns-value]

    def chunks(self, member: Member) -> Iterator[bytes]:
        try:
            with self._zip.open(self._by_member[member]) as stream:
                while chunk := stream.read(limits.CHUNK_BYTES):
                    yield chunk
        except Exception as error:
            # As above: one meaning, whatever zipfile and zlib raise.
            raise FormatError(f"cannot be unpacked ({error})") from error

    def close(self) -> None:
        self._zip.close()
        self._file.close()


class TreeSource:
    """Files that lie in a folder: an unpacked wheel, or what RECORD lists for an installed distribution."""

    packed = False

    def __init__(self, name: str, root: Path, paths: list[str] | None = None) -> None:
        self.name = name
        self._root = root
        found = paths if paths is not None else sorted(_walk(root))
        if len(found) > limits.ARCHIVE_MEMBERS:
            raise LimitError(f"{root}: has {len(found)} files, more than the {limits.ARCHIVE_MEMBERS} that are read")
        self._members = tuple(self._member(path) for path in found)

    @property
    def duplicates(self) -> tuple[str, ...]:
        return ()

    def _member(self, path: str) -> Member:
        file = self._root / path
        try:
            size = file.stat().st_size
        except (OSError, ValueError):
            return Member(path, 0, 0, "is listed but cannot be read")
        return Member(path, size, size, "" if file.is_file() else "is not a plain file")

    @property
    def members(self) -> tuple[Member, ...]:
        return self._members

    def chunks(self, member: Member) -> Iterator[bytes]:
        try:
            with (self._root / member.path).open("rb") as stream:
                while chunk := stream.read(limits.CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise FormatError(f"cannot be read ({error.strerror})") from error

    def close(self) -> None:
        pass


def _walk(root: Path) -> Iterator[str]:
    for path in root.rglob("*"):
        if not path.is_symlink() and path.is_file():
            yield path.relative_to(root).as_posix()
