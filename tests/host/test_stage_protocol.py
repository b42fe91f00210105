"""Loads and waits of kernels around the ring of stages, compiled for the host (stage_protocol.cpp)."""

import random
import subprocess
from pathlib import Path

import pytest
from choice_probe import SPECS
from walks import host_program

from barrow_build.config import GemmSpec

KERNELS = [spec for spec in SPECS if spec.ahead_warp and spec.out == "bf16" and not spec.row_scales_b]
# And those that load ahead by themselves, with several tiles for each CTA: one, and the one that goes back through K.
OWN = [spec for spec in SPECS if not spec.ahead_warp and not spec.grouped]
KERNELS += [next(spec for spec in OWN if spec.alternates == alternates) for alternates in (False, True)]
ORDERS = 12  # of turns, for each problem


def problems(spec: GemmSpec) -> list[str]:
    """m n k rank ctas prefetch copies seed: K around all that stages and registers hold, and far beyond."""
    drawn = random.Random(spec.name)
    around = (spec.stages, spec.held, spec.stages + spec.held, 2 * spec.stages + spec.held, 50)
    blocks = {1, *(at * spec.cluster_k + off for at in around for off in (-1, 0, 1))} - {-1, 0}
    # CTAs that split K have a tile each; of others the first of two has three of six.
    rows = 2 * spec.block_m if spec.alternates else spec.block_m + 1
    m, n, ctas = (8, spec.block_n, 1) if spec.cluster_k > 1 else (rows, 2 * spec.block_n + 8, 2)
    return [
        f"{m} {n} {k * 128 - 5} {rank} {ctas} {prefetch} {copies} {drawn.randrange(2**32)}"
        for k in sorted(blocks)
        for rank in sorted({0, min(k, spec.cluster_k) - 1})
        for prefetch in (0, 1)
        for copies in (0, 1)
        for _ in range(ORDERS if prefetch and not copies else 1)
    ]


@pytest.mark.parametrize("spec", KERNELS, ids=lambda spec: spec.name)
def test_every_block_comes_once_and_nobody_waits_for_ever(spec: GemmSpec, tmp_path: Path) -> None:
    macros = [f"-D{name}={value}" for name, value in spec.defines().items()]
    program = host_program(tmp_path, "stage_protocol.cpp", *macros, "-Wno-unknown-pragmas")
    asked = problems(spec)
    done = subprocess.run([program], input="\n".join(asked), capture_output=True, text=True, timeout=300)
    answers = done.stdout.splitlines()
    assert done.returncode == 0, f"{done.stderr} with {asked[len(answers)]}"
    assert answers == ["done"] * len(asked)
