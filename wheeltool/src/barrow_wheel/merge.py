"""Per-Python wheels of one release into one wheel that serves all their CPythons."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from barrow_wheel import __version__
from barrow_wheel.check import read_archive
from barrow_wheel.checks.matrix import installable_pythons
from barrow_wheel.checks.package import check_members, check_record
from barrow_wheel.errors import InputError, MergeError
from barrow_wheel.facts.cpython import NEWEST_MINOR, OLDEST_MINOR
from barrow_wheel.readers import limits
from barrow_wheel.readers.metadata import parse_file_name
from barrow_wheel.readers.wheel import Wheel

# A field of METADATA's header, with the lines that continue it, as Python's email parser takes it.
_FIELD = re.compile(rb"([!-9;-~]*):[^\r\n]*(?:\r\n?|\n|\Z)(?:[ \t][^\r\n]*(?:\r\n?|\n|\Z))*")
# Regenerated, or about one input only.
_OWN = {"RECORD", "WHEEL", "METADATA", "RECORD.jws", "RECORD.p7s"}
# Earliest time that a zip archive can state.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the result, and the archive it is taken from."""

    path: str
    archive: Path


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What the merged wheel will be. Computed before anything is written."""

    file_name: str
    dist_info: str
    build: str
    tags: tuple[str, ...]
    requires_python: str
    purelib: bool
    members: tuple[Member, ...]
    metadata_from: Path


def plan_merge(paths: Sequence[Path]) -> MergePlan:
    """Plans a merge. Raises MergeError with every reason at once when the wheels cannot become one."""
    if len(paths) < 2:
        raise MergeError(f"got {len(paths)} wheel; merging needs at least two")
    wheels = [read_archive(path) for path in paths]
    problems = [*_identity_problems(wheels), *_broken(wheels)]
    members, conflicts = _union(paths, wheels)
    problems += conflicts
    metadata = {
        path: b"".join(_without_requires_python(_dist_file(path, wheel, "METADATA")))
        for path, wheel in zip(paths, wheels, strict=True)
    }
    if len(set(metadata.values())) > 1:
        problems.append("METADATA differs by more than Requires-Python; build all wheels from the same sources")
    purelib = {_is_purelib(_dist_file(path, wheel, "WHEEL")) for path, wheel in zip(paths, wheels, strict=True)}
    if len(purelib) > 1:
        problems.append("Root-Is-Purelib differs between the wheels")
    if problems:
        raise MergeError("these wheels cannot become one:\n" + "\n".join(f"  {problem}" for problem in problems))
    name = parse_file_name(paths[0].name)
    interpreters, abis, platforms = _tag_parts(wheels)
    tags = tuple(f"{i}-{a}-{p}" for i in interpreters for a in abis for p in platforms)
    stem = "-".join(paths[0].name.split("-")[: 3 if name.build else 2])
    return MergePlan(
        file_name=f"{stem}-{'.'.join(interpreters)}-{'.'.join(abis)}-{'.'.join(platforms)}.whl",
        dist_info=wheels[0].dist_info,
        build=name.build,
        tags=tags,
        requires_python=requires_python(wheels),
        purelib=purelib.pop(),
        members=members,
        metadata_from=paths[0],
    )


def _identity_problems(wheels: Sequence[Wheel]) -> list[str]:
    problems = []
    identities = {(canonicalize_name(w.metadata.name), w.metadata.version, w.dist_info) for w in wheels}
    if len(identities) > 1:
        problems.append(f"different releases: {', '.join(sorted(f'{n} {v}' for n, v, _ in identities))}")
    builds = {parse_file_name(wheel.name).build for wheel in wheels}
    if len(builds) > 1:
        shown = "; ".join(sorted(build or "none" for build in builds))
        problems.append(f"different builds ({shown}); merge wheels of one build number")
    platforms = {frozenset(tag.platform for tag in wheel.tags) for wheel in wheels}
    if len(platforms) > 1:
        shown = "; ".join(sorted(" ".join(sorted(p)) for p in platforms))
        problems.append(f"different platforms ({shown}); one wheel cannot promise both")
    return problems


def _broken(wheels: Sequence[Wheel]) -> list[str]:
    """Files that were not read cannot be merged, and a broken RECORD must not be laundered into a good one."""
    return [
        f"{wheel.name}: {', '.join(found.evidence) or found.file}: {found.message}"
        for wheel in wheels
        for found in (*check_members(wheel), *check_record(wheel))
    ]


def _union(paths: Sequence[Path], wheels: Sequence[Wheel]) -> tuple[tuple[Member, ...], list[str]]:
    chosen: dict[str, tuple[bytes, Path]] = {}
    conflicts: list[str] = []
    for path, wheel in zip(paths, wheels, strict=True):
        own = {f"{wheel.dist_info}/{name}" for name in _OWN}
        for file in wheel.files:
            if file.path in own:
                continue
            known = chosen.setdefault(file.path, (file.sha256, path))
            if known[0] != file.sha256:
                conflicts.append(f"{file.path}: other content in {path.name} than in {known[1].name}")
    return tuple(Member(path, archive) for path, (_, archive) in sorted(chosen.items())), conflicts


def _tag_parts(wheels: Sequence[Wheel]) -> tuple[list[str], list[str], list[str]]:
    """The three parts of the compressed tag set. Its combinations that no wheel had name no interpreter that exists."""
    tags = frozenset().union(*(wheel.tags for wheel in wheels))

    def natural(text: str) -> list[tuple[int, str]]:
        return [(int(t), "") if t.isdecimal() else (-1, t) for t in re.findall(r"\d+|\D+", text)]

    parts = ({tag.interpreter for tag in tags}, {tag.abi for tag in tags}, {tag.platform for tag in tags})
    interpreters, abis, platforms = (sorted(part, key=natural) for part in parts)
    return interpreters, abis, platforms


def requires_python(wheels: Sequence[Wheel]) -> str:
    """What the merged wheel covers: the CPythons of its parts, with the clauses that all parts have in common."""
    minors = sorted(set().union(*map(_minors, wheels)))
    if not minors:
        raise MergeError(
            "no CPython can install any of these wheels; their tags and Requires-Python exclude each other"
        )
    clauses = set.intersection(*(set(wheel.metadata.requires_python or SpecifierSet()) for wheel in wheels))
    clauses |= {Specifier(f"!=3.{minor}.*") for minor in range(minors[0], minors[-1]) if minor not in minors}
    clauses.add(Specifier(f">=3.{minors[0]}"))
    if minors[-1] < NEWEST_MINOR or not any(tag.abi in ("abi3", "none") for wheel in wheels for tag in wheel.tags):
        clauses.add(Specifier(f"<3.{minors[-1] + 1}"))
    needed = (c for c in clauses if not any(_implies(other, c) for other in clauses if other != c))
    return ",".join(sorted(map(str, needed), key=_clause_order))


def _implies(bound: Specifier, clause: Specifier) -> bool:
    """Whether a lower or upper bound leaves nothing for another one to exclude."""
    if bound.operator != clause.operator or bound.operator not in (">=", "<"):
        return False
    narrow, wide = Version(bound.version), Version(clause.version)
    return narrow >= wide if bound.operator == ">=" else narrow <= wide


def _minors(wheel: Wheel) -> set[int]:
    """The minors of every CPython that the wheel serves, those that nobody maintains any more among them."""
    spec = (wheel.metadata.requires_python or SpecifierSet()) & SpecifierSet(f">=3.{OLDEST_MINOR}")
    bounded = replace(wheel, metadata=replace(wheel.metadata, requires_python=spec))
    return {python.minor for python in installable_pythons(bounded)}


def _clause_order(clause: str) -> tuple[int, str]:
    return (0 if clause.startswith(">") else 2 if clause.startswith("<") else 1, clause)


def _dist_file(path: Path, wheel: Wheel, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive, archive.open(f"{wheel.dist_info}/{name}") as stream:
        return stream.read(limits.METADATA_BYTES)


def _without_requires_python(metadata: bytes) -> list[bytes]:
    """The fields of METADATA's header but Requires-Python, then the rest from the empty line on."""
    fields, end = [], 0
    while field := _FIELD.match(metadata, end):
        end = field.end()
        if field[1].lower() != b"requires-python":
            fields.append(field[0])
    return [*fields, metadata[end:]]


def _is_purelib(wheel_file: bytes) -> bool:
    return re.search(rb"^Root-Is-Purelib:\s*true\s*$", wheel_file, re.M | re.I) is not None


def write_merge(plan: MergePlan, folder: Path) -> Path:
    """Writes the merged wheel into `folder`, whole or not at all, with the same bytes for the same inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / plan.file_name
    partial = folder / f".{plan.file_name}.{os.getpid()}.tmp"
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as target:
            rows = _copy(plan, target)
            rows += [_add(target, path, data) for path, data in _generated(plan)]
            record = f"{plan.dist_info}/RECORD"
            _add(target, record, _record_text([*rows, (record, "", "")]))
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return output


def _copy(plan: MergePlan, target: zipfile.ZipFile) -> list[tuple[str, str, str]]:
    rows = []
    archives = {path: zipfile.ZipFile(path) for path in {member.archive for member in plan.members}}
    try:
        for member in plan.members:
            source = archives[member.archive]
            old = source.getinfo(member.path)
            info = zipfile.ZipInfo(member.path, max(old.date_time, _ZIP_EPOCH))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = old.external_attr
            info.file_size = old.file_size
            digest, size = hashlib.sha256(), 0
            with source.open(old) as reader, target.open(info, "w") as writer:
                while chunk := reader.read(limits.CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    writer.write(chunk)
            rows.append((member.path, _hash_text(digest.digest()), str(size)))
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"an input changed or broke while being merged: {error}") from error
    finally:
        for archive in archives.values():
            archive.close()
    return rows


def _generated(plan: MergePlan) -> Iterable[tuple[str, bytes]]:
    with zipfile.ZipFile(plan.metadata_from) as archive:
        metadata = archive.read(f"{plan.dist_info}/METADATA")
    parts = _without_requires_python(metadata)
    # Before the last field, which alone may lack the end of its line.
    parts.insert(-2, f"Requires-Python: {plan.requires_python}\n".encode())
    yield f"{plan.dist_info}/METADATA", b"".join(parts)
    wheel = [
        "Wheel-Version: 1.0",
        f"Generator: barrow-wheel {__version__} (merge)",
        f"Root-Is-Purelib: {'true' if plan.purelib else 'false'}",
        *([f"Build: {plan.build}"] if plan.build else []),
        *(f"Tag: {tag}" for tag in plan.tags),
    ]
    yield f"{plan.dist_info}/WHEEL", ("\n".join(wheel) + "\n").encode()


def _add(target: zipfile.ZipFile, path: str, data: bytes) -> tuple[str, str, str]:
    info = zipfile.ZipInfo(path, _ZIP_EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100644 << 16
    target.writestr(info, data)
    return path, _hash_text(hashlib.sha256(data).digest()), str(len(data))


def _hash_text(digest: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _record_text(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def merge(paths: Sequence[Path], folder: Path) -> Path:
    """Merges wheels into one in `folder` and returns its path."""
    return write_merge(plan_merge(paths), folder)
