"""The cost model of launcher/choice.cpp once more, for fits: its terms, its time, and costs from measured times."""

import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from math import ceil
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from barrow import launcher

# barrow_build makes the wheel and is not in it; behind the installed packages, so that `barrow` stays the wheel's.
sys.path.append(str(Path(__file__).resolve().parents[1] / "src"))

from barrow_build.config import CostModel

T = TypeVar("T", float, torch.Tensor)

# Names and values are those of launcher/choice.cpp.
L2_BYTES = 25 << 20
SQUARE = 128
USUAL_GB_S = 3352
SMS = 132
FILLED_SMS = (132, 132, 117, 120)
HIDDEN = 0.3
CROWDED = 0.2
LAST_ROUND = 0.5
THROTTLED_US = 60.0
DRIFT_BLOCKS = 2000
COEFFICIENTS = tuple(field.name for field in fields(CostModel))

# How much a kernel's own times have to say before its coefficients leave those of its family: a coefficient that is
# twice the family's weighs as much as ten times that are wrong by 10 %. Chosen by the loss on shapes held out.
DRAWN = 10 * 0.1**2
# How far a kernel's CTAs drift apart depends on how its tiles are walked over, and what it takes at the power limit on
# what they load, so there each may go a way of its own.
PULL = torch.tensor([0.1 if name in ("again", "throttle") else 1.0 for name in COEFFICIENTS], dtype=torch.float64)
# A start for the fit of a family, drawn to it so little that any time outweighs it.
GUESS = torch.tensor([1.0, 0.3, 1.0, 1.0, 1.0, 0.3, 0.2, 0.1], dtype=torch.float64)
BARELY = 1e-6
# Where a family shows none of it, a kernel still starts from next to nothing.
LEAST = torch.tensor([0.2 if name == "again" else 0.02 for name in COEFFICIENTS], dtype=torch.float64)
STEPS = 60
# A step of the logarithms that four digits of a coefficient do not show.
CONVERGED = 1e-6
# A coefficient below it changes no choice.
NOTHING = 1e-9
# FLOP and bytes that an SM of an H100 gets done in a microsecond, so that one coefficient fits tiles of any size.
FLOP_PER_US = 11.4e6
BYTES_PER_US = 40e3


class Tile(Hashable, Protocol):
    """What of a kernel the terms depend on; a GemmSpec is one."""

    @property
    def block_m(self) -> int: ...
    @property
    def block_n(self) -> int: ...
    @property
    def cluster_k(self) -> int: ...
    @property
    def cluster_n(self) -> int: ...
    @property
    def ctas_per_sm(self) -> int: ...
    @property
    def blocks_ahead(self) -> int: ...
    @property
    def swapped(self) -> bool: ...
    @property
    def grouped(self) -> bool: ...


@dataclass(frozen=True)
class Gpu:
    """What of a GPU the terms depend on; bandwidth is the peak."""

    num_sms: int
    memory_gb_s: int


@dataclass(frozen=True)
class Sample:
    """A time of a kernel for [m, k] x [n, k]^T, or for rows in `groups`; `best_us` is the fastest kernel's there."""

    m: int
    n: int
    k: int
    groups: int
    gpu: Gpu
    us: float
    best_us: float


def cluster_size(tile: Tile) -> int:
    return tile.cluster_k * tile.cluster_n


def cluster_columns(tile: Tile) -> int:
    """Of D that the tiles of a cluster cover."""
    return tile.block_n * tile.cluster_n


def resident_clusters(tile: Tile, num_sms: int) -> int:
    size = cluster_size(tile)
    return num_sms * FILLED_SMS[min(size, len(FILLED_SMS)) - 1] // SMS * tile.ctas_per_sm // size


def likely_groups(m: int, groups: int) -> float:
    """Groups that are likely to have rows."""
    if groups <= 1 or m >= 4 * groups:
        return float(groups)
    return float(groups * (1 - (1 - 1 / groups) ** m))


def rows_of_tiles(tile: Tile, m: int, groups: int) -> float:
    """Rows of tiles; of groups whose rows are spread geometrically, as many as there are on average."""
    if groups <= 1:
        return -(-m // tile.block_m)
    active = likely_groups(m, groups)
    return float(active / (1 - (1 - active / m) ** tile.block_m))


def drifts(tile: Tile) -> bool:
    """Whether CTAs of a long launch drift apart, until L2 has lost what a neighbour has loaded. Groups show none of it,
    nor do lower tiles: fitted with them, M up to 128 lost 2.4 % for 2.2, each N x K held out."""
    return tile.block_m >= SQUARE and not tile.grouped


@cache
def terms(tile: Tile, m: int, n: int, k: int, groups: int, gpu: Gpu, out_bytes: int = 2) -> tuple[float, ...]:
    """What the coefficients are multiplied with, in the order of CostModel, all but the last."""
    columns = -(-n // cluster_columns(tile))
    clusters, resident = int(rows_of_tiles(tile, m, groups) * columns), resident_clusters(tile, gpu.num_sms)
    waves = -(-clusters // resident)
    k_blocks = -(-k // (128 * tile.cluster_k))
    matrices = likely_groups(m, groups) if groups else 1
    stage = (min(m / matrices, tile.block_m) + tile.block_n) / (tile.block_m + tile.block_n)
    tiles_per_sm = clusters * cluster_size(tile) / gpu.num_sms
    turns: float = max(waves, ceil(tiles_per_sm))
    if tile.ctas_per_sm > 1 and tiles_per_sm <= 1:
        turns += CROWDED * tiles_per_sm
    bytes_per_us = 1e3 * (gpu.memory_gb_s or USUAL_GB_S)
    once_us = ((m + matrices * n) * k + m * n * out_bytes) / bytes_per_us
    if clusters > resident:
        empty = (waves * resident / clusters - 1) * (1 if groups else LAST_ROUND)
    else:
        empty = max(0.0, 1 - tiles_per_sm)
    # Groups were timed, and are launched by most, without.
    early = 0.0 if groups else min(1.0, tile.blocks_ahead / k_blocks)
    rounds = waves - HIDDEN * early
    load = tiles_per_sm * k_blocks * stage
    loaded_bytes = load * gpu.num_sms * (tile.block_m + tile.block_n) * 128
    blocks = waves * k_blocks if drifts(tile) and (m + n) * k > L2_BYTES else 0
    again = loaded_bytes * blocks / (blocks + DRIFT_BLOCKS)
    return 1.0, rounds, turns * k_blocks, load, once_us, empty * (1 - early) * once_us, again / bytes_per_us


def predict(cost: CostModel, tile: Tile, m: int, n: int, k: int, groups: int, gpu: Gpu, out_bytes: int = 2) -> float:
    """Microseconds, as predict_us says them."""
    found = terms(tile, m, n, k, groups, gpu, out_bytes)
    parts: list[float] = [term * value for term, value in zip(found, astuple(cost)[:-1], strict=True)]
    us = _total(parts)
    return us + cost.throttle * _long(us)


def _total(parts: Sequence[T]) -> T:
    fixed, tile, k_block, load, memory, idle, again = parts
    return fixed + tile + _overlapped(k_block + load, memory + idle + again)


def _overlapped(a: T, b: T) -> T:
    both: T = (a**4 + b**4) ** 0.25
    return both


def _long(us: T) -> T:
    """What the power limit makes longer: of a launch of `THROTTLED_US` half, of longer ones nearly all."""
    return us * us / (us + THROTTLED_US)


@dataclass(frozen=True)
class Rows:
    """Samples of one kernel, or of a family, as tensors: terms in the kernels' units, whether the kernel may be
    throttled, times, weights."""

    terms: torch.Tensor
    throttled: torch.Tensor
    us: torch.Tensor
    weight: torch.Tensor


def _times(rows: Rows, cost: torch.Tensor) -> torch.Tensor:
    us = _total((rows.terms * cost[:-1]).unbind(1))
    return us + rows.throttled * cost[-1] * _long(us)


def _slopes(rows: Rows, cost: torch.Tensor) -> torch.Tensor:
    """The derivatives of `_times` by the coefficients."""
    parts = (rows.terms * cost[:-1]).unbind(1)
    _, _, k_block, load, memory, idle, again = parts
    compute, memory = k_block + load, memory + idle + again
    both = _overlapped(compute, memory).clamp(min=1e-30)
    by_compute, by_memory = ((part / both) ** 3 for part in (compute, memory))
    ones = torch.ones_like(both)
    by_part = torch.stack([ones, ones, by_compute, by_compute, by_memory, by_memory, by_memory], 1)
    us = _total(parts)
    by_us = 1 + rows.throttled * cost[-1] * us * (us + 2 * THROTTLED_US) / (us + THROTTLED_US) ** 2
    return torch.cat([rows.terms * by_part * by_us[:, None], (rows.throttled * _long(us))[:, None]], 1)


def _units(tile: Tile) -> torch.Tensor:
    """Coefficients of a kernel that runs at the rates above: what makes those of a family alike."""
    narrow = tile.block_m if tile.swapped else tile.block_n
    # wgmma takes as long for 8 columns as for 16.
    flop = 2 * 128 * tile.block_m * tile.block_n * max(narrow, 16) / narrow
    loaded = (tile.block_m + tile.block_n) * 128
    k_block = flop * tile.ctas_per_sm / FLOP_PER_US
    return torch.tensor([1, 1, k_block, loaded / BYTES_PER_US, 1, 1, 1, 1], dtype=torch.float64)


def throttled(tile: Tile) -> bool:
    """Whether a long launch of the kernel is one of many rows, which hold a GPU at its power limit. With few rows it is
    long because of what it reads: fitted there too, M up to 128 lost 2.5 % for 2.2, each N x K held out."""
    return tile.block_m >= SQUARE


def _rows(tile: Tile, samples: Sequence[Sample]) -> Rows:
    found = [terms(tile, s.m, s.n, s.k, s.groups, s.gpu) for s in samples]
    us = torch.tensor([s.us for s in samples], dtype=torch.float64)
    best = torch.tensor([s.best_us for s in samples], dtype=torch.float64)
    by_kernel = torch.full_like(us, float(throttled(tile)))
    # Squared: N x K held out lose 2.1 % then, and 2.3 by the plain quotient.
    return Rows(torch.tensor(found, dtype=torch.float64) * _units(tile)[:-1], by_kernel, us, (best / us) ** 2)


def _least_squares(rows: Rows, drawn_to: torch.Tensor, pull: torch.Tensor) -> torch.Tensor:
    """Coefficients, none below zero, of the least weighted relative error plus `pull` times the relative way from
    `drawn_to`, both squared: Levenberg and Marquardt's method on the logarithms."""
    log = torch.zeros_like(drawn_to)
    root = pull.sqrt()
    scale = rows.weight / rows.us

    def residuals(log: torch.Tensor) -> torch.Tensor:
        cost = drawn_to * log.exp()
        return torch.cat([scale * _times(rows, cost) - rows.weight, root * (log.exp() - 1)])

    damping, error = 1e-3, residuals(log)
    for _ in range(STEPS):
        cost = drawn_to * log.exp()
        slopes = torch.cat([scale[:, None] * _slopes(rows, cost) * cost, torch.diag(root * log.exp())])
        normal, gradient = slopes.T @ slopes, slopes.T @ error
        step = torch.linalg.solve(normal + damping * torch.diag(normal.diagonal() + 1e-12), gradient).clamp(-2, 2)
        if float(step.abs().max()) < CONVERGED:
            break
        after = residuals(log - step)
        if after.square().sum() < error.square().sum():
            log, error, damping = log - step, after, damping / 4
        else:
            damping *= 8
    return drawn_to * log.exp()


def family(tile: Tile) -> tuple[bool, bool, bool]:
    """Kernels whose coefficients are alike but for the size of their tiles."""
    return tile.swapped, tile.cluster_k > 1, tile.grouped


def _four_digits(value: float) -> float:
    """What is written down; logarithms know no zero, but get near it."""
    return float(f"{value:.4g}") if value > NOTHING else 0.0


def fit(tiles: Mapping[str, Tile], samples: Mapping[str, Sequence[Sample]]) -> dict[str, CostModel]:
    """Costs of every kernel of `samples`, by name.

    First the coefficients that fit all kernels of a family together, in units of their tiles; then each kernel's own,
    drawn to them, so that shapes unlike those measured are not predicted from a few times. A time counts the more the
    nearer the kernel is to the fastest one of its shape: where it is far off, so may its model be.
    """
    rows = {name: _rows(tiles[name], of_kernel) for name, of_kernel in samples.items() if of_kernel}
    costs = {}
    for kind in sorted({family(tiles[name]) for name in rows}):
        names = [name for name in rows if family(tiles[name]) == kind]
        together = Rows(*(torch.cat([getattr(rows[name], f.name) for name in names]) for f in fields(Rows)))
        common = _least_squares(together, GUESS, torch.full_like(GUESS, BARELY))
        # What a family has none of is no reason for its kernels to have none.
        common = common.clamp(min=LEAST)
        for name in names:
            found = _least_squares(rows[name], common, DRAWN * PULL) * _units(tiles[name])
            found[-2] *= drifts(tiles[name])
            found[-1] *= throttled(tiles[name])
            costs[name] = CostModel(*(_four_digits(value) for value in found.tolist()))
    return costs


@dataclass(frozen=True)
class _Installed:
    block_m: int
    block_n: int
    cluster_k: int
    cluster_n: int
    ctas_per_sm: int
    blocks_ahead: int
    swapped: bool = False
    grouped: bool = False


def check_formula(gpu: Gpu) -> None:
    """Raise RuntimeError if the launcher installed here predicts by another formula than this file."""
    kernels = {row["name"]: row for row in launcher.kernels() if row["kind"] != "aux"}
    for m, n, k, groups in (
        (1, 576, 7168, 0),
        (96, 5120, 8192, 0),
        (515, 2112, 1000, 0),
        (4096, 24576, 1536, 0),
        (5000, 7168, 16384, 0),
        (640, 4096, 7168, 32),
        (6000, 7168, 2048, 6),
    ):
        for candidate in launcher.choose(m, n, k, "bf16", gpu.num_sms, gpu.memory_gb_s, groups=groups):
            kernel, said = kernels[candidate["kernel"]], candidate["predicted_us"]
            tile = _Installed(
                kernel["block_m"],
                kernel["block_n"],
                kernel["cluster_k"],
                kernel["cluster_n"],
                kernel["ctas_per_sm"],
                kernel["blocks_ahead"],
                grouped=groups > 0,
            )
            ours = predict(CostModel(**kernel["cost"]), tile, m, n, k, groups, gpu)
            # The launcher's costs are float32.
            if abs(ours - said) > 1e-5 * said:
                raise RuntimeError(
                    f"launcher/choice.cpp predicts {said} us for {kernel['name']} at M={m} N={n} K={k}, "
                    f"{groups} groups, benchmarks/cost_model.py {ours}; bring the formulas together, and build, first"
                )
