"""The walks of kernels/tile_scheduler.cuh and k_group_scheduler.cuh over the tiles of D, compiled for the host."""

import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from choice_probe import SPECS
from walks import host_program, walk_program

TILES = sorted(
    {(spec.block_m, spec.block_n, spec.cluster_k, int(spec.alternates)) for spec in SPECS if not spec.grouped}
)
OF_K_GROUPS = sorted({(spec.block_m, spec.block_n) for spec in SPECS if spec.k_groups})

Tile = tuple[int, int, int, int]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walk_program(tmp_path_factory.mktemp("walk"), "tile_walk.cpp", TILES)


def walks(program: Path, asked: Sequence[tuple[int, ...]]) -> list[list[Tile]]:
    """First row, first column, group and direction of every tile, for each line of what the program is asked."""
    lines = "".join(f"{' '.join(map(str, walk))}\n" for walk in asked)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    numbers = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    return [list(zip(*(row[i::4] for i in range(4)), strict=True)) for row in numbers]


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: "x".join(map(str, tile)))
def test_every_element_is_in_a_tile_and_every_tile_is_where_the_copy_engine_can_load(
    tile: tuple[int, int, int, int], program: Path
) -> None:
    block_m, block_n, cluster_k, _ = tile
    ms = {*range(1, 12), *(block_m * i + off for i in (1, 2, 5) for off in (-3, -1, 0, 1, 2, 3, 4, 5, block_m // 2))}
    asked = [
        (*tile, m, n, band, along, 0, clusters)
        for m, n, band, along in product(
            sorted(m for m in ms if m > 0), (1, block_n, 3 * block_n + 1), (1, 2, 7), (0, 1)
        )
        for tiles in (-(-m // block_m) * -(-n // block_n),)
        # Clusters that split K have one tile each.
        for clusters in ({tiles} if cluster_k > 1 else {1, min(2, tiles), tiles})
    ]
    for (*_, m, n, _, _, _, _), tiles in zip(asked, walks(program, asked), strict=True):
        walked = [(row, column) for row, column, *_ in tiles]
        rows, columns = sorted({row for row, _ in walked}), sorted({column for _, column in walked})
        assert columns == list(range(0, n, block_n))
        assert sorted(walked) == list(product(rows, columns)), "each tile once"
        assert len(rows) == -(-m // block_m)
        # No row is left out, and only the last tile reaches back and, by what its first row is rounded up to, beyond M.
        assert rows[:-1] == list(range(0, m - block_m, block_m))
        assert rows[-1] <= block_m * (len(rows) - 1)
        assert m <= rows[-1] + block_m
        assert len(rows) == 1 or rows[-1] + block_m < m + 4
        # Rows are the inner dimension of the map of A's scales, and columns that of D's: whole 16 bytes of them.
        assert all(row * 4 % 16 == 0 for row in rows)
        assert all(column * 2 % 16 == 0 for column in columns)


def test_every_other_tile_goes_back_through_k_but_where_rows_are_in_two(program: Path) -> None:
    """Else both tiles would sum the same elements up in different orders, and which one stores last is chance."""
    (tile,) = {tile for tile in TILES if tile[3]}
    block_m, block_n, *_ = tile
    for m, reaches_back in ((6 * block_m, False), (5 * block_m + 8, True)):
        for along, clusters in product((0, 1), (1, 2, 3, 5, 24)):
            (tiles,) = walks(program, [(*tile, m, 4 * block_n, 2, along, 0, clusters)])
            # The program writes one cluster's walk after another's: each takes every `clusters`-th tile.
            rounds = [round_ for cluster in range(clusters) for round_, _ in enumerate(range(cluster, 24, clusters))]
            in_two = {(row, column) for row, column, *_ in tiles if reaches_back and row + 2 * block_m > m}
            want = [
                round_ % 2 == 1 and (row, column) not in in_two
                for round_, (row, column, *_) in zip(rounds, tiles, strict=True)
            ]
            assert [bool(backward) for *_, backward in tiles] == want
            assert any(want) == (clusters < 24)
    other = next(tile for tile in TILES if not tile[3] and tile[2] == 1)
    (tiles,) = walks(program, [(*other, 6 * other[0], 4 * other[1], 2, 0, 0, 2)])
    assert {backward for *_, backward in tiles} == {0}


@pytest.mark.parametrize("tile", OF_K_GROUPS, ids=lambda tile: "x".join(map(str, tile)))
def test_groups_of_k_are_walked_one_after_another_as_one_product_is(tile: tuple[int, int], program: Path) -> None:
    block_m, block_n = tile
    shapes = list(product((1, 2 * block_m, 3 * block_m + 5), (1, 2 * block_n + 1), (1, 2), (0, 1)))
    alone = walks(program, [(*tile, 1, 0, *shape, 0, 1) for shape in shapes])
    asked = [
        (shape, tiles, groups, ctas)
        for shape, tiles in zip(shapes, alone, strict=True)
        for groups in (1, 2, 13)
        # Few, as many as one group has tiles, one that crosses groups unevenly, and one for every tile.
        for ctas in {1, len(tiles), len(tiles) + 1, groups * len(tiles)}
        if ctas <= groups * len(tiles)
    ]
    walked = walks(program, [(*tile, 1, 0, *shape, groups, ctas) for shape, _, groups, ctas in asked])
    for (_, tiles, groups, ctas), found in zip(asked, walked, strict=True):
        every = [(row, column, group, 0) for group in range(groups) for row, column, *_ in tiles]
        assert found == [place for cta in range(ctas) for place in every[cta::ctas]]


def test_a_product_by_a_reciprocal_is_the_quotient(tmp_path: Path) -> None:
    top = 2**32
    powers = [2**i + off for i in range(33) for off in (-1, 0, 1)]
    divisors = sorted({d for d in (*powers, *range(1, 200), 132 * 7, 65521, top // 3) if 0 < d < top})
    numbers = sorted({n for n in (*powers, *range(1000), top // 3 * 2) if 0 <= n < top})
    # Around multiples of the divisor a quotient changes.
    near = [(d * q + off, d) for d in divisors for q in (1, 2, 3, 1000, (top - 1) // d) for off in (-1, 0, 1)]
    asked = [*product(numbers, divisors), *((n, d) for n, d in near if 0 <= n < top)]
    lines = "".join(f"{n} {d}\n" for n, d in asked)
    program = host_program(tmp_path, "quotient.cpp")
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    assert list(map(int, done.stdout.split())) == [n // d for n, d in asked]
