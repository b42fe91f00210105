"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.288, 0.4644, 0.2662, 0.1538, 1.081, 0.2291, 0.4138),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.118, 0.01993, 0.118, 0.4153, 1.132, 0.1055, 0.6757
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.36, 0.6986, 0.3542, 0.197, 1.039, 0.2121, 1.298),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.303, 0.6096, 0.3629, 0.2023, 1.055, 0.2486, 1.023),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.374, 0.5334, 0.4067, 0.2407, 1.127, 0.2014, 0.5582),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.083, 0.02019, 0.1658, 0.5865, 1.095, 0.1089, 0.07048
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.02327, 2.669, 0.1582, 0.1589, 1.039, 0.3454, 0.3446),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.112, 0.4692, 0.1731, 0.09319, 1.059, 0.244, 2.211),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.02296, 2.864, 0.1444, 0.1604, 1.014, 0.2819, 0.6639),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.02311, 2.912, 0.1537, 0.1825, 0.9928, 0.3192, 0.2427),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.225, 0.4927, 0.2394, 0.1192, 1.061, 0.2979, 1.454),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        0.9414, 0.4344, 0.1686, 0.08242, 1.071, 0.1894, 1.787
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.8616, 0.3927, 0.1033, 0.04425, 1.062, 0.2261, 1.689
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.471, 0.01987, 0.0009185, 0.1385, 1.072, 0.07181, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.05071, 1.616, 0.09572, 0.09223, 1.032, 0.2132, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.06112, 1.838, 0.09341, 0.0893, 0.968, 0.1684, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.06171, 1.742, 0.08642, 0.1138, 0.9576, 0.2868, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.05506, 1.877, 0.0627, 0.1645, 0.8852, 0.2054, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3": CostModel(1.624, 0.7776, 0.3764, 0.2556, 1.048, 0.2672, 0.2505),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.075, 0.02013, 0.1484, 0.5479, 1.08, 0.1103, 1.813e-17
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.347, 0.6511, 0.3949, 0.2279, 1.062, 0.1969, 0.5398),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.234, 0.01999, 0.1228, 0.5913, 1.087, 0.1174, 0.625
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.404, 0.6045, 0.3296, 0.1883, 1.017, 0.2171, 0.9912),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.304, 0.9282, 0.5673, 0.3254, 1.102, 0.2434, 3.081e-19),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.873, 0.02005, 0.1879, 0.7629, 1.122, 0.1036, 0.2686
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.117, 0.884, 0.3427, 0.1606, 0.9879, 0.2528, 1.223),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.06257, 2.176, 0.2604, 0.1744, 1.042, 0.3467, 3.764e-19
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(1.173, 0.3837, 0.1968, 0.1177, 1.07, 0.2578, 2.492),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.372, 0.01975, 0.001837, 0.1536, 1.088, 0.07537, 4.015
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(0.05237, 1.781, 0.1136, 0.1026, 1.045, 0.25, 0.4077),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.06377, 1.905, 0.129, 0.08722, 0.9734, 0.1952, 0.2835
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.05797, 2.053, 0.1047, 0.1745, 0.8787, 0.2519, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.084, 0.4357, 0.1653, 0.09026, 1.052, 0.2432, 1.51),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.02202, 2.173, 0.1544, 0.1801, 1.048, 0.2572, 0.187),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.104, 0.534, 0.1205, 0.02857, 1.056, 0.2757, 1.08),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8374, 0.4893, 0.1168, 0.04664, 1.068, 0.3463, 1.473),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.0238, 2.054, 0.119, 0.09123, 0.956, 0.4376, 0.2325),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.0244, 2.274, 0.1068, 0.09967, 0.9952, 0.341, 0.2844),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.02328, 2.272, 0.09541, 0.1449, 0.9408, 0.3144, 0.01903),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(0.9557, 0.464, 0.154, 0.06455, 1.053, 0.3985, 1.13),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.269, 0.02025, 0.04285, 0.2778, 1.097, 0.108, 0.601
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(
        0.8209, 0.4672, 0.1665, 0.06584, 1.075, 0.1849, 1.689
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.05456, 1.811, 0.06366, 0.1455, 0.8969, 0.1982, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.05822, 1.743, 0.09286, 0.0755, 0.9746, 0.1544, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.7363, 0.4625, 0.09665, 0.03589, 1.063, 0.1976, 1.689
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.537, 0.01999, 0.0009194, 0.1278, 1.066, 0.07253, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.05193, 1.577, 0.09519, 0.08018, 1.026, 0.2118, 1),
}
