"""Shapes at which a kernel's indexing can go wrong."""

from exact import OUT_LAYOUTS, SCALE_LAYOUTS, Case
from gemm_kernels import Kernel
from reference import BLOCK

# (pad, offset) in bytes: as torch allocates; a padded pitch; pitch, base, and both out of the copy engine's reach.
ROW_LAYOUTS = [(0, 0), (16, 0), (5, 0), (0, 1), (3, 7)]


def _around(*edges: int) -> set[int]:
    return {e + d for e in edges for d in (-1, 0, 1)}


def edge_cases(kernel: Kernel) -> list[Case]:
    """M, N and K around every boundary of the kernel's tile, pipeline and scale block, with 0, 1 and primes.

    Every pair of M and N is met, each with four values of K, and memory layouts take turns.
    """
    ms = sorted({0, 1, 7, 67, 2 * kernel.block_m + 1} | _around(kernel.block_m))
    ns = sorted({0, 1, 8, 131, 2 * kernel.block_n + 1} | _around(kernel.block_n, BLOCK))
    ring = BLOCK * kernel.stages
    # With a block more than the stages of all CTAs that split K, one of them holds B in registers, with 35 each all do:
    # the last blocks, across the 32nd, from which on others' scales are held.
    split = {kernel.cluster_k * ring, kernel.cluster_k * ring + BLOCK - 8, kernel.cluster_k * 35 * BLOCK - 8}
    ks = sorted(
        {0, 1, 16, 131, 2 * BLOCK, 2 * ring + BLOCK + 48, 4 * ring + 2 * BLOCK + 8} | _around(BLOCK, ring) | split
    )
    cases: list[Case] = []
    for m in ms:
        for n in ns:
            for _ in range(4):
                i = len(cases)
                a_pad, a_offset = ROW_LAYOUTS[i // 7 % 5]
                b_pad, b_offset = ROW_LAYOUTS[i // 11 % 5]
                cases.append(
                    Case(
                        m,
                        n,
                        ks[i % len(ks)],
                        a_pad,
                        a_offset,
                        b_pad,
                        b_offset,
                        SCALE_LAYOUTS[i // 3 % 7],
                        SCALE_LAYOUTS[i // 13 % 7],
                        OUT_LAYOUTS[i // 2 % 3],
                        kernel.row_scales_b,
                    )
                )
    return cases


def wave_cases(kernel: Kernel, num_sms: int) -> list[Case]:
    """More tiles than the GPU has SMs, along N, along M and both: a CTA must carry its pipeline from tile to tile."""
    k = BLOCK * kernel.stages + 16
    along_n, along_m = kernel.block_n * (num_sms + 5) + 1, kernel.block_m * (num_sms + 5) + 1
    square = int(num_sms**0.5) + 3
    rows = kernel.row_scales_b
    return [
        Case(kernel.block_m + 3, along_n, k, out="aligned", row_scales_b=rows),
        Case(along_m, kernel.block_n + 3, k, out="odd", row_scales_b=rows),
        # More blocks of K than a warp holds scales of.
        Case(kernel.block_m * square, kernel.block_n * square, BLOCK * 35 + 16, row_scales_b=rows),
        Case(
            kernel.block_m * 2 * square - 5,
            kernel.block_n * square + 8,
            BLOCK - 8,
            a_scale="row_major",
            row_scales_b=rows,
        ),
    ]
