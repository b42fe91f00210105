"""`check` as a function: from paths and names to a Report."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from barrow_wheel.allowlist import Allowlist
from barrow_wheel.checks.abi3 import check_abi3
from barrow_wheel.checks.cuda import check_cuda_libraries, check_gpus
from barrow_wheel.checks.matrix import Matrix, build_matrix, check_matrix
from barrow_wheel.checks.package import check_members, check_names, check_record, check_weight
from barrow_wheel.checks.runtime import check_libraries, check_loading, check_platform, check_toolchains
from barrow_wheel.checks.torch import check_torch
from barrow_wheel.errors import FormatError, InputError
from barrow_wheel.facts.cpython import covered
from barrow_wheel.facts.gpus import Gpu
from barrow_wheel.findings import Finding, Severity
from barrow_wheel.readers.archive import TreeSource, ZipSource
from barrow_wheel.readers.metadata import parse_file_name
from barrow_wheel.readers.wheel import Wheel, read_wheel
from barrow_wheel.rules import finding

_CHECKS = (
    check_matrix,
    check_abi3,
    check_torch,
    check_cuda_libraries,
    check_libraries,
    check_platform,
    check_loading,
    check_toolchains,
    check_names,
    check_members,
    check_record,
    check_weight,
)


@dataclass(frozen=True, slots=True)
class WheelReport:
    """One wheel: what was read, its matrix, what was found, and how many findings the allowlist excused."""

    wheel: Wheel
    matrix: Matrix
    findings: tuple[Finding, ...]
    excused: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """All wheels of one call. `general` holds findings about no single wheel; `gpus` those that were asked for."""

    wheels: tuple[WheelReport, ...]
    general: tuple[Finding, ...] = ()
    gpus: tuple[Gpu, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(f for report in self.wheels for f in report.findings) + self.general

    @property
    def worst(self) -> Severity | None:
        return max((f.severity for f in self.findings), default=None)


def read(target: str) -> tuple[Wheel, ...]:
    """Reads a .whl, an unpacked wheel, a folder of wheels, or an installed distribution by name."""
    path = Path(target)
    if path.is_file():
        return (read_archive(path),)
    if path.is_dir():
        if wheels := sorted(path.glob("*.whl")):
            return tuple(read_archive(wheel) for wheel in wheels)
        if not any(path.glob("*.dist-info")):
            raise InputError(
                f"{target}: this folder holds neither a *.whl nor, as an unpacked wheel does, a *.dist-info; give one "
                "that does"
            )
        return (read_tree(path),)
    if "/" not in target and not target.endswith(".whl") and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", target):
        return (read_installed(target),)
    raise InputError(
        f"{target}: no such file or folder; give a .whl, a folder, or the name of an installed distribution"
    )


def read_archive(path: Path) -> Wheel:
    try:
        tags = parse_file_name(path.name).tags
    except FormatError:
        # Reported as a finding; the content can be judged by the tags of WHEEL.
        tags = None
    with closing(ZipSource(path)) as source:
        return read_wheel(source, tags, path.stat().st_size)


def read_tree(root: Path) -> Wheel:
    return read_wheel(TreeSource(root.name, root))


def read_installed(name: str) -> Wheel:
    """Reads what RECORD lists of a distribution in the running interpreter's environment; nothing is imported."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(f"{name}: no such file, and no such distribution in this environment") from error
    if _is_editable(distribution):
        raise InputError(f"{name}: is installed in editable mode, so its modules are not here; check a wheel of it")
    files = distribution.files
    root = Path(str(distribution.locate_file("")))
    folder = next(
        (f.parent.name for f in files or () if f.name == "METADATA" and str(f.parent).endswith(".dist-info")), None
    )
    if not files or folder is None:
        raise InputError(f"{name}: its files are unknown (no RECORD); reinstall it from a wheel")
    # Bytecode is written after installation and belongs to no wheel.
    listed = [f.as_posix() for f in files if "__pycache__" not in f.parts]
    label = f"{canonicalize_name(distribution.name)} {distribution.version} (installed)"
    return read_wheel(TreeSource(label, root, listed), dist_info=folder)


def _is_editable(distribution: importlib.metadata.Distribution) -> bool:
    """Whether only links to a source tree were installed, as PEP 610 records it."""
    try:
        return json.loads(distribution.read_text("direct_url.json") or "{}")["dir_info"]["editable"] is True
    except (ValueError, KeyError, TypeError):
        return False


def findings_of(wheel: Wheel, gpus: Sequence[Gpu] = ()) -> tuple[Finding, ...]:
    """Every finding about one wheel, worst first."""
    found = [f for run in _CHECKS for f in run(wheel)]
    found += check_gpus(wheel, gpus)
    return tuple(sorted(found, key=lambda f: f.sort_key))


def check(targets: Iterable[str], gpus: Sequence[Gpu] = (), allowlist: Allowlist | None = None) -> Report:
    """Checks all targets. Raises InputError when one cannot be read at all: unknown is not clean."""
    wheels = tuple(wheel for target in targets for wheel in read(target))
    if not wheels:
        raise InputError("nothing to check")
    allowlist = allowlist or Allowlist()
    reports = []
    for wheel in wheels:
        found = findings_of(wheel, gpus)
        kept = allowlist.apply(found)
        reports.append(WheelReport(wheel, build_matrix(wheel), kept, len(found) - len(kept)))
    general = allowlist.apply(tuple(check_release(wheels)))
    return Report(tuple(reports), (*general, *allowlist.stale()), tuple(gpus))


def check_release(wheels: Sequence[Wheel]) -> Iterator[Finding]:
    """Wheels of one release given together: does every CPython of Requires-Python have one?"""
    groups: dict[tuple[str, str, str], list[Wheel]] = {}
    for wheel in wheels:
        for platform in {_system(tag.platform) for tag in wheel.tags}:
            groups.setdefault((canonicalize_name(wheel.metadata.name), wheel.metadata.version, platform), []).append(
                wheel
            )
    for (name, version, platform), group in groups.items():
        if len(group) < 2:
            continue
        tags = frozenset().union(*(wheel.tags for wheel in group))
        missing = [
            p
            for p in covered(group[0].metadata.requires_python, free_threaded=False)
            if not any(p.accepts(t) for t in tags)
        ]
        if missing:
            yield finding(
                "release-missing-wheel",
                f"{name} {version}",
                "",
                f"no wheel for CPython {', '.join(map(str, missing))} on {platform}",
                evidence=tuple(wheel.name for wheel in group),
            )


def _system(platform: str) -> str:
    """manylinux_2_28_x86_64 and manylinux2014_x86_64 alike as linux x86_64."""
    family = "linux" if "linux" in platform else platform.partition("_")[0]
    kind = "musl" if platform.startswith("musl") else family
    machine = re.search(
        r"(x86_64|aarch64|arm64|amd64|i686|armv7l|ppc64le|s390x|riscv64|universal2|any|win32)$", platform
    )
    return f"{kind} {machine[1] if machine else platform}"
