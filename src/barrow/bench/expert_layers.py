"""Who computes a whole layer of experts in a benchmark: barrow, and DeepGEMM's kernels with Triton's around them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol

import torch

from barrow.bench.groups import Quantised
from barrow.bench.providers import DEVICE, collect, import_deep_gemm, in_processes, overlaps, set_overlap
from barrow.experts import Fp8Experts
from barrow.ops.layout import scale_blocks

# How DeepGEMM is told which rows belong to which expert: by the expert of each row, by where each expert's rows end, or
# by how many it has in a slab of its own.
Layout = Literal["indices", "ends", "masked"]
LAYOUTS: tuple[Layout, ...] = ("indices", "ends", "masked")

# Rows at whose multiples the groups begin. 128 unless DeepGEMM is told otherwise; experts that have few rows each are
# faster with the smallest tile that it has.
ALIGNMENT = 64
# Slabs hold whole tiles, for tiles are stored whole.
SLAB_ALIGNMENT = 128


class Layer(Protocol):
    """One contender."""

    name: str

    def prepare(self) -> None:
        """Set what is global to the contender's library."""

    def run(self, x: torch.Tensor, ids: torch.Tensor, routing: torch.Tensor) -> torch.Tensor:
        """y [T, H] of x [T, H] bfloat16, ids [T, top_k] int32, all of experts that are there, routing float32."""


class Glue(Protocol):
    """What surrounds the products; see `barrow.bench.triton_experts`."""

    def route(
        self, ids: torch.Tensor, experts: int, layout: str, rows: int, alignment: int
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    def scatter(self, x: torch.Tensor, positions: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None: ...

    def activate(self, x: torch.Tensor, positions: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None: ...

    def gather(self, y: torch.Tensor, positions: torch.Tensor, weights: torch.Tensor, out: torch.Tensor) -> None: ...


class BarrowLayer:
    """barrow's layer."""

    name = "barrow"

    def __init__(self, experts: Fp8Experts) -> None:
        self._experts = experts

    def prepare(self) -> None:
        pass

    def run(self, x: torch.Tensor, ids: torch.Tensor, routing: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self._experts(x, ids, routing)
        return y


@dataclass(frozen=True)
class Room:
    """How many slabs of how many rows hold the rows of any routing: the host does not know how they are dealt out."""

    slabs: int
    rows: int
    expected_m: int  # of an expert, rounded up

    @classmethod
    def of(cls, layout: Layout, tokens: int, top_k: int, experts: int) -> "Room":
        pairs = tokens * top_k
        expected = -(-pairs // experts)
        if layout == "masked":
            # The experts of a token differ.
            return cls(experts, -(-tokens // SLAB_ALIGNMENT) * SLAB_ALIGNMENT, expected)
        # At worst as many experts as there can be have a row each, and one of them all others.
        used = min(pairs, experts)
        return cls(1, (used + (pairs - used) // ALIGNMENT) * ALIGNMENT, expected)

    def operand(self, k: int) -> Quantised:
        """Uninitialised rows [slabs, rows, k], with scales as DeepGEMM wants them: rows adjacent."""
        q = torch.empty(self.slabs, self.rows, k, device=DEVICE, dtype=torch.float8_e4m3fn)
        scale = torch.empty(self.slabs, scale_blocks(k), self.rows, device=DEVICE)
        return Quantised(q, scale.mT)


def multiply(
    module: ModuleType, layout: Layout, room: Room, a: Quantised, b: Quantised, groups: torch.Tensor
) -> torch.Tensor:
    """[slabs, rows, N] bfloat16: the rows of each expert times its matrix."""
    out = torch.empty(room.slabs, room.rows, b.q.shape[1], device=DEVICE, dtype=torch.bfloat16)
    if layout == "masked":
        module.m_grouped_fp8_gemm_nt_masked(a.pair, b.pair, out, groups, room.expected_m)
    elif layout == "ends":
        module.m_grouped_fp8_gemm_nt_contiguous(
            a[0].pair, b.pair, out[0], groups, use_psum_layout=True, expected_m_for_psum_layout=room.expected_m
        )
    else:
        module.m_grouped_fp8_gemm_nt_contiguous(a[0].pair, b.pair, out[0], groups)
    return out


class DeepGemmLayer:
    """DeepGEMM's grouped products in one of its layouts, with launches overlapped or not."""

    def __init__(self, module: ModuleType, glue: Glue, experts: Fp8Experts, layout: Layout, pdl: bool) -> None:
        self.name = f"deep_gemm_{layout}{'_pdl' if pdl else ''}"
        self._module, self._glue, self._layout, self._pdl = module, glue, layout, pdl
        self._gate_up = Quantised(experts.gate_up_weight, experts.gate_up_weight_scale_inv)
        self._down = Quantised(experts.down_weight, experts.down_weight_scale_inv)

    def prepare(self) -> None:
        set_overlap(self._module, self._pdl)
        self._module.set_mk_alignment_for_contiguous_layout(ALIGNMENT)

    def run(self, x: torch.Tensor, ids: torch.Tensor, routing: torch.Tensor) -> torch.Tensor:
        experts, hidden, intermediate = self._down.q.shape
        tokens, top_k = ids.shape
        room = Room.of(self._layout, tokens, top_k, experts)
        positions, groups = self._glue.route(ids, experts, self._layout, room.rows, ALIGNMENT)
        a = room.operand(hidden)
        self._glue.scatter(x, positions, a.q, a.scale.mT)
        wide = multiply(self._module, self._layout, room, a, self._gate_up, groups)
        a = room.operand(intermediate)
        self._glue.activate(wide, positions, a.q, a.scale.mT)
        y = multiply(self._module, self._layout, room, a, self._down, groups)
        out = torch.empty_like(x)
        self._glue.gather(y, positions, routing, out)
        return out


def deep_gemm_layers(module: ModuleType, glue: Glue, experts: Fp8Experts) -> list[Layer]:
    return [DeepGemmLayer(module, glue, experts, layout, pdl) for layout in LAYOUTS for pdl in overlaps(module)]


def layers(experts: Fp8Experts, peers: Sequence[str], folder: Path | None) -> tuple[list[Layer], dict[str, str]]:
    """barrow and DeepGEMM in all layouts, if it is among `peers`, or why it cannot take part; see `providers`."""
    modules, missing = _modules(peers, folder)
    found = [layer for module, glue in modules for layer in deep_gemm_layers(module, glue, experts)]
    return [BarrowLayer(experts), *found], missing


def can_take_part(peers: Sequence[str], folder: Path | None) -> bool:
    """Whether `layers` has one of DeepGEMM's."""
    return bool(_modules(peers, folder)[0])


def _modules(peers: Sequence[str], folder: Path | None) -> tuple[list[tuple[ModuleType, Glue]], dict[str, str]]:
    peers = [peer for peer in peers if peer == "deep_gemm"]
    modules, missing = collect({"deep_gemm": lambda: [import_deep_gemm(folder)]}, peers, folder)
    try:
        from barrow.bench import triton_experts
    except (ImportError, OSError, RuntimeError) as error:
        why = f"what surrounds its kernels is in Triton: {type(error).__name__}: {error}"
        return [], {**missing, **({"deep_gemm": why} if modules else {})}
    return [(module, triton_experts) for module in modules], missing


@dataclass(frozen=True)
class Compilation:
    """The products of a layout with weights [G, N, K], for several numbers of tokens."""

    layout: Layout
    groups: int
    n: int
    k: int
    tokens: tuple[int, ...]
    top_k: int


def _compile(folder: Path | None, tasks: Sequence[Compilation]) -> None:
    module = import_deep_gemm(folder)
    module.set_mk_alignment_for_contiguous_layout(ALIGNMENT)
    for task in tasks:
        # No row is of any expert, so whatever the memory holds is not read.
        b = Quantised(
            torch.empty(task.groups, task.n, task.k, device=DEVICE, dtype=torch.float8_e4m3fn),
            torch.empty(task.groups, scale_blocks(task.n), scale_blocks(task.k), device=DEVICE),
        )
        for tokens in task.tokens:
            room = Room.of(task.layout, tokens, task.top_k, task.groups)
            rows, nobody = (room.rows, -1) if task.layout == "indices" else (task.groups, 0)
            groups = torch.full((rows,), nobody, device=DEVICE, dtype=torch.int32)
            # What it refuses here it refuses again when it is timed, and is quoted then.
            with suppress(Exception):
                multiply(module, task.layout, room, room.operand(task.k), b, groups)
        torch.cuda.synchronize()
        # Other processes need the memory.
        del b
        torch.cuda.empty_cache()


def warm_layers(folder: Path | None, sizes: tuple[int, int, int], tokens: Sequence[int], top_k: int, n: int) -> None:
    """Let at most `n` processes fill DeepGEMM's cache on disk for experts of `sizes`: experts, hidden, intermediate."""
    experts, hidden, intermediate = sizes
    tasks = [
        Compilation(layout, experts, *nk, tuple(tokens), top_k)
        for layout in LAYOUTS
        for nk in ((2 * intermediate, hidden), (hidden, intermediate))
    ]
    in_processes(_compile, folder, tasks, n)
