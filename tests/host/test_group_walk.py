"""The walk of kernels/group_scheduler.cuh over the tiles of all groups, compiled for the host, a warp of fibers."""

import random
import subprocess
from collections import Counter
from itertools import accumulate, groupby
from pathlib import Path

import pytest
from choice_probe import SPECS
from grouped_problem import KINDS, TOLD, Told
from walks import walk_program

TILES = sorted({(spec.block_m, spec.block_n, spec.part_rows, spec.cluster_n) for spec in SPECS if spec.grouped})
Tile = tuple[int, ...]
# Rows of the tiles whose walk mixes groups of several tiles with those of one.
MIXED = 128


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walk_program(tmp_path_factory.mktemp("walk"), "group_walk.cpp", TILES, "-Wno-unknown-pragmas")


def many(block_m: int) -> list[tuple[Told, int]]:
    """More groups and runs than a warp has lanes, around its multiples, and sizes around the tile."""
    drawn = random.Random(block_m)
    sizes = [drawn.choice((0, 0, 1, 3, block_m - 1, block_m, block_m + 1)) for _ in range(70)]
    ends = [sum(sizes[: i + 1]) for i in range(70)]
    runs = [(3, 31), (1, 1), (4, 32), (4, 1), (-1, 30), (2, 33), (70, 2), (2, 64), (0, 32), (5, 32), (5, 70), (6, 1)]
    indices = [index for index, length in runs for _ in range(length)]
    return [
        (Told("ends", tuple(ends), ends[-1]), 70),
        (Told("ends", (0,) * 31 + (5,) * 32 + (9,), 9), 64),
        (Told("counts", tuple(sizes), block_m + 1), 70),
        (Told("indices", tuple(indices), len(indices)), 70),
        (Told("indices", tuple(i for i in indices for _ in range(2))[1:], 2 * len(indices) - 1, 2), 70),
        (Told("indices", (7,) * 100, 100), 8),
        (Told("indices", tuple(drawn.randint(-1, 3) for _ in range(97)), 97), 3),
    ]


def spans(told: Told, groups: int) -> list[tuple[int, int, int, int]]:
    """Slab, first row, end and group of every run of rows."""
    owners = told.owners(groups)
    if told.kind == "ends":
        of_group = [[row for row, claimed in enumerate(owners) if g in claimed] for g in range(groups)]
        return [(0, rows[0], rows[-1] + 1, g) for g, rows in enumerate(of_group) if rows]
    found = []
    for (slab, claimed), run in groupby(enumerate(owners), key=lambda at: (at[0] // max(told.rows, 1), at[1])):
        rows = [row - slab * told.rows for row, _ in run]
        found += [(slab, rows[0], rows[-1] + 1, g) for g in claimed]
    return found


def in_rounds(parts: list[list[Tile]], cluster_n: int) -> list[Tile]:
    """The tiles of all CTAs in the order in which one cluster alone would go.

    In every round a cluster has the place of the one after it in the round before.
    """
    clusters = len(parts) // cluster_n
    order: list[Tile] = []
    for turn in range(max(map(len, parts))):
        for place in range(clusters):
            first = (place - turn) % clusters * cluster_n
            order += [part[turn] for part in parts[first : first + cluster_n] if turn < len(part)]
    return order


Walk = tuple[Told, int, int, int, int, int]  # and groups, columns of tiles, band, along, CTAs


def walk(program: Path, tile: tuple[int, int, int, int], walks: list[Walk]) -> list[list[list[Tile]]]:
    """The tiles of every CTA of every walk."""
    block_m, block_n, part_rows, cluster_n = tile
    lines = [
        f"{block_m} {block_n} {part_rows} {cluster_n} {told.rows} {columns * block_n - 3} {band} {along} "
        f"{KINDS.index(told.kind)} {groups} {told.alignment} {ctas} {len(told.numbers)} "
        f"{' '.join(map(str, told.numbers))}\n"
        for told, groups, columns, band, along, ctas in walks
    ]
    done = subprocess.run([program], input="".join(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    numbers = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    tiles = [[tuple(of_cta[i : i + 6]) for i in range(0, len(of_cta), 6)] for of_cta in numbers]
    ends = list(accumulate(ctas for *_, ctas in walks))
    assert len(tiles) == ends[-1]
    return [tiles[end - ctas : end] for end, (*_, ctas) in zip(ends, walks, strict=True)]


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: "x".join(map(str, tile)))
def test_every_row_of_a_group_is_in_one_tile_of_each_column_and_no_other_row_is(
    tile: tuple[int, int, int, int], program: Path
) -> None:
    block_m, block_n, part_rows, cluster_n = tile
    cases = [(told, 5) for told in TOLD.values()] + many(block_m)
    # Columns of tiles, band, along, clusters. More than one cluster go as the one in front of them does alone, but
    # where a round has its share of either kind of group.
    walks = [(1, 1, 0, 1), (3, 1, 0, 1), (3, 2, 1, 1), (3, 7, 0, 1), (3, 7, 0, 5)]
    asked = [
        (told, groups, columns, band, along, clusters * cluster_n)
        for told, groups in cases
        for columns, band, along, clusters in walks
    ]
    walked = walk(program, tile, asked)
    alone: list[Tile] = []
    for (told, groups, columns, band, along, ctas), parts in zip(asked, walked, strict=True):
        case = f"{told}, {columns} columns, band {band}, along {along}"
        order = in_rounds(parts, cluster_n)
        if ctas > cluster_n:
            assert sorted(order) == sorted(alone) if block_m == MIXED else order == alone, case
        alone = order
        seen: Counter[Tile] = Counter()
        for m, n, group, slab, first, end in order:
            assert m < end <= m + block_m, case
            # Rows are the inner dimension of the map of A's scales: whole 16 bytes of them.
            assert m % 4 == 0, case
            assert slab == (group if told.kind == "counts" else 0), case
            # The last CTA of a cluster may have no column.
            if n < columns * block_n:
                seen.update((slab, row, group, n) for row in range(max(m, first), min(m + block_m, end)))
        runs = spans(told, groups)
        wanted = {
            (slab, row, group, column * block_n)
            for slab, first, end, group in runs
            for row in range(first, end)
            for column in range(columns)
        }
        assert seen == Counter(wanted), case
        # No tile more than it takes, and none with two parts more than another of the group.
        across = -(-columns // cluster_n) * cluster_n
        assert len(order) == across * sum(-(-(end - first // 4 * 4) // block_m) for _, first, end, _ in runs), case
        shares = {(slab, group, m): -(-(end - m) // part_rows) for m, _, group, slab, _, end in order}
        for (slab, group), of_group in groupby(sorted(shares), key=lambda at: at[:2]):
            # Runs of indices may name a group more than once.
            if told.kind != "indices":
                dealt = [shares[at] for at in of_group]
                assert max(dealt) - min(dealt) <= 1, (case, slab, group)


@pytest.mark.parametrize(
    "tile", [tile for tile in TILES if tile[0] == MIXED], ids=lambda tile: "x".join(map(str, tile))
)
def test_every_round_has_its_share_of_groups_with_several_tiles(tile: tuple[int, int, int, int], program: Path) -> None:
    block_m, *_ = tile
    # Of the first 32 groups, 13 of 18 tiles of a column are of groups with several. The others come after them.
    sizes = [4 * block_m, 7, 0, 5 * block_m - 1, block_m, 1, 4 * block_m, 64, 90] + [0] * 30 + [block_m - 1, 2]
    told, columns, clusters = Told("counts", tuple(sizes), 5 * block_m), 8, 10
    (parts,) = walk(program, tile, [(told, len(sizes), columns, 1, 0, clusters)])
    groups = [of_tile[2] for of_tile in in_rounds(parts, 1)]
    # 10 * 13 / 18 is 7, and 6 are whole pairs of neighbours. After 10 rounds there is none of the others left.
    tall, low = [True] * 6, [False] * 4
    mixed = [*tall, *low, *low, *tall] * 5
    assert [sizes[group] > block_m for group in groups] == [*mixed, *[True] * (13 * 8 - 60), *[False] * 16]
    # Either kind goes on where it was.
    first = groups[: 18 * columns]
    for several in (True, False):
        of_kind = [group for group in first if (sizes[group] > block_m) == several]
        assert of_kind == sorted(of_kind)
