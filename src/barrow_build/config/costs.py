"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.309, 0.4822, 0.2621, 0.1729, 1.05, 0.2788, 0.7646),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.136, 0.04088, 0.1344, 0.3888, 1.119, 0.1018, 0.8346
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.406, 0.6587, 0.3362, 0.2434, 1.038, 0.2626, 0.7881),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.238, 0.6253, 0.3602, 0.2208, 1.053, 0.2707, 0.8634),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.314, 0.5366, 0.3977, 0.2741, 1.115, 0.2565, 0.3656),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.251, 0.04214, 0.1979, 0.5307, 1.089, 0.1018, 0.06981
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.02002, 2.555, 0.1588, 0.1642, 1.044, 0.7063, 0.3869),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.21, 0.4597, 0.1646, 0.1044, 1.067, 0.2789, 1.948),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01998, 2.796, 0.1504, 0.1906, 1.01, 0.6941, 0.301),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.265, 0.545, 0.23, 0.1351, 1.047, 0.3148, 1.204),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.198, 0.2867, 0.1221, 0.06096, 1.021, 0.5721, 1.002
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(1.053, 0.3004, 0.06208, 0.04365, 1.026, 1.018, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.305, 0.01986, 0.0009185, 0.1471, 1.065, 0.06279, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.01967, 1.415, 0.05315, 0.1079, 1.01, 2.529, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.0198, 1.874, 0.04735, 0.1092, 0.9168, 2.149, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.0201, 1.749, 0.04402, 0.1278, 0.8905, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.0194, 1.839, 0.0273, 0.1512, 0.8062, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.922, 0.04177, 0.1632, 0.5257, 1.078, 0.1002, 8.166e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.309, 0.6647, 0.3981, 0.2406, 1.001, 0.2683, 0.4034),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.899, 0.04148, 0.1575, 0.5442, 1.073, 0.1123, 0.4874
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.31, 0.6554, 0.3264, 0.2032, 1.007, 0.2803, 0.9375),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(1.171, 0.2163, 0.08656, 0.03124, 1.024, 1.09, 1),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.0198, 1.723, 0.07705, 0.1032, 0.9857, 1.355, 1),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.253, 0.9807, 0.5677, 0.3379, 1.049, 0.2915, 5.734e-19),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.798, 0.04126, 0.2042, 0.7319, 1.103, 0.09905, 0.1121
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.192, 0.8134, 0.3319, 0.1843, 0.9929, 0.2969, 0.938),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.419, 0.2767, 0.1741, 0.04779, 1.025, 0.6642, 1.251
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.306, 0.01982, 0.00184, 0.1548, 1.09, 0.06269, 1.004
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.01969, 1.615, 0.09507, 0.08251, 1.026, 1.992, 0.6982
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.02017, 1.974, 0.09761, 0.07847, 0.9763, 1.994, 0.6871
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.01944, 2.05, 0.03454, 0.1825, 0.7851, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(1.534, 0.1489, 0.1258, 0.03199, 1.033, 1.001, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.02018, 1.701, 0.1118, 0.1093, 1.028, 1.623, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.194, 0.4359, 0.1549, 0.1082, 1.012, 0.3296, 1.206),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01954, 2.031, 0.1534, 0.1875, 1.016, 0.6319, 0.2169),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.193, 0.4528, 0.1171, 0.03359, 1.062, 0.3078, 0.9989),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.9128, 0.4687, 0.1179, 0.048, 1.073, 0.3743, 1.291),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.0202, 1.866, 0.1197, 0.1089, 0.9732, 0.7277, 0.3469),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02042, 2.234, 0.1047, 0.1093, 0.9826, 0.5977, 0.3588),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.01983, 2.156, 0.09601, 0.149, 0.945, 0.6404, 0.119),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.156, 0.364, 0.1402, 0.08219, 1.052, 0.4267, 0.9928),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.067, 0.04165, 0.04586, 0.2724, 1.098, 0.09843, 0.8797
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.058, 0.29, 0.1059, 0.06401, 1.011, 0.5708, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.01938, 1.705, 0.02994, 0.1321, 0.8122, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.01974, 1.73, 0.04603, 0.09945, 0.9344, 2.507, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.8927, 0.3186, 0.05391, 0.04102, 1.03, 0.9911, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.505, 0.01994, 0.0009201, 0.1316, 1.061, 0.06298, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.01966, 1.345, 0.04973, 0.1008, 1.002, 2.696, 1),
}
