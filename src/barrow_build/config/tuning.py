"""The shipped table of measured choices: the fastest kernel of a shape on a GPU, where the cost model takes another.

One JSON file per GPU in `tuned/`, a line per choice, written by benchmarks/write_table.py.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from barrow_build.config.gemm import GemmSpec

FOLDER = Path(__file__).with_name("tuned")

# A choice holds for the M of its bucket, from above the edge before up to its own, where it was measured; of groups, M
# is their mean. Buckets are as fine as the tiles of the kernels that serve them, so that within one the number of tiles
# hardly changes, and with it the fastest kernel; beyond the last the cost model chooses.
M_EDGES = (1, 2, 4, 8, *range(16, 65, 8), *range(80, 129, 16), *range(192, 1025, 64), *range(1280, 8193, 256))
_EDGES = frozenset(M_EDGES)

_GPU_KEYS = ("gpu", "num_sms", "memory_gb_s", "timed", "choices")
_CHOICE_KEYS = ("groups", "n", "k", "m", "kernel", "gain")
MAX_DIM = 2**31 - 1
_REMEDY = "run barrow tune and benchmarks/write_table.py again, or remove the file"


class TuningError(ValueError):
    """A table that cannot be compiled in; the text names the file, the entry and the remedy."""


@dataclass(frozen=True, order=True)
class Choice:
    """`kernel` for [m, k] x [n, k]^T with m the upper end of its bucket; its output dtype is the kernel's.

    With `groups`, m rows on average of each of so many groups, each times a matrix of its own; 0 for a plain product.
    `gain` is the time of the cost model's choice over its own, as measured; for readers only.
    """

    groups: int
    n: int
    k: int
    m: int
    kernel: str
    gain: float


@dataclass(frozen=True)
class TunedGpu:
    """The choices for GPUs with this many SMs and about this peak memory bandwidth, in GB/s.

    The SM count alone would not do: an H100 and an H200 both have 132. `timed` names the kernels that the choices are
    the fastest of.
    """

    name: str
    num_sms: int
    memory_gb_s: int
    timed: tuple[str, ...]
    choices: tuple[Choice, ...]


def tunable(specs: Iterable[object]) -> dict[str, GemmSpec]:
    """The kernels that `barrow tune` times, by name: those for weights, with a scale for 128 x 128."""
    return {spec.name: spec for spec in specs if isinstance(spec, GemmSpec) and not spec.row_scales_b}


def dumps(gpu: TunedGpu) -> str:
    """The text of a table's file."""
    rows = [json.dumps({**asdict(choice), "gain": round(choice.gain, 3)}) for choice in sorted(gpu.choices)]
    head = {"gpu": gpu.name, "num_sms": gpu.num_sms, "memory_gb_s": gpu.memory_gb_s}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    timed = _list("timed", [json.dumps(name) for name in sorted(gpu.timed)])
    timed[-1] += ","
    return "\n".join(["{", *lines, *timed, *_list("choices", rows), "}"]) + "\n"


def _list(key: str, rows: Sequence[str]) -> list[str]:
    """A list of JSON with a line per row, so that a change of one row is one line of a diff."""
    return [f' "{key}": [', *(f"  {row}," for row in rows[:-1]), *(f"  {row}" for row in rows[-1:]), " ]"]


def parse(text: str, source: str, kernels: Mapping[str, GemmSpec]) -> TunedGpu:
    """The table in `text`; `source` is what errors call it, `kernels` those of the catalogue that are tunable.

    Raises TuningError for text that is no such table, an unknown kernel, an M between the edges of buckets, a dimension
    out of range, two choices for one shape, or a kernel of the catalogue that was not among those timed: it might be
    faster than the choices.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise TuningError(f"{source} is not JSON: {error}") from error
    _check_keys(source, data, _GPU_KEYS)
    # It becomes a string of C++.
    if not isinstance(data["gpu"], str) or not re.fullmatch(r"[\w .()/+-]+", data["gpu"], re.ASCII):
        raise TuningError(f"{source}: gpu is {data['gpu']!r} but must be a name of letters, digits and spaces")
    for key in ("num_sms", "memory_gb_s"):
        _check_number(f"{source}: {key}", data[key])
    for key in ("timed", "choices"):
        if not isinstance(data[key], list):
            raise TuningError(f"{source}: {key} must be a list")
    choices = tuple(_choice(f"{source}: choice {i}", row, kernels) for i, row in enumerate(data["choices"]))
    timed = tuple(map(str, data["timed"]))
    _check_unique(source, choices, kernels)
    _check_timed(source, timed, choices, kernels)
    return TunedGpu(data["gpu"], data["num_sms"], data["memory_gb_s"], timed, choices)


def load(folder: Path, kernels: Sequence[GemmSpec]) -> tuple[TunedGpu, ...]:
    """Every table of `folder`, by file name; raises TuningError as `parse` does, and for two tables of one GPU."""
    by_name = tunable(kernels)
    gpus = [(path.name, parse(path.read_text(), path.name, by_name)) for path in sorted(folder.glob("*.json"))]
    for i, (name, gpu) in enumerate(gpus):
        for other_name, other in gpus[:i]:
            if (gpu.num_sms, gpu.memory_gb_s) == (other.num_sms, other.memory_gb_s):
                raise TuningError(f"{other_name} and {name} are for the same SM count and bandwidth; keep one")
    return tuple(gpu for _, gpu in gpus)


def _choice(where: str, row: Any, kernels: Mapping[str, GemmSpec]) -> Choice:
    _check_keys(where, row, _CHOICE_KEYS)
    _check_number(f"{where}: groups", row["groups"], least=0)
    for key in ("n", "k", "m"):
        _check_number(f"{where}: {key}", row[key])
    if row["m"] not in _EDGES:
        raise TuningError(
            f"{where}: m = {row['m']} is the end of no bucket; the ends are {', '.join(map(str, M_EDGES))}"
        )
    if row["kernel"] not in kernels:
        raise TuningError(f"{where}: the catalogue has no kernel {row['kernel']!r}; {_REMEDY}")
    if kernels[row["kernel"]].grouped != (row["groups"] > 0):
        raise TuningError(f"{where}: {row['kernel']} cannot run with groups = {row['groups']}; {_REMEDY}")
    if type(row["gain"]) not in (int, float):
        raise TuningError(f"{where}: gain is {row['gain']!r} but must be a number")
    return Choice(**row)


def _check_unique(source: str, choices: Sequence[Choice], kernels: Mapping[str, GemmSpec]) -> None:
    seen: set[tuple[object, ...]] = set()
    for choice in choices:
        shape = (kernels[choice.kernel].out, choice.groups, choice.n, choice.k, choice.m)
        if shape in seen:
            raise TuningError(
                f"{source}: two choices for out={shape[0]} groups={choice.groups} n={choice.n} k={choice.k} "
                f"m={choice.m}; keep one"
            )
        seen.add(shape)


def _check_timed(source: str, timed: Sequence[str], choices: Sequence[Choice], kernels: Mapping[str, GemmSpec]) -> None:
    """Refuse a table that a kernel came after: it may be faster than the choices. What was not tuned at all, an output
    or groups, aside."""
    asked = (*(name for name in timed if name in kernels), *(choice.kernel for choice in choices))
    kinds = {(kernels[name].out, kernels[name].grouped) for name in asked}
    if untimed := sorted(n for n, spec in kernels.items() if (spec.out, spec.grouped) in kinds and n not in timed):
        raise TuningError(
            f"{source} was made without timing {', '.join(untimed)}, which may be faster than its choices; {_REMEDY}"
        )


def _check_keys(where: str, row: Any, keys: tuple[str, ...]) -> None:
    found = tuple(row) if isinstance(row, dict) else row
    if not isinstance(row, dict) or set(row) != set(keys):
        raise TuningError(f"{where} has {found!r} but needs exactly the keys {', '.join(keys)}")


def _check_number(where: str, value: Any, least: int = 1) -> None:
    # bool is an int to Python.
    if type(value) is not int or not least <= value <= MAX_DIM:
        raise TuningError(f"{where} is {value!r} but must be a whole number from {least} to {MAX_DIM}")
