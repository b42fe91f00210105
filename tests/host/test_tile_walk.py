"""The walk of kernels/tile_scheduler.cuh over the tiles of D, compiled for the host."""

import subprocess
from itertools import product
from pathlib import Path

import pytest
from choice_probe import SPECS
from walks import walk_program

TILES = sorted({(spec.block_m, spec.block_n, spec.cluster_k) for spec in SPECS})


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walk_program(tmp_path_factory.mktemp("walk"), "tile_walk.cpp", TILES)


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: "x".join(map(str, tile)))
def test_every_element_is_in_a_tile_and_every_tile_is_where_the_copy_engine_can_load(
    tile: tuple[int, int, int], program: Path
) -> None:
    block_m, block_n, cluster_k = tile
    ms = {*range(1, 12), *(block_m * i + off for i in (1, 2, 5) for off in (-3, -1, 0, 1, 2, 3, 4, 5, block_m // 2))}
    asked = [
        (m, n, band, along, clusters)
        for m, n, band, along in product(
            sorted(m for m in ms if m > 0), (1, block_n, 3 * block_n + 1), (1, 2, 7), (0, 1)
        )
        for tiles in (-(-m // block_m) * -(-n // block_n),)
        # Clusters that split K have one tile each.
        for clusters in ({tiles} if cluster_k > 1 else {1, min(2, tiles), tiles})
    ]
    lines = "".join(f"{block_m} {block_n} {cluster_k} {' '.join(map(str, walk))}\n" for walk in asked)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    for (m, n, *_), line in zip(asked, done.stdout.splitlines(), strict=True):
        numbers = list(map(int, line.split()))
        walked = list(zip(numbers[::2], numbers[1::2], strict=True))
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
