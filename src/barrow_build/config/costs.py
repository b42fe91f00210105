"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.263, 0.4676, 0.2666, 0.155, 1.081, 0.2138, 0.9933),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.099, 0.07361, 0.1473, 0.3751, 1.127, 0.1144, 0.8941
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.342, 0.6748, 0.3539, 0.2045, 1.043, 0.1885, 1.132),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.276, 0.5842, 0.3634, 0.2104, 1.059, 0.2207, 1.063),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.365, 0.4957, 0.4067, 0.2493, 1.124, 0.1897, 0.6741),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.27, 0.07866, 0.2091, 0.5182, 1.087, 0.1162, 0.02068
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.02001, 2.668, 0.1582, 0.1588, 1.031, 0.206, 0.3344),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.06, 0.4603, 0.1737, 0.09508, 1.065, 0.2139, 2.132),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.01984, 2.872, 0.1452, 0.1594, 0.9978, 0.1863, 0.6592),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01992, 2.929, 0.1534, 0.1813, 0.9694, 0.1991, 0.238),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.219, 0.4844, 0.24, 0.1197, 1.06, 0.2601, 1.386),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.065, 0.3735, 0.1655, 0.004755, 1.064, 0.3934, 1.033
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(0.8533, 0.339, 0.09849, 3.016e-21, 1.084, 0.342, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.367, 0.01989, 0.0009187, 0.1389, 1.079, 0.04187, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.01917, 1.557, 0.09496, 0.04963, 1.046, 0.6135, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.0205, 1.922, 0.08165, 0.05943, 0.9457, 0.3571, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.02025, 1.775, 0.05903, 0.1027, 0.94, 0.2303, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.01895, 1.891, 0.05206, 0.1359, 0.8614, 0.3939, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3": CostModel(1.947, 0.7035, 0.3876, 0.2434, 1.159, 0.2392, 0.3675),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.004, 0.07695, 0.1633, 0.5244, 1.075, 0.1164, 8.25e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.339, 0.6342, 0.3946, 0.236, 1.055, 0.1813, 0.6421),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.011, 0.07571, 0.1536, 0.5468, 1.071, 0.1313, 0.5285
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.412, 0.5957, 0.3287, 0.1938, 1.012, 0.1984, 1.065),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.272, 0.9269, 0.566, 0.336, 1.101, 0.2149, 0.07261),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.764, 0.07556, 0.2189, 0.716, 1.112, 0.1098, 0.0742
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.119, 0.8838, 0.3424, 0.1624, 0.9906, 0.2226, 1.15),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.02056, 2.206, 0.2562, 0.05867, 1.047, 0.7133, 4.866e-20
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(1.299, 0.3369, 0.1964, 0.02214, 1.09, 0.4716, 1.88),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.35, 0.01974, 0.001839, 0.1513, 1.098, 0.04251, 3.781
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.01957, 1.79, 0.1181, 0.04306, 1.054, 0.5192, 0.355
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.02086, 1.988, 0.1226, 0.03617, 0.9811, 0.5433, 0.256
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.01942, 2.089, 0.07616, 0.147, 0.8539, 0.4653, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(0.9974, 0.4281, 0.1663, 0.09147, 1.066, 0.2214, 1.424),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01903, 2.145, 0.1569, 0.1795, 1.045, 0.1668, 0.1672),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.048, 0.5333, 0.1223, 0.02738, 1.052, 0.2508, 1.066),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.7366, 0.4828, 0.119, 0.04633, 1.079, 0.2987, 1.426),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.02043, 2.046, 0.1233, 0.08824, 0.9297, 0.2345, 0.2085),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02072, 2.284, 0.1074, 0.09846, 0.9898, 0.2025, 0.2784),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.01995, 2.277, 0.09893, 0.1411, 0.9147, 0.1829, 0.009809),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(0.8438, 0.4567, 0.156, 0.06421, 1.07, 0.3604, 1.08),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        3.997, 0.07797, 0.04577, 0.2716, 1.097, 0.1105, 0.6471
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(0.9181, 0.3922, 0.1535, 2.205e-21, 1.077, 0.3765, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.01905, 1.827, 0.05769, 0.1122, 0.848, 0.356, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.01996, 1.77, 0.07611, 0.053, 0.9585, 0.3232, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.7551, 0.3863, 0.08777, 4.383e-20, 1.089, 0.3521, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.534, 0.02001, 0.0009205, 0.129, 1.069, 0.04224, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.01903, 1.452, 0.09137, 0.04206, 1.046, 0.6241, 1),
}
