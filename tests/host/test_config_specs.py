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
    by_type = {out: {replace(s, out="bf16") for s in gemms if s.out == out} for out in ("bf16", "f32")}
    assert by_type["f32"]
    assert by_type["f32"] <= by_type["bf16"]  # a float32 kernel takes the cost of its twin


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
        ({"cluster_k": 2, "block_m": 256}, "split K takes 64 rows a warpgroup"),
        ({"swapped": True, "block_m": 12}, "block_m must be a multiple of 8"),
        ({"swapped": True, "block_n": 256}, "block_n is 64 rows a warpgroup"),
        ({"swapped": True, "block_m": 64}, "a swapped tile has two partial sums"),
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


def test_name_and_macros_tell_specs_apart() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"block_m": 256},
        {"block_n": 64},
        {"stages": 4},
        {"cluster_k": 2},
        {"warpgroups": 1},
        {"swapped": True},
        {"out": "f32"},
    )
    others = [replace(GOOD, **change) for change in changes]
    assert len({spec.name for spec in (GOOD, *others)}) == 1 + len(others)
    assert len({tuple(spec.defines().items()) for spec in (GOOD, *others)}) == 1 + len(others)
