"""glibc and libstdc++ that a platform tag promises to get along with."""

from __future__ import annotations

import re

_ALIASES = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_TAG = re.compile(r"^manylinux_(\d+)_(\d+)_\w+$")
_VERSION = re.compile(r"^([A-Z]+)_(\d+(?:\.\d+)*)$")
# glibc floor of a policy -> newest symbol versions of the C++ run time on the oldest system it covers (PEP 600's
# policies as auditwheel keeps them, whose libstdc++ versions follow the oldest distribution with that glibc).
_GLIBCXX = (
    ((2, 5), (3, 4, 8)), ((2, 12), (3, 4, 13)), ((2, 17), (3, 4, 19)), ((2, 24), (3, 4, 22)), ((2, 27), (3, 4, 24)),
    ((2, 31), (3, 4, 28)), ((2, 34), (3, 4, 29)), ((2, 35), (3, 4, 30)), ((2, 39), (3, 4, 33)),
)  # fmt: skip
_CXXABI = (
    ((2, 5), (1, 3, 1)), ((2, 12), (1, 3, 3)), ((2, 17), (1, 3, 7)), ((2, 24), (1, 3, 10)), ((2, 27), (1, 3, 11)),
    ((2, 31), (1, 3, 12)), ((2, 34), (1, 3, 13)), ((2, 39), (1, 3, 15)),
)  # fmt: skip
# Symbol versions that name a feature and no number, and the glibc that first had them.
_FEATURES = {"GLIBC_ABI_DT_RELR": (2, 36)}

Version = tuple[int, ...]


def glibc_of_platform(platform: str) -> tuple[int, int] | None:
    """(2, 28) for manylinux_2_28_x86_64 and for the old aliases; None for other platforms."""
    match = _TAG.match(platform)
    if match:
        return int(match[1]), int(match[2])
    return next((glibc for alias, glibc in _ALIASES.items() if platform.startswith(alias + "_")), None)


def machine_of_platform(platform: str) -> str:
    """x86_64 for manylinux_2_28_x86_64, musllinux_1_2_x86_64 and linux_x86_64; "" for others."""
    match = re.match(r"^(?:manylinux(?:_\d+_\d+|1|2010|2014)|musllinux_\d+_\d+|linux)_(\w+)$", platform)
    return match[1] if match else ""


def symbol_version(name: str) -> tuple[str, Version] | None:
    """("GLIBC", (2, 34)) for GLIBC_2.34; None for names that stand for no number."""
    if name in _FEATURES:
        return "GLIBC", _FEATURES[name]
    match = _VERSION.match(name)
    return (match[1], tuple(int(part) for part in match[2].split("."))) if match else None


def allowed(kind: str, glibc: tuple[int, int]) -> Version | None:
    """The newest version of GLIBC, GLIBCXX or CXXABI that a wheel for systems from `glibc` on may need."""
    if kind == "GLIBC":
        return glibc
    table = {"GLIBCXX": _GLIBCXX, "CXXABI": _CXXABI}.get(kind)
    if table is None:
        return None
    return next((newest for floor, newest in reversed(table) if glibc >= floor), None)
