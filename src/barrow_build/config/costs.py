"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.288, 0.487, 0.261, 0.1779, 1.051, 0.2764, 0.7371),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.136, 0.04088, 0.1344, 0.3888, 1.119, 0.1018, 0.8346
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.38, 0.6616, 0.3362, 0.2437, 1.052, 0.2524, 0.7846),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.22, 0.6274, 0.3596, 0.2244, 1.056, 0.2658, 0.8058),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.275, 0.5571, 0.3967, 0.2785, 1.116, 0.255, 0.3848),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.251, 0.04214, 0.1979, 0.5307, 1.089, 0.1018, 0.06981
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.02002, 2.552, 0.1588, 0.1647, 1.045, 0.7049, 0.3864),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.203, 0.4605, 0.1642, 0.1054, 1.07, 0.2776, 1.946),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01998, 2.794, 0.1504, 0.1912, 1.01, 0.6927, 0.3003),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.254, 0.551, 0.2299, 0.1356, 1.047, 0.3122, 1.193),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.199, 0.2846, 0.1223, 0.06098, 1.021, 0.5715, 1.002
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(1.054, 0.2993, 0.06216, 0.04359, 1.026, 1.017, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.305, 0.01986, 0.0009185, 0.1471, 1.065, 0.06279, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.01967, 1.415, 0.05315, 0.1078, 1.01, 2.53, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.0198, 1.874, 0.04735, 0.1092, 0.9168, 2.149, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.0201, 1.749, 0.04402, 0.1278, 0.8904, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.0194, 1.839, 0.0273, 0.1511, 0.8062, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.922, 0.04177, 0.1632, 0.5257, 1.078, 0.1002, 8.166e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.254, 0.691, 0.3967, 0.2482, 1.002, 0.2649, 0.4349),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.899, 0.04148, 0.1575, 0.5442, 1.073, 0.1123, 0.4874
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.297, 0.6608, 0.3265, 0.2039, 1.006, 0.2758, 0.92),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(1.17, 0.2157, 0.08661, 0.03119, 1.024, 1.088, 1),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.0198, 1.723, 0.07704, 0.1032, 0.9857, 1.355, 1),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.23, 0.9946, 0.5654, 0.3456, 1.046, 0.286, 4.094e-19),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.798, 0.04126, 0.2042, 0.7319, 1.103, 0.09905, 0.1121
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.185, 0.8186, 0.3319, 0.1848, 0.9911, 0.291, 0.9213),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(1.42, 0.2758, 0.174, 0.04822, 1.025, 0.6647, 1.255),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.306, 0.01982, 0.00184, 0.1548, 1.09, 0.06269, 1.004
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.0197, 1.616, 0.09512, 0.08242, 1.026, 1.993, 0.6914
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.02017, 1.974, 0.09761, 0.07848, 0.9763, 1.994, 0.6849
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.01944, 2.05, 0.03455, 0.1825, 0.7851, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(1.533, 0.1464, 0.1259, 0.03254, 1.034, 0.9984, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.02018, 1.702, 0.1118, 0.1093, 1.028, 1.623, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.188, 0.4391, 0.1549, 0.1084, 1.013, 0.3268, 1.206),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01954, 2.029, 0.1533, 0.1878, 1.017, 0.6299, 0.2165),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.186, 0.4545, 0.117, 0.03374, 1.064, 0.3006, 0.9964),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.9101, 0.4689, 0.1179, 0.04825, 1.075, 0.3669, 1.291),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.0202, 1.861, 0.1198, 0.1092, 0.9749, 0.7257, 0.3426),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02042, 2.234, 0.1047, 0.1094, 0.9829, 0.5967, 0.3578),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.01982, 2.155, 0.096, 0.1491, 0.945, 0.6393, 0.1181),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.15, 0.3672, 0.1403, 0.08223, 1.053, 0.422, 0.9912),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.067, 0.04165, 0.04586, 0.2724, 1.098, 0.09843, 0.8797
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.059, 0.2884, 0.106, 0.06392, 1.011, 0.5708, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.01938, 1.705, 0.02994, 0.132, 0.8122, 2.232, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.01974, 1.73, 0.04603, 0.09945, 0.9344, 2.507, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.894, 0.3171, 0.05399, 0.04096, 1.03, 0.99, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.505, 0.01994, 0.0009201, 0.1316, 1.061, 0.06298, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.01966, 1.345, 0.04974, 0.1008, 1.002, 2.696, 1),
}
