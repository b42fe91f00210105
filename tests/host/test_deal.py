"""How kernels deal out tiles (kernels/gemm/deal.cuh): the text of the kernels, a thread of the host for every warp."""

import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from walks import walk_program

BLOCK, LAUNCHES = 64, 2


@pytest.mark.parametrize("cluster_n", [1, 2])
def test_every_tile_is_dealt_once_and_all_warps_know(cluster_n: int, tmp_path: Path) -> None:
    # What deal.cuh takes from there, the program has of its own.
    (tmp_path / "gemm").mkdir()
    (tmp_path / "gemm" / "tile.cuh").touch()
    flags = (f"-I{tmp_path}", f"-DCLUSTER_N={cluster_n}", "-pthread", "-Wno-unknown-pragmas")
    program = walk_program(tmp_path, "deal_walk.cpp", (), *flags)
    drawn = random.Random(0)
    # Clusters, warps of a CTA that walk, columns, rows of groups. Fewer tiles than clusters, none, one CTA.
    asked = [(5, 9, 3, [drawn.choice((0, 1, 60, 130, 200)) for _ in range(groups)]) for groups in (7, 33, 70)]
    asked += [(5, 13, 1, [30, 0, 100]), (4, 5, 2, [0, 0]), (1, 5, 3, [500])]
    lines = []
    for seed, (clusters, warps, columns, sizes) in enumerate(asked):
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        told = [clusters, warps, LAUNCHES, seed, columns * BLOCK, len(ends), *ends]
        lines.append(f"{' '.join(map(str, told))}\n")
    done = subprocess.run([program], input="".join(lines), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    walked = iter(done.stdout.splitlines())
    for clusters, _, columns, sizes in asked:
        begins = [sum(sizes[:i]) for i in range(len(sizes))]
        wanted = Counter(
            (begin // 4 * 4 + row * BLOCK, column * BLOCK)
            for begin, size in zip(begins, sizes, strict=True)
            if size
            for row in range(-(-(begin % 4 + size) // BLOCK))
            for column in range(-(-columns // cluster_n) * cluster_n)
        )
        for _ in range(LAUNCHES):
            seen: Counter[tuple[int, ...]] = Counter()
            for _ in range(clusters * cluster_n):
                numbers = list(map(int, next(walked).split()))
                seen.update(zip(numbers[::2], numbers[1::2], strict=True))
            assert seen == wanted
    assert next(walked, None) is None
