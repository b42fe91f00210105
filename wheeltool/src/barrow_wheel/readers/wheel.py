"""One wheel as a frozen record: everything the checks ask about, read once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from packaging.tags import Tag

from barrow_wheel.errors import FormatError, InputError
from barrow_wheel.readers import limits
from barrow_wheel.readers.archive import Member, Source
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.device_code import DeviceCodes, read_device_code
from barrow_wheel.readers.elf import MAGIC, Elf, read_elf
from barrow_wheel.readers.metadata import Metadata, RecordEntry, parse_metadata, parse_record, parse_wheel_tags
from barrow_wheel.readers.sources import binary_signals, python_signals

_FOREIGN_MAGICS = {
    b"MZ": "PE (Windows)",
    b"\xcf\xfa\xed\xfe": "Mach-O (macOS)",
    b"\xce\xfa\xed\xfe": "Mach-O (macOS)",
    b"\xca\xfe\xba\xbe": "Mach-O (macOS)",
    b"\xca\xfe\xba\xbf": "Mach-O (macOS)",
    b"\0asm": "WebAssembly",
}
# What a loader takes by its name. A hidden file is none of them: macOS leaves its ._NAME beside NAME.
_BINARY_NAME = re.compile(r"(?:^|/)[^./][^/]*\.(?:so(?:\.\d+)*|pyd|dll|dylib|exe)$")
_LINKER_SCRIPT = re.compile(rb"\b(?:INPUT|GROUP)\s*\(")
# Never device code, and the bulk of what is not ELF: not worth a search.
_TEXT_SUFFIXES = (
    ".py",
    ".pyi",
    ".h",
    ".hpp",
    ".cuh",
    ".cu",
    ".cpp",
    ".c",
    ".txt",
    ".md",
    ".json",
    ".html",
    ".js",
    ".inl",
)


@dataclass(frozen=True, slots=True)
class FileRecord:
    path: str
    size: int
    packed_size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Binary:
    """An ELF file, or any other with device code in it (then `elf` is None)."""

    path: str
    size: int
    elf: Elf | None
    device: DeviceCodes
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file about which nothing can be said, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """What was read. `name_tags` come from the file name, None for a folder or an installed distribution."""

    name: str
    packed: bool
    size: int
    dist_info: str
    metadata: Metadata
    wheel_tags: frozenset[Tag]
    wheel_invalid: tuple[str, ...]
    name_tags: frozenset[Tag] | None
    files: tuple[FileRecord, ...]
    binaries: tuple[Binary, ...]
    python_words: dict[str, tuple[str, ...]]
    record: dict[str, RecordEntry] | None
    record_error: str
    foreign: tuple[tuple[str, str], ...] = ()
    distrusted: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    paths: frozenset[str] = field(default_factory=frozenset)

    @property
    def tags(self) -> frozenset[Tag]:
        """The tags that installers go by: those of the file name, else those of WHEEL."""
        return self.name_tags or self.wheel_tags


class WheelReader:
    """Reads every member of one source once."""

    def __init__(self, source: Source, name_tags: frozenset[Tag] | None, size: int) -> None:
        self._source = source
        self._name_tags = name_tags
        self._size = size
        self._files: list[FileRecord] = []
        self._binaries: list[Binary] = []
        self._words: dict[str, list[str]] = {}
        self._foreign: list[tuple[str, str]] = []
        self._unreadable: list[Unreadable] = []
        self._kept: dict[str, bytes] = {}

    def read(self, dist_info: str | None = None) -> Wheel:
        members = self._source.members
        dist_info = dist_info or self._find_dist_info(members)
        for member in members:
            if member.distrust:
                continue
            try:
                self._read_member(member, dist_info)
            except InputError as error:
                self._unreadable.append(Unreadable(member.path, str(error)))
        record, record_error = self._record(dist_info)
        if f"{dist_info}/METADATA" not in self._kept:
            raise InputError(f"{self._source.name}: {dist_info}/METADATA cannot be read; this is not a wheel")
        metadata = parse_metadata(self._kept[f"{dist_info}/METADATA"])
        wheel_tags, wheel_invalid = parse_wheel_tags(self._kept.get(f"{dist_info}/WHEEL", b""))
        return Wheel(
            name=self._source.name,
            packed=self._source.packed,
            size=self._size or sum(member.size for member in members),
            dist_info=dist_info,
            metadata=metadata,
            wheel_tags=wheel_tags,
            wheel_invalid=wheel_invalid,
            name_tags=self._name_tags,
            files=tuple(self._files),
            binaries=tuple(self._binaries),
            python_words={word: tuple(paths) for word, paths in self._words.items()},
            record=record,
            record_error=record_error,
            foreign=tuple(self._foreign),
            distrusted=tuple((m.path, m.distrust) for m in members if m.distrust),
            duplicates=self._source.duplicates,
            unreadable=tuple(self._unreadable),
            paths=frozenset(member.path for member in members),
        )

    def _find_dist_info(self, members: tuple[Member, ...]) -> str:
        found = sorted(
            {m.path.split("/")[0] for m in members if m.path.endswith(".dist-info/METADATA") and m.path.count("/") == 1}
        )
        if len(found) != 1:
            raise InputError(
                f"{self._source.name}: has {len(found)} top-level .dist-info folders with METADATA, a wheel has one; "
                "give a .whl file, an unpacked wheel, or the name of an installed distribution"
            )
        return found[0]

    def _record(self, dist_info: str) -> tuple[dict[str, RecordEntry] | None, str]:
        data = self._kept.get(f"{dist_info}/RECORD")
        if data is None:
            return None, "RECORD is missing"
        try:
            return parse_record(data), ""
        except InputError as error:
            return None, str(error)

    def _hashed(self, member: Member, digest: hashlib._Hash) -> Iterator[bytes]:
        for chunk in self._source.chunks(member):
            digest.update(chunk)
            yield chunk

    def _read_member(self, member: Member, dist_info: str) -> None:
        digest = hashlib.sha256()
        with Blob.of_stream(self._hashed(member, digest), member.size) as blob:
            self._files.append(FileRecord(member.path, blob.size, member.packed_size, digest.digest()))
            self._read_content(member.path, blob, dist_info)

    def _read_content(self, path: str, blob: Blob, dist_info: str) -> None:
        if path.startswith(dist_info + "/") and path.rpartition("/")[2] in ("METADATA", "WHEEL", "RECORD"):
            limit = limits.RECORD_BYTES if path.endswith("/RECORD") else limits.METADATA_BYTES
            if blob.size > limit:
                raise InputError(f"has {blob.size} bytes, more than the {limit} that are read")
            self._kept[path] = blob.read(0, blob.size)
            return
        head = blob.read_some(0, 4)
        if head == MAGIC:
            elf = read_elf(blob)
            self._binaries.append(Binary(path, blob.size, elf, read_device_code(blob, elf), binary_signals(blob, elf)))
            return
        if _BINARY_NAME.search(path):
            kind = next((kind for magic, kind in _FOREIGN_MAGICS.items() if head.startswith(magic)), None)
            if kind is not None:
                self._foreign.append((path, kind))
            elif not _is_linker_script(blob):
                start = blob.read_some(0, 40)
                raise FormatError(
                    f"is named as a binary and is none: it {f'begins {start!r}' if start else 'is empty'}"
                )
        if path.endswith(".py"):
            for word in python_signals(blob.read_some(0, limits.SOURCE_BYTES)):
                self._words.setdefault(word, []).append(path)
        elif not path.endswith(_TEXT_SUFFIXES):
            device = read_device_code(blob, None)
            if device:
                self._binaries.append(Binary(path, blob.size, None, device))


def _is_linker_script(blob: Blob) -> bool:
    """Whether a file named .so is text for the linker, which names the libraries to take in its place."""
    text = blob.read_some(0, limits.SOURCE_BYTES)
    return b"\0" not in text and _LINKER_SCRIPT.search(text) is not None


def read_wheel(
    source: Source, name_tags: frozenset[Tag] | None = None, size: int = 0, dist_info: str | None = None
) -> Wheel:
    """Reads a source. Raises InputError when it is no wheel; files that cannot be read stand in `unreadable`."""
    return WheelReader(source, name_tags, size).read(dist_info)
