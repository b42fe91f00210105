"""METADATA, WHEEL, RECORD and the file name of a wheel."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
import re
from dataclasses import dataclass, field

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from barrow_wheel.errors import FormatError
from barrow_wheel.readers import limits


@dataclass(frozen=True, slots=True)
class Metadata:
    """The fields of METADATA that checks use. `invalid` lists what could not be parsed, in words."""

    name: str = ""
    version: str = ""
    requires_python: SpecifierSet | None = None
    requirements: tuple[Requirement, ...] = ()
    classifiers: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()

    def requires(self, name: str) -> tuple[Requirement, ...]:
        wanted = canonicalize_name(name)
        return tuple(r for r in self.requirements if canonicalize_name(r.name) == wanted)


@dataclass(frozen=True, slots=True)
class WheelName:
    """What the file name says."""

    name: str
    version: str
    build: str
    tags: frozenset[Tag] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class RecordEntry:
    algorithm: str
    digest: bytes
    size: int | None


def parse_file_name(file_name: str) -> WheelName:
    try:
        name, version, build, tags = parse_wheel_filename(file_name)
    except InvalidWheelFilename as error:
        raise FormatError(str(error)) from error
    return WheelName(name, str(version), "".join(str(part) for part in build), tags)


def parse_metadata(data: bytes) -> Metadata:
    raw, _ = parse_email(data)
    invalid: list[str] = []
    spec = None
    text = raw.get("requires_python")
    if text and len(text) > limits.SPECIFIER_CHARACTERS:
        invalid.append(f"Requires-Python of {len(text)} characters")
    elif text:
        try:
            spec = SpecifierSet(text)
        except InvalidSpecifier:
            invalid.append(f"Requires-Python: {text}")
    requirements = []
    lines = raw.get("requires_dist", [])
    if len(lines) > limits.METADATA_LINES:
        invalid.append(f"{len(lines)} Requires-Dist lines")
    for line in lines[: limits.METADATA_LINES]:
        try:
            if len(line) > limits.SPECIFIER_CHARACTERS:
                raise InvalidRequirement
            requirements.append(Requirement(line))
        except InvalidRequirement:
            invalid.append(f"Requires-Dist: {line[:100]}")
    for required in ("name", "version"):
        if not raw.get(required):
            invalid.append(f"{required.capitalize()} is missing")
    return Metadata(
        name=raw.get("name") or "",
        version=raw.get("version") or "",
        requires_python=spec,
        requirements=tuple(requirements),
        classifiers=tuple(raw.get("classifiers", [])[: limits.METADATA_LINES]),
        invalid=tuple(invalid),
    )


def parse_wheel_tags(data: bytes) -> tuple[frozenset[Tag], tuple[str, ...]]:
    """The Tag lines of the file WHEEL, and what installers refuse in it: lines that are no tags, another format."""
    tags: set[Tag] = set()
    invalid: list[str] = []
    format_version = ""
    for line in data.decode("utf-8", "replace").splitlines()[: limits.METADATA_LINES]:
        key, _, value = line.partition(":")
        text = value.strip()
        if key.strip().lower() == "wheel-version":
            format_version = text
        if key.strip().lower() != "tag":
            continue
        try:
            if math.prod(part.count(".") + 1 for part in text.split("-")) > limits.TAGS_OF_ONE_LINE:
                raise ValueError
            tags |= parse_tag(text)
        except ValueError:
            invalid.append(f"Tag: {text[:100]}")
    if not re.fullmatch(r"[01](\.\d+)*", format_version):
        invalid.append(f"Wheel-Version: {format_version[:100]}" if format_version else "Wheel-Version is missing")
    return frozenset(tags), tuple(invalid)


def parse_record(data: bytes) -> dict[str, RecordEntry]:
    """RECORD by path. Raises FormatError when a line does not parse."""
    entries: dict[str, RecordEntry] = {}
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8"))):
            if not row:
                continue
            if len(entries) >= limits.RECORD_ENTRIES:
                raise FormatError(f"RECORD has more than {limits.RECORD_ENTRIES} entries")
            path, hash_text, size_text = (*row, "", "")[:3]
            algorithm, _, digest = hash_text.partition("=")
            entries[path] = RecordEntry(
                algorithm,
                base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)),
                int(size_text) if size_text else None,
            )
    except (UnicodeDecodeError, csv.Error, binascii.Error, ValueError) as error:
        raise FormatError(f"RECORD does not parse ({error})") from error
    return entries
