"""The catalogue of kernels and the rules of its specs."""

from dataclasses import replace
from typing import Any

import pytest

from barrow_build.config import ARCHS, GemmSpec, SpecError, catalogue

GOOD = GemmSpec(128, 128, 5, warpgroups=2)


@pytest.mark.parametrize("arch", ARCHS)
def test_catalogue_is_legal_and_names_are_unique(arch: str) -> None:
    specs = catalogue(arch)
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names)
    assert [name for name in names if not name.isidentifier()] == []
    assert [name for name in names if f"_sm{arch}" not in name] == []
    assert [spec.violations() for spec in specs if isinstance(spec, GemmSpec) and spec.violations()] == []


@pytest.mark.parametrize("arch", ARCHS)
def test_every_output_type_has_kernels_and_float32_adds_no_tile_of_its_own(arch: str) -> None:
    gemms = [spec for spec in catalogue(arch) if isinstance(spec, GemmSpec)]
    by_type = {
        out: {replace(s, out="bf16", row_scales_b=False) for s in gemms if s.out == out} for out in ("bf16", "f32")
    }
    assert by_type["f32"]
    assert by_type["f32"] <= by_type["bf16"]  # a float32 kernel takes the cost of its twin


@pytest.mark.parametrize("arch", ARCHS)
def test_a_kernel_that_is_not_timed_has_the_costs_of_its_twin(arch: str) -> None:
    gemms = [spec for spec in catalogue(arch) if isinstance(spec, GemmSpec)]
    timed = {spec: spec.cost for spec in gemms if spec.out == "bf16" and not spec.row_scales_b}
    others = [spec for spec in gemms if spec not in timed]
    assert {(spec.out, spec.row_scales_b) for spec in others} == {("f32", False), ("bf16", True), ("f32", True)}
    for spec in others:
        assert spec.cost == timed[replace(spec, out="bf16", row_scales_b=False)], spec.name


def test_an_unknown_architecture_has_no_kernels() -> None:
    assert catalogue("80") == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"block_m": 96}, "block_m is 64 rows a warpgroup or, not swapped, 128"),
        ({"block_m": 512}, "block_m is 64 rows a warpgroup"),
        ({"block_n": 24}, "block_n must be a multiple of 16"),
        ({"block_n": 272}, "from 16 to 256"),
        ({"stages": 1}, "stages must be at least 2"),
        ({"warpgroups": 4, "block_m": 256}, "at most 3 math warpgroups"),
        ({"cluster_k": 16}, "at most 8 CTAs"),
        ({"cluster_n": 2, "cluster_k": 2}, "cluster_n is 1, or 2 in a kernel for groups"),
        ({"cluster_n": 3, "grouped": True}, "cluster_n is 1, or 2"),
        ({"cluster_k": 2, "block_m": 256}, "split K takes 64 rows a warpgroup"),
        ({"swapped": True, "block_m": 12}, "block_m must be a multiple of 8"),
        ({"swapped": True, "block_n": 256}, "block_n is 64 rows a warpgroup"),
        ({"row_scales_b": True, "block_n": 208, "stages": 2}, "registers a math thread exceed"),
        ({"row_scales_b": True, "block_n": 144, "stages": 2, "out": "f32"}, "float32 is staged 32 columns at a time"),
        ({"row_scales_b": True, "stages": 4, "out": "f32", "cluster_k": 2}, "a launch takes groups of K"),
        ({"swapped": True, "block_m": 64}, "a swapped tile has two partial sums"),
        ({"swapped": True, "block_m": 16, "row_scales_b": True}, "swapped, a thread has one scale of B"),
        ({"block_m": 256, "block_n": 256}, "registers a math thread exceed"),
        ({"stages": 9}, "bytes of shared memory exceed"),
    ],
)
def test_a_broken_rule_is_told_by_name(change: dict[str, Any], told: str) -> None:
    broken = replace(GOOD, **change)
    assert [rule for rule in broken.violations() if told in rule] != []
    with pytest.raises(SpecError, match=broken.name):
        broken.check()


def test_all_broken_rules_are_told_at_once() -> None:
    assert len(replace(GOOD, block_m=96, stages=1).violations()) == 2


def test_a_legal_spec_passes_unchanged() -> None:
    assert GOOD.check() is GOOD


def test_scales_per_row_of_b_take_shared_memory_of_every_stage() -> None:
    spec = GemmSpec(64, 48, 10)
    # 48 floats, in whole 128 bytes.
    assert replace(spec, row_scales_b=True).smem_bytes == spec.smem_bytes + 10 * 256


def test_float32_is_staged_where_each_row_of_b_has_a_scale() -> None:
    spec = GemmSpec(128, 96, 4, warpgroups=2, row_scales_b=True)
    staged = replace(spec, out="f32")
    # A whole tile of two bytes an element, or a box of four for each warpgroup.
    assert staged.smem_bytes == spec.smem_bytes - 128 * 96 * 2 + 128 * 32 * 4
    assert (staged.store_rows, staged.store_columns, spec.store_columns) == (64, 32, 32)
    assert (replace(staged, block_n=128).store_columns, replace(spec, block_n=128).store_columns) == (64, 64)
    from_registers = replace(staged, row_scales_b=False)
    assert from_registers.store_columns == 0
    assert replace(from_registers, out="bf16").smem_bytes == from_registers.smem_bytes + 128 * 96 * 2


def test_b_is_held_in_the_registers_that_narrow_tiles_leave() -> None:
    # An SM has room for two CTAs of 256 threads with 128 registers each, of which the producer keeps 32. A block takes
    # 16 of a math thread: B of 64 rows and 128 of K, in bytes, over 128 threads.
    specs = [GemmSpec(m, 64, 8, cluster_k=2, swapped=True) for m in (8, 24, 32, 40)]
    assert [spec.math_registers for spec in specs] == [224] * 4
    assert [spec.held for spec in specs] == [8, 8, 8, 7]
    others = [
        GOOD,
        GemmSpec(64, 64, 12),
        GemmSpec(8, 64, 8, cluster_k=8, swapped=True),
        GemmSpec(8, 64, 8, swapped=True, grouped=True),
        GemmSpec(8, 128, 4, warpgroups=2, swapped=True),
    ]
    assert [spec.held for spec in others] == [0] * 5
    # These have a warp for a producer, which keeps as many registers as the others.
    assert [spec.exchanges_registers for spec in others] == [True, False, False, False, False]


def test_kernels_for_few_rows_have_a_warp_that_loads_ahead() -> None:
    few = [GemmSpec(8, 64, 4, swapped=True), GemmSpec(64, 64, 4), GemmSpec(128, 64, 4, cluster_k=2, warpgroups=2)]
    assert [spec.ahead_warp for spec in few] == [True] * 3
    # Two warps beside the math warpgroup, or of the producers' warpgroup, and a barrier for each stage.
    assert [spec.threads for spec in few] == [256, 192, 384]
    many, groups = GemmSpec(128, 64, 4, warpgroups=2), GemmSpec(64, 64, 4, grouped=True)
    assert (many.ahead_warp, groups.ahead_warp) == (False, False)
    assert (groups.threads, few[1].smem_bytes - groups.smem_bytes) == (160, 4 * 8)


def test_only_the_others_sums_are_received() -> None:
    alone, pair, eight = (GemmSpec(64, 64, 4, cluster_k=size, out="f32").smem_bytes for size in (1, 2, 8))
    # Slices of 64 rows x 32 columns of float32, and, with eight, four that are 16 wide each.
    assert (pair - alone, eight - alone) == (64 * 32 * 4, 7 * 64 * 16 * 4)


def test_tall_tiles_of_groups_are_loaded_in_parts() -> None:
    tall = GemmSpec(256, 128, 3, warpgroups=2, grouped=True)
    whole = (GOOD, replace(tall, grouped=False), replace(tall, block_m=128))
    assert [spec.part_rows for spec in whole] == [spec.block_m for spec in whole]
    assert (tall.part_rows, replace(tall, block_m=192, warpgroups=3).part_rows) == (128, 64)
    assert replace(tall, block_m=192, warpgroups=3, cluster_n=2).part_rows == 96


def test_the_largest_tile_alternates_unless_its_rows_come_in_groups() -> None:
    tall = GemmSpec(256, 128, 3, warpgroups=2)
    specs = (tall, replace(tall, out="f32"), replace(tall, grouped=True), replace(tall, block_n=64), GOOD)
    assert [spec.alternates for spec in specs] == [True, True, False, False, False]


def test_what_is_loaded_ahead_is_in_stages_and_registers() -> None:
    held = GemmSpec(8, 64, 11, cluster_k=3, swapped=True)
    assert (held.blocks_ahead, held.held) == (19, 8)
    assert GemmSpec(64, 64, 12).blocks_ahead == 12
    # No warp waits for the first loads to ask for more, so A would wait for all.
    many_rows = [GemmSpec(128, 128, stages, warpgroups=2) for stages in (4, 5)]
    groups = [GemmSpec(64, 96, 9, grouped=True), GemmSpec(8, 64, 12, swapped=True, grouped=True)]
    assert [spec.blocks_ahead for spec in (*many_rows, *groups)] == [2, 3, 5, 4]


def test_name_and_macros_tell_specs_apart() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"block_m": 256},
        {"block_n": 64},
        {"stages": 4},
        {"cluster_k": 2},
        {"cluster_n": 2},
        {"warpgroups": 1},
        {"swapped": True},
        {"row_scales_b": True},
        {"out": "f32"},
    )
    others = [replace(GOOD, **change) for change in changes]
    assert len({spec.name for spec in (GOOD, *others)}) == 1 + len(others)
    assert len({tuple(spec.defines().items()) for spec in (GOOD, *others)}) == 1 + len(others)
