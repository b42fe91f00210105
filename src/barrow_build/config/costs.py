"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.291, 0.4607, 0.2657, 0.1546, 1.084, 0.2248, 0.5345),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.118, 0.01993, 0.118, 0.4153, 1.132, 0.1055, 0.6757
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.386, 0.6725, 0.3522, 0.205, 1.042, 0.2049, 1.162),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.319, 0.5911, 0.362, 0.2074, 1.058, 0.2379, 0.9434),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.404, 0.5107, 0.4068, 0.2424, 1.127, 0.1931, 0.5463),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.083, 0.02019, 0.1658, 0.5865, 1.095, 0.1089, 0.07048
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.02387, 2.668, 0.1582, 0.1591, 1.039, 0.3448, 0.3345),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.118, 0.464, 0.173, 0.09395, 1.06, 0.236, 2.179),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.02355, 2.863, 0.1443, 0.1605, 1.014, 0.2816, 0.6634),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.0237, 2.912, 0.1537, 0.1827, 0.9929, 0.3187, 0.2362),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.229, 0.4921, 0.2395, 0.119, 1.062, 0.288, 1.42),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        0.9426, 0.4338, 0.1685, 0.08248, 1.071, 0.1897, 1.768
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.8632, 0.391, 0.1033, 0.04424, 1.062, 0.2253, 1.673
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.471, 0.01987, 0.0009185, 0.1385, 1.072, 0.07181, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.05099, 1.619, 0.09566, 0.0922, 1.032, 0.2121, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.06158, 1.838, 0.09339, 0.08931, 0.968, 0.1683, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.06218, 1.742, 0.0864, 0.1138, 0.9576, 0.2865, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.05543, 1.877, 0.06269, 0.1645, 0.8852, 0.2052, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3": CostModel(1.991, 0.7144, 0.3869, 0.2389, 1.144, 0.262, 0.2864),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.075, 0.02013, 0.1484, 0.5479, 1.08, 0.1103, 1.813e-17
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.373, 0.6274, 0.3945, 0.231, 1.063, 0.1896, 0.4595),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.234, 0.01999, 0.1228, 0.5913, 1.087, 0.1174, 0.625
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.421, 0.593, 0.3286, 0.1916, 1.019, 0.2099, 0.988),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.312, 0.9176, 0.5667, 0.3282, 1.104, 0.232, 0.06965),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.873, 0.02005, 0.1879, 0.7629, 1.122, 0.1036, 0.2686
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.114, 0.8825, 0.3425, 0.1621, 0.9929, 0.2416, 1.157),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.06296, 2.174, 0.2608, 0.1742, 1.042, 0.3441, 2.687e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.174, 0.3836, 0.1967, 0.1177, 1.071, 0.2578, 2.466
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.372, 0.01975, 0.001837, 0.1536, 1.088, 0.07537, 4.015
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.05262, 1.781, 0.1136, 0.1026, 1.045, 0.2488, 0.3984
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.06427, 1.905, 0.129, 0.08721, 0.9735, 0.1951, 0.2677
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.05839, 2.053, 0.1047, 0.1745, 0.8787, 0.2517, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.087, 0.4324, 0.1653, 0.09048, 1.053, 0.2403, 1.482),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.02257, 2.172, 0.1544, 0.1802, 1.047, 0.2569, 0.1872),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.111, 0.5311, 0.1205, 0.02859, 1.055, 0.2663, 1.086),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8413, 0.4872, 0.1169, 0.04667, 1.069, 0.3351, 1.473),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.02443, 2.054, 0.119, 0.09125, 0.9561, 0.4367, 0.2247),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02507, 2.27, 0.1069, 0.09971, 0.9954, 0.3409, 0.2762),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.02389, 2.271, 0.09541, 0.1449, 0.941, 0.3139, 0.01345),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(0.9608, 0.4611, 0.1541, 0.06452, 1.055, 0.3878, 1.128),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.269, 0.02025, 0.04285, 0.2778, 1.097, 0.108, 0.601
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(
        0.8249, 0.4653, 0.1664, 0.06599, 1.075, 0.1847, 1.673
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.05492, 1.811, 0.06365, 0.1455, 0.8969, 0.198, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.05864, 1.742, 0.09284, 0.07551, 0.9746, 0.1543, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.7365, 0.4619, 0.09661, 0.0359, 1.063, 0.1977, 1.673
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.537, 0.01999, 0.0009194, 0.1278, 1.066, 0.07253, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.05228, 1.577, 0.09516, 0.08017, 1.026, 0.2116, 1),
}
