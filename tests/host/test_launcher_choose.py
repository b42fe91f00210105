"""The choice of a kernel by the cost model: a pure function of shape, output and SM count, explained by its costs.

What the table of measured choices changes in it is test_launcher_tuned.py's.
"""

import itertools
import math
import struct
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barrow.launcher import GemmKernel, choose, kernels

Out = Literal["bf16", "f32"]
MAX_DIM = 2**31 - 1
H100_SMS = 132
H100_GB_S = 3352
# No GPU of any table has it, so the model is asked alone.
NO_GB_S = 1000
GEMMS = [kernel for kernel in kernels() if kernel["kind"] == "gemm"]

dims = st.integers(1, MAX_DIM) | st.integers(1, 20_000)
outs = st.sampled_from(["bf16", "f32"])
sms = st.integers(1, 264) | st.just(H100_SMS)


def ceil_div(value: int, divisor: int) -> int:
    return -(-value // divisor)


# Of an H100's SMs, those that clusters of 1, 2, 3, and 4 or more fill.
FILLED = (132, 132, 117, 120)


def fits(kernel: GemmKernel, num_sms: int) -> int:
    """Clusters that run at once."""
    size = kernel["cluster_k"] * kernel["cluster_n"]
    return num_sms * FILLED[min(size, 4) - 1] // 132 * kernel["ctas_per_sm"] // size


def drifted(kernel: GemmKernel, m: int, n: int, k: int, loaded_bytes: float, blocks: int) -> float:
    """Bytes that come from memory more than once, written once more from their description."""
    return loaded_bytes * blocks / (blocks + 2000) if kernel["block_m"] >= 128 and (m + n) * k > 25 << 20 else 0


def predicted_us(kernel: GemmKernel, m: int, n: int, k: int, num_sms: int, gb_s: int) -> float:
    """The cost model, written once more from its description."""
    block_m, block_n, cluster_k, cluster_n = (kernel[key] for key in ("block_m", "block_n", "cluster_k", "cluster_n"))
    clusters, resident = ceil_div(m, block_m) * ceil_div(n, block_n * cluster_n), fits(kernel, num_sms)
    waves = ceil_div(clusters, resident)
    k_blocks = ceil_div(ceil_div(k, 128), cluster_k)
    stage = (min(m, block_m) + block_n) / (block_m + block_n)
    tiles_per_sm = clusters * cluster_k * cluster_n / num_sms
    loaded = tiles_per_sm * k_blocks * stage
    bytes_per_us = 1e3 * gb_s
    once = (m * k + n * k + m * n * (4 if kernel["out"] == "f32" else 2)) / bytes_per_us
    loaded_bytes = loaded * num_sms * (block_m + block_n) * 128
    again = drifted(kernel, m, n, k, loaded_bytes, waves * k_blocks) / bytes_per_us
    early = min(1.0, kernel["blocks_ahead"] / k_blocks)
    empty = (waves * resident / clusters - 1) / 2 if clusters > resident else max(0.0, 1 - tiles_per_sm)
    idle = empty * (1 - early)
    rounds = waves - 0.3 * early
    cost = kernel["cost"]
    crowded = 0.2 * tiles_per_sm if kernel["ctas_per_sm"] > 1 and tiles_per_sm <= 1 else 0
    turns = max(waves, math.ceil(tiles_per_sm)) + crowded
    compute = turns * k_blocks * cost["k_block_us"] + loaded * cost["load_us"]
    memory = once * (cost["memory"] + idle * cost["idle"]) + again * cost["again"]
    longer = math.sqrt(math.hypot(compute**2, memory**2))
    us = cost["fixed_us"] + rounds * cost["tile_us"] + longer
    return us + cost["throttle"] * us**2 / (us + 60)


def test_there_are_kernels_for_both_outputs_and_both_kinds_of_scales() -> None:
    assert {(kernel["out"], kernel["row_scales_b"]) for kernel in GEMMS} == {
        (out, rows) for out in ("bf16", "f32") for rows in (0, 1)
    }


def able_kernels(out: Out, num_sms: int, rows: bool) -> list[GemmKernel]:
    kinds = [kernel for kernel in GEMMS if kernel["out"] == out and kernel["row_scales_b"] == rows]
    return [kernel for kernel in kinds if fits(kernel, num_sms) > 0]


@given(m=dims, n=dims, k=dims, out=outs, num_sms=sms, rows=st.booleans())
def test_candidates_are_the_kernels_that_fit_by_predicted_time(
    m: int, n: int, k: int, out: Out, num_sms: int, rows: bool
) -> None:
    candidates = choose(m, n, k, out, num_sms, NO_GB_S, row_scales_b=rows)
    assert not any(candidate["measured"] for candidate in candidates)
    able = able_kernels(out, num_sms, rows)
    # A stable sort: table order among equals.
    expected = sorted(able, key=lambda kernel: predicted_us(kernel, m, n, k, num_sms, NO_GB_S))
    assert [candidate["kernel"] for candidate in candidates] == [kernel["name"] for kernel in expected]
    for candidate, kernel in zip(candidates, expected, strict=True):
        assert candidate["predicted_us"] == pytest.approx(predicted_us(kernel, m, n, k, num_sms, NO_GB_S), rel=1e-12)


@given(m=dims, n=dims, k=dims, out=outs, num_sms=sms)
def test_same_arguments_give_the_same_answer(m: int, n: int, k: int, out: Out, num_sms: int) -> None:
    assert choose(m, n, k, out, num_sms) == choose(m, n, k, out, num_sms)
    assert choose(m, n, k, out, num_sms) == choose(m, n, k, out, num_sms, row_scales_b=False)


@given(tiles=st.integers(1, MAX_DIM // 256) | st.integers(1, 80), n=dims, k=dims, out=outs)
def test_more_work_is_never_predicted_to_be_faster(tiles: int, n: int, k: int, out: Out) -> None:
    # Whole tiles of every kernel: with a row of tiles that is not full, less may take longer.
    m = 256 * tiles
    best = choose(m, n, k, out, H100_SMS, NO_GB_S)[0]["predicted_us"]
    for more in itertools.product((m, min(2 * m, 2**31 - 256)), (n, min(2 * n, MAX_DIM)), (k, min(2 * k, MAX_DIM))):
        assert choose(*more, out, H100_SMS, NO_GB_S)[0]["predicted_us"] >= best


def test_an_unknown_bandwidth_is_an_h100s() -> None:
    for m in (1, 96, 4096):
        known = choose(m, 5120, 8192, "bf16", 77, H100_GB_S)
        assert choose(m, 5120, 8192, "bf16", 77) == known
        assert choose(m, 5120, 8192, "bf16", 77, 4814)[0]["predicted_us"] < known[0]["predicted_us"]


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("out", ["bf16", "f32"])
def test_one_sm_still_has_a_kernel(out: Out, rows: bool) -> None:
    names = {candidate["kernel"] for candidate in choose(1, 1, 1, out, 1, row_scales_b=rows)}
    assert names == {kernel["name"] for kernel in able_kernels(out, 1, rows)}
    assert names


@pytest.mark.parametrize("name", ["m", "n", "k", "num_sms"])
@pytest.mark.parametrize("value", [0, -1, 2**31, 2**62])
def test_a_number_out_of_range_is_named(name: str, value: int) -> None:
    arguments = {"m": 1, "n": 1, "k": 1, "num_sms": H100_SMS, name: value}
    with pytest.raises(ValueError, match=rf"^choose: {name} is {value} but needs to be from 1 to {MAX_DIM}$"):
        choose(arguments["m"], arguments["n"], arguments["k"], "bf16", arguments["num_sms"])


@pytest.mark.parametrize("value", [-1, 2**31])
def test_a_bandwidth_out_of_range_is_named(value: int) -> None:
    with pytest.raises(ValueError, match=rf"^choose: memory_gb_s is {value} but needs to be from 0 to {MAX_DIM}$"):
        choose(1, 1, 1, "bf16", H100_SMS, value)


def test_another_output_dtype_is_named() -> None:
    with pytest.raises(ValueError, match=r'out_dtype is "f16" but needs "bf16" or "f32"'):
        choose(1, 1, 1, "f16", H100_SMS)  # type: ignore[arg-type]


def test_costs_are_float32_and_none_is_negative() -> None:
    for kernel in GEMMS:
        assert kernel["cost"]["fixed_us"] < 1e9, f"{kernel['name']} has no costs; see benchmarks/README.md"
        # Work costs something, whichever coefficients the fit has put it into.
        assert kernel["cost"]["tile_us"] + kernel["cost"]["k_block_us"] + kernel["cost"]["load_us"] > 0
        for name, value in kernel["cost"].items():
            assert isinstance(value, float)
            assert value >= 0, (kernel["name"], name)
            assert struct.unpack("f", struct.pack("f", value))[0] == value
