"""What all views say about one wheel in a line or a table, computed once."""

from __future__ import annotations

from dataclasses import dataclass

from barrow_wheel.check import WheelReport
from barrow_wheel.checks.cuda import codes_of, cuda_files, is_loose, linked_cuda
from barrow_wheel.checks.matrix import Cell, Loader, Module
from barrow_wheel.checks.requirements import followed
from barrow_wheel.checks.torch import minimum_torch, torch_files
from barrow_wheel.facts.gpus import CUDA13_DRIVER, USUAL_GPUS, Gpu, Support, driver_floor, gpu, support
from barrow_wheel.findings import Severity
from barrow_wheel.readers.device_code import DeviceCode

SYMBOLS = {Cell.OK: "✓", Cell.ABI3: "abi3", Cell.ANY: "●", Cell.PURE: "py", Cell.RISK: "!", Cell.MISSING: "✗"}
MEANINGS = {
    Cell.OK: "a file of its own",
    Cell.ABI3: "through the stable ABI",
    Cell.ANY: "not imported: the same for all",
    Cell.PURE: "falls back to Python source",
    Cell.RISK: "loads, but uses symbols that this CPython need not have",
    Cell.MISSING: "import fails",
}
BAD = (Cell.MISSING, Cell.RISK)
# A screen has 24 lines at least; what does not fit goes to --html and --json.
_ROWS = 6


@dataclass(frozen=True, slots=True)
class GpuRow:
    """The device code of the files that carry the same, and how each GPU runs it."""

    files: tuple[str, ...]
    codes: str
    driver: int
    support: tuple[Support, ...]


def matrix_rows(report: WheelReport, limit: int = _ROWS) -> tuple[tuple[Module, ...], tuple[Module, ...]]:
    """Rows to show and rows to sum up: broken ones first, then imports, then what is loaded in other ways."""
    order = {Loader.IMPORT: 0, Loader.TORCH: 1, Loader.LIBRARY: 2, Loader.PROGRAM: 3}
    rows = sorted(
        report.matrix.modules,
        key=lambda m: (not any(cell in BAD for cell in m.cells), order[m.loader], m.name.count("."), m.name),
    )
    if len(rows) <= limit:
        return tuple(rows), ()
    broken = sum(any(cell in BAD for cell in m.cells) for m in rows)
    shown = max(min(broken, limit), 4)
    return tuple(rows[:shown]), tuple(rows[shown:])


def gpus_of(report_gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    return report_gpus or tuple(gpu(name) for name in USUAL_GPUS)


def gpu_rows(report: WheelReport, gpus: tuple[Gpu, ...]) -> tuple[GpuRow, ...]:
    """One row for each distinct set of device code, the most limited first."""
    groups: dict[tuple[DeviceCode, ...], list[str]] = {}
    files = cuda_files(report.wheel)
    loose = [b for b in files if is_loose(b)]
    for binary in files:
        if not is_loose(binary):
            groups.setdefault(codes_of(binary), []).append(binary.path)
    if loose:
        merged = tuple(sorted({code for binary in loose for code in codes_of(binary)}))
        groups.setdefault(merged, []).extend(b.path for b in loose)
    # A file that links CUDA 13's libraries was made by its toolkit, even where the code alone does not tell.
    thirteen = {b.path for b in files if any(library.major == 13 for library in linked_cuda(b))}
    rows = (
        GpuRow(
            tuple(paths),
            arch_text(codes),
            CUDA13_DRIVER if set(paths) & thirteen else driver_of(codes),
            tuple(support(codes, one.arch) for one in gpus),
        )
        for codes, paths in groups.items()
    )
    # The file that serves the fewest GPUs is the one to know about.
    return tuple(sorted(rows, key=lambda row: (sum(s is Support.NATIVE for s in row.support), row.files)))


def arch_text(codes: tuple[DeviceCode, ...]) -> str:
    """sm_75 sm_80 sm_90a + PTX 80."""
    cubins = sorted({(c.arch, c.variant) for c in codes if c.kind == "cubin"})
    ptx = sorted({(c.arch, c.variant) for c in codes if c.kind == "ptx"})
    parts = [" ".join(f"sm_{arch}{variant}" for arch, variant in cubins)] if cubins else []
    parts += ["PTX " + " ".join(f"{arch}{variant}" for arch, variant in ptx)] if ptx else []
    return " + ".join(parts)


def driver_of(codes: tuple[DeviceCode, ...]) -> int:
    """The oldest driver branch with which some of the native code runs; of the PTX where there is nothing else."""
    native = [driver_floor(c) for c in codes if c.kind == "cubin"]
    # One toolkit made the whole file: a single sign of CUDA 13 moves the floor of everything in it.
    newest = max((driver_floor(c) for c in codes if c.kind == "ptx" or c.arch < 100), default=0)
    floor = min(native or [driver_floor(c) for c in codes], default=0)
    return max(floor, CUDA13_DRIVER) if newest >= CUDA13_DRIVER else floor


def torch_text(report: WheelReport) -> str:
    """How the wheel uses torch, "" when it does not."""
    files = torch_files(report.wheel)
    if not files:
        return ""
    unstable = sum(1 for file in files if file.use.unstable)
    minimum = minimum_torch(files)
    kinds = []
    if unstable:
        kinds.append(f"C++ ABI in {unstable} of {len(files)} files (bound to the torch of the build)")
    if any(file.use.shim for file in files):
        kinds.append("stable shim" + (f" >= {minimum[0]}.{minimum[1]}" if minimum else ""))
    declared = ", ".join(f"torch{r.specifier}" for r in followed(report.wheel, report.wheel.metadata.requires("torch")))
    return f"{', '.join(kinds) or 'linked'}; Requires-Dist: {declared or 'nothing'}"


def counts(report: WheelReport) -> dict[Severity, int]:
    return {severity: sum(f.severity is severity for f in report.findings) for severity in reversed(Severity)}


def plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def size_text(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e8 else f"{size / 1e6:.0f} MB"
