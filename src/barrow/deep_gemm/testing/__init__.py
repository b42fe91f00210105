"""DeepGEMM's helpers for tests and timings."""

from barrow.deep_gemm.testing.bench import bench, bench_kineto
from barrow.deep_gemm.testing.numeric import assert_bitwise_equal, calc_diff, count_bytes
from barrow.deep_gemm.testing.utils import get_arch_major, ignore_env, test_filter

__all__ = [
    "assert_bitwise_equal",
    "bench",
    "bench_kineto",
    "calc_diff",
    "count_bytes",
    "get_arch_major",
    "ignore_env",
    "test_filter",
]
