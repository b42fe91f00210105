"""Named kernels beside each other: who takes part, and what is said of them (benchmarks/compare_kernels.py)."""

import compare_kernels
import pytest


def test_all_plain_kernels_with_a_part_of_the_name_take_part() -> None:
    found = [contender.name for contender in compare_kernels.named(["128x64x128_s8_k1", "256x128"])]
    tall, small = "256x128x128_s3_k1_w2", "128x64x128_s8_k1_w2"
    assert sorted(found) == sorted([small, f"{small} ahead", tall, f"{tall} ahead"])


def test_a_part_that_no_kernel_has_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"^no kernel has any of 13x13 in its name; barrow info --kernels lists them$"):
        compare_kernels.named(["13x13"])


def test_a_row_tells_times_in_their_order_and_why_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    us = {"a": 2.0, "b": 1.0, "deep_gemm": 1.5}
    compare_kernels.tell(
        {
            "m": 512,
            "n": 2112,
            "k": 7168,
            "floor_us": 0.5,
            "us": us,
            "samples": {name: [time] for name, time in us.items()},
            "failed": {"c": "it refuses"},
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "",
        "M = 512, N = 2112, K = 7168: floor 0.50 us",
        "      1.00 us  b  1.500 of DeepGEMM's speed",
        "      1.50 us  deep_gemm",
        "      2.00 us  a  0.750 of DeepGEMM's speed",
        "    no time  c: it refuses",
    ]
