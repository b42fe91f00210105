"""torch: which symbols are its stable ABI, since when, and which CUDA its default wheels bring."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

SHIM_JSON = Path(__file__).with_name("torch_shim.json")
_SHIM_HEADERS = (
    "torch/csrc/stable/c/*.h",
    "torch/csrc/inductor/aoti_torch/c/*.h",
    "torch/csrc/inductor/aoti_torch/generated/*.h",
)
_DECLARATION = re.compile(r"AOTI_TORCH_EXPORT\s+[\w:\s*&]+?\b(\w+)\s*\(")
_STABLE_NAMESPACES = ("5torch6stable", "5torch10headeronly")
# Itanium names: an optional special prefix (vtable, typeinfo, guard), then nested or plain names and qualifiers.
_TORCH_NAMESPACE = re.compile(
    r"^_ZN?(?:T[VTISRhvc]|GV)?N?[rVKRO]*(?=3c10|2at|5torch|5caffe26)(3c10|2at(?=\d|[A-Z])|5torch|6caffe2)"
)
_TORCH_LIBRARIES = re.compile(
    r"^lib(?:torch(?:_cpu|_cuda|_hip|_xpu|_python|_global_deps)?|c10(?:_cuda|_hip|_xpu)?)\.so"
)
_REGISTERS_OPERATORS = re.compile(
    r"^(?:aoti_torch_library_|torch_library_|_ZN5torch7LibraryC[12]|_ZN5torch3jit|_ZN3c1017RegisterOperators)"
)

# (first torch minor of 2.x, CUDA major of the wheels that PyPI serves by default)
_DEFAULT_CUDA = ((0, 11), (1, 12), (11, 13))
NEWEST_TORCH_MINOR = 15


@functools.cache
def _shim() -> tuple[dict[str, tuple[int, int]], str]:
    data = json.loads(SHIM_JSON.read_text())
    table: dict[str, tuple[int, int]] = {}
    for version, names in data["functions"].items():
        major, minor = version.split(".")
        table |= dict.fromkeys(names, (int(major), int(minor)))
    return table, data["baseline"]


def baseline() -> tuple[int, int]:
    """The oldest torch whose headers the table was made from."""
    major, minor = _shim()[1].split(".")
    return int(major), int(minor)


def declared_shim_functions(include: Path) -> frozenset[str]:
    """Functions that the shim headers below a `torch/include` folder declare, guarded or not."""
    names: set[str] = set()
    for pattern in _SHIM_HEADERS:
        for header in include.glob(pattern):
            names |= set(_DECLARATION.findall(header.read_text()))
    return frozenset(n for n in names if n.startswith(("aoti_torch_", "torch_")))


@dataclass(frozen=True, slots=True)
class TorchUse:
    """How one file uses torch. `minimum`: the oldest torch with its shim functions (None: the baseline or older)."""

    links: bool
    registers_operators: bool
    unstable: tuple[str, ...]
    shim: tuple[str, ...]
    unknown: tuple[str, ...]
    minimum: tuple[int, int] | None
    newest_functions: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.links or bool(self.unstable or self.shim or self.unknown)


def is_unstable(symbol: str) -> bool:
    """Whether a symbol is torch's C++ ABI, which may change with every minor version."""
    if symbol.startswith(
        ("THP", "_ZN3THP", "_ZN8pybind116detail11type_casterIN2at", "_ZN8pybind116detail11type_casterIN3c10")
    ):
        return True
    match = _TORCH_NAMESPACE.match(symbol)
    return match is not None and not symbol.startswith(_STABLE_NAMESPACES, match.start(1))


def torch_use(imports: Iterable[str], needed: Iterable[str]) -> TorchUse:
    table, _ = _shim()
    unstable, shim, unknown, registers = [], [], [], False
    for symbol in imports:
        registers = registers or _REGISTERS_OPERATORS.match(symbol) is not None
        if symbol in table:
            shim.append(symbol)
        elif symbol.startswith("aoti_torch_") or (symbol.startswith("torch_") and "libtorch" in " ".join(needed)):
            unknown.append(symbol)
        elif is_unstable(symbol):
            unstable.append(symbol)
    newest = max((table[s] for s in shim), default=None)
    minimum = newest if newest is not None and newest > baseline() else None
    return TorchUse(
        links=any(_TORCH_LIBRARIES.match(library) for library in needed),
        registers_operators=registers,
        unstable=tuple(sorted(unstable)),
        shim=tuple(sorted(shim)),
        unknown=tuple(sorted(unknown)),
        minimum=minimum,
        newest_functions=tuple(sorted(s for s in shim if table[s] == minimum)),
    )


def is_torch_library(name: str) -> bool:
    return _TORCH_LIBRARIES.match(name) is not None


def allowed_minors(spec: SpecifierSet) -> tuple[int, ...]:
    """The minor versions of torch 2 that a requirement allows."""
    return tuple(
        minor
        for minor in range(NEWEST_TORCH_MINOR + 1)
        if any(spec.contains(f"2.{minor}.{patch}{local}") for patch in range(5) for local in ("", "+cu128"))
    )


def default_cuda(minor: int) -> int:
    """The CUDA major that `pip install torch==2.MINOR` from PyPI brings."""
    return next(cuda for first, cuda in reversed(_DEFAULT_CUDA) if minor >= first)
