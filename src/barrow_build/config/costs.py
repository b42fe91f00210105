"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.262, 0.4674, 0.2667, 0.155, 1.081, 0.2137, 0.9925),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.099, 0.07361, 0.1473, 0.3751, 1.127, 0.1144, 0.8941
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.339, 0.6721, 0.3541, 0.2045, 1.043, 0.1872, 1.129),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.275, 0.5824, 0.3633, 0.2105, 1.061, 0.2187, 1.063),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.363, 0.4931, 0.4069, 0.2494, 1.123, 0.1917, 0.6707),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.27, 0.07866, 0.2091, 0.5182, 1.087, 0.1162, 0.02068
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.02001, 2.667, 0.1584, 0.1586, 1.031, 0.1862, 0.3342),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.054, 0.4597, 0.1738, 0.09507, 1.066, 0.2127, 2.131),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.01983, 2.873, 0.1451, 0.1594, 1.001, 0.1706, 0.6603),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01992, 2.927, 0.1535, 0.1813, 0.9709, 0.1806, 0.2377),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.221, 0.4844, 0.2401, 0.1197, 1.058, 0.2562, 1.386),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.062, 0.3684, 0.1656, 0.004589, 1.072, 0.3759, 1.034
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.8537, 0.342, 0.09834, 5.671e-22, 1.085, 0.3562, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.367, 0.01989, 0.0009187, 0.1389, 1.079, 0.04187, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.01913, 1.557, 0.09534, 0.0491, 1.049, 0.5853, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.02046, 1.92, 0.08372, 0.05756, 0.9448, 0.2792, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.02027, 1.774, 0.06003, 0.1015, 0.944, 0.2268, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.01886, 1.897, 0.05162, 0.1362, 0.8451, 0.3596, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3": CostModel(1.947, 0.7031, 0.3876, 0.2434, 1.159, 0.2385, 0.3673),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.004, 0.07695, 0.1633, 0.5244, 1.075, 0.1164, 8.25e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.334, 0.6341, 0.3949, 0.2357, 1.055, 0.1814, 0.6405),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.011, 0.07571, 0.1536, 0.5468, 1.071, 0.1313, 0.5285
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.406, 0.5936, 0.3294, 0.1932, 1.015, 0.2005, 1.064),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.274, 0.9247, 0.566, 0.3361, 1.103, 0.2143, 0.07242),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.764, 0.07556, 0.2189, 0.716, 1.112, 0.1098, 0.0742
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.118, 0.8828, 0.3425, 0.1624, 0.9921, 0.2221, 1.15),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.02058, 2.211, 0.2573, 0.05711, 1.048, 0.6719, 2.686e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.296, 0.3366, 0.1964, 0.02213, 1.09, 0.4712, 1.879
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.35, 0.01974, 0.001839, 0.1513, 1.098, 0.04251, 3.781
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.01957, 1.79, 0.1177, 0.04319, 1.063, 0.5165, 0.361
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.0208, 1.994, 0.1247, 0.03411, 0.97, 0.4311, 0.2541
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.0194, 2.105, 0.07589, 0.1461, 0.8398, 0.4454, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(0.9925, 0.4282, 0.1665, 0.09134, 1.066, 0.2201, 1.423),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01901, 2.139, 0.1573, 0.1793, 1.047, 0.1534, 0.166),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.042, 0.5317, 0.1225, 0.02725, 1.053, 0.2546, 1.064),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.743, 0.4816, 0.1189, 0.0465, 1.077, 0.2993, 1.426),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.02042, 2.05, 0.1234, 0.08771, 0.9317, 0.2101, 0.2112),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02069, 2.282, 0.1074, 0.09846, 0.991, 0.1805, 0.2789),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.01994, 2.276, 0.09824, 0.1418, 0.9158, 0.1678, 0.009829),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(0.8451, 0.4558, 0.1559, 0.06429, 1.07, 0.3606, 1.079),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        3.997, 0.07797, 0.04577, 0.2716, 1.097, 0.1105, 0.6471
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(0.9024, 0.392, 0.1536, 6.009e-20, 1.082, 0.3495, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.01903, 1.839, 0.05701, 0.1118, 0.8351, 0.3641, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.01996, 1.766, 0.07658, 0.05237, 0.9634, 0.3014, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.7677, 0.3905, 0.08768, 4.509e-20, 1.081, 0.3533, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.534, 0.02001, 0.0009205, 0.129, 1.069, 0.04224, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.01907, 1.474, 0.09141, 0.04133, 1.045, 0.5923, 1),
}
