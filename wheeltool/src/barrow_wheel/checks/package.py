"""The wheel as a package: names, tags, RECORD, members that must not be unpacked, dead weight."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator

from packaging.utils import canonicalize_name, canonicalize_version

from barrow_wheel.errors import FormatError
from barrow_wheel.findings import Finding, Severity
from barrow_wheel.readers.elf import EM_CUDA
from barrow_wheel.readers.metadata import parse_file_name
from barrow_wheel.readers.wheel import Wheel
from barrow_wheel.rules import finding

MIB = 1 << 20
# A few KiB of symbols are in every library; a tenth of the download is worth a linker flag.
_WORTH_SAYING_BYTES = MIB
_WORTH_ACTING_BYTES = 5 * MIB
_WORTH_ACTING_SHARE = 0.1


def check_names(wheel: Wheel) -> Iterator[Finding]:
    folder_name, _, folder_version = wheel.dist_info.removesuffix(".dist-info").partition("-")
    stated = {("METADATA", wheel.metadata.name, wheel.metadata.version), (wheel.dist_info, folder_name, folder_version)}
    if wheel.name.endswith(".whl"):
        try:
            named = parse_file_name(wheel.name)
            stated.add(("file name", named.name, named.version))
        except FormatError as error:
            yield finding("name-mismatch", wheel.name, "", f"the file name is not a wheel's: {error}")
    stated = {entry for entry in stated if entry[1]}
    if (
        len({canonicalize_name(name) for _, name, _ in stated}) > 1
        or len({canonicalize_version(v) for *_, v in stated}) > 1
    ):
        yield finding(
            "name-mismatch",
            wheel.name,
            wheel.dist_info,
            "name or version differ between the places that state them",
            evidence=tuple(sorted(f"{where}: {name} {version}" for where, name, version in stated)),
        )
    for file, invalid in (("METADATA", wheel.metadata.invalid), ("WHEEL", wheel.wheel_invalid)):
        for text in invalid:
            place = f"{wheel.dist_info}/{file}"
            yield finding("metadata-invalid", wheel.name, place, f"does not parse: {text}", evidence=(text,))
    if not wheel.wheel_tags:
        yield finding("metadata-invalid", wheel.name, f"{wheel.dist_info}/WHEEL", "states no tag")
    elif wheel.name_tags is not None and wheel.name_tags != wheel.wheel_tags:
        yield finding(
            "tag-mismatch",
            wheel.name,
            f"{wheel.dist_info}/WHEEL",
            "states other tags than the file name",
            evidence=(f"file name: {_tags(wheel.name_tags)}", f"WHEEL: {_tags(wheel.wheel_tags)}"),
        )
    plain = sorted(str(tag) for tag in wheel.tags if tag.platform.startswith("linux_"))
    if plain and wheel.packed:
        yield finding("platform-tag-linux", wheel.name, "", f"is tagged {plain[0]}", evidence=tuple(plain))


def _tags(tags: frozenset[object]) -> str:
    return " ".join(sorted(map(str, tags)))


def check_members(wheel: Wheel) -> Iterator[Finding]:
    for path, reason in wheel.distrusted:
        yield finding("unsafe-member", wheel.name, _shown(path), f"{reason}; it was not read", evidence=(_shown(path),))
    for path in wheel.duplicates:
        yield finding("duplicate-member", wheel.name, _shown(path), "occurs more than once")
    for unreadable in wheel.unreadable:
        yield finding("unreadable-file", wheel.name, _shown(unreadable.path), unreadable.reason)


def _shown(path: str) -> str:
    """A path of bounded length: a member's name may have 65535 characters."""
    return path[:300]


def check_record(wheel: Wheel) -> Iterator[Finding]:
    place = f"{wheel.dist_info}/RECORD"
    if wheel.record is None:
        yield finding("record-incomplete", wheel.name, place, wheel.record_error)
        return
    # An installed distribution gains files (bytecode, INSTALLER) and loses hashes of what it rewrites; RECORD itself
    # and its signatures carry none.
    exempt = {place, f"{wheel.dist_info}/RECORD.jws", f"{wheel.dist_info}/RECORD.p7s"}
    present = (
        {file.path for file in wheel.files}
        | {path for path, _ in wheel.distrusted}
        | {u.path for u in wheel.unreadable}
    )
    unlisted = sorted(present - set(wheel.record) - exempt) if wheel.packed else []
    absent = sorted(set(wheel.record) - present) if wheel.packed else sorted(p for p, _ in wheel.distrusted)
    for message, paths in (("not in RECORD", unlisted), ("listed in RECORD, but absent", absent)):
        if paths:
            yield finding(
                "record-incomplete",
                wheel.name,
                _shown(paths[0]),
                f"{len(paths)} file(s) {message}",
                evidence=tuple(map(_shown, paths[:10])),
            )
    wrong = []
    for file in wheel.files:
        entry = wheel.record.get(file.path)
        if entry is None or file.path in exempt or not entry.digest:
            if entry is not None and wheel.packed and file.path not in exempt:
                wrong.append(f"{_shown(file.path)}: RECORD gives no hash")
        elif entry.algorithm != "sha256":
            if entry.algorithm not in ("sha384", "sha512"):
                wrong.append(f"{_shown(file.path)}: hashed with {_shown(entry.algorithm)}, which installers refuse")
        elif base64.urlsafe_b64encode(entry.digest).decode() == file.sha256.hex():
            wrong.append(f"{_shown(file.path)}: the hash is written in hexadecimal instead of base64")
        elif entry.digest != file.sha256 or entry.size not in (None, file.size):
            wrong.append(f"{_shown(file.path)}: content and RECORD differ")
    if wrong:
        yield finding(
            "record-mismatch",
            wheel.name,
            wrong[0].split(":")[0],
            f"{len(wrong)} file(s) differ from RECORD",
            evidence=tuple(wrong[:10]),
        )


def check_weight(wheel: Wheel) -> Iterator[Finding]:
    installed = sum(f.size for f in wheel.files)
    host = [(b.path, b.elf) for b in wheel.binaries if b.elf is not None and b.elf.machine != EM_CUDA]
    debug = {path: elf.section_bytes(".debug_", ".zdebug_") for path, elf in host}
    symbols = {path: elf.symbol_table_bytes for path, elf in host}
    for rule, sizes in (("debug-information", debug), ("symbol-table", symbols)):
        heavy = sorted(((size, path) for path, size in sizes.items() if size), reverse=True)
        total = sum(size for size, _ in heavy)
        if total >= _WORTH_SAYING_BYTES:
            worth_acting = (
                rule == "debug-information"
                and total >= _WORTH_ACTING_BYTES
                and total >= installed * _WORTH_ACTING_SHARE
            )
            yield finding(
                rule,
                wheel.name,
                heavy[0][1],
                f"{_mib(total)} of {_mib(installed)} installed, in {len(heavy)} file(s)",
                evidence=tuple(f"{path}: {_mib(size)}" for size, path in heavy[:5]),
                severity=Severity.WARNING if worth_acting else Severity.NOTE,
            )
    copies: dict[tuple[bytes, int], list[str]] = defaultdict(list)
    for file in wheel.files:
        if file.size:
            copies[file.sha256, file.size].append(file.path)
    wasted = sum((len(paths) - 1) * size for (_, size), paths in copies.items())
    if wasted >= _WORTH_SAYING_BYTES:
        groups = sorted(
            ((size * (len(paths) - 1), paths) for (_, size), paths in copies.items() if len(paths) > 1), reverse=True
        )
        yield finding(
            "duplicate-content",
            wheel.name,
            groups[0][1][0],
            f"{_mib(wasted)} are copies of other files",
            evidence=tuple(f"{_mib(size)}: {' = '.join(paths[:3])}" for size, paths in groups[:5]),
        )


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
