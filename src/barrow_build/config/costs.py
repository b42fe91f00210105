"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.247, 0.4568, 0.2586, 0.1655, 1.066, 0.2902, 1.011),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.136, 0.04088, 0.1344, 0.3888, 1.119, 0.1018, 0.8346
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.342, 0.6374, 0.3437, 0.2145, 1.05, 0.2588, 1.156),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.189, 0.5822, 0.3598, 0.2123, 1.057, 0.2768, 1.067),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.229, 0.5274, 0.4011, 0.254, 1.13, 0.2498, 0.6658),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.251, 0.04214, 0.1979, 0.5307, 1.089, 0.1018, 0.06981
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.01987, 2.56, 0.1537, 0.1632, 1.032, 0.5441, 0.4227),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.103, 0.4432, 0.1699, 0.09277, 1.074, 0.2627, 2.074),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.01983, 2.804, 0.1409, 0.1544, 1.007, 0.5019, 0.7795),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01987, 2.82, 0.155, 0.1769, 0.9686, 0.5635, 0.3284),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.251, 0.464, 0.2325, 0.1256, 1.061, 0.3035, 1.372),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.209, 0.259, 0.1159, 0.06877, 1.024, 0.5758, 1.001
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(1.077, 0.2681, 0.05882, 0.04809, 1.028, 1.02, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.305, 0.01986, 0.0009185, 0.1471, 1.065, 0.06279, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.01968, 1.41, 0.05742, 0.1052, 1.008, 2.474, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.01977, 1.867, 0.05171, 0.1042, 0.9173, 2.097, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.02006, 1.741, 0.04743, 0.1235, 0.8921, 2.19, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.0194, 1.84, 0.0292, 0.1472, 0.8073, 2.19, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.922, 0.04177, 0.1632, 0.5257, 1.078, 0.1002, 1.496e-19
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.308, 0.6275, 0.393, 0.2384, 1.043, 0.2562, 0.5422),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.899, 0.04148, 0.1575, 0.5442, 1.073, 0.1123, 0.4874
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.32, 0.5697, 0.3291, 0.192, 1.025, 0.2689, 1.1),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(1.163, 0.208, 0.08343, 0.03359, 1.028, 1.091, 1),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.01979, 1.717, 0.08057, 0.1006, 0.9842, 1.328, 1),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.26, 0.8485, 0.5719, 0.3355, 1.09, 0.2874, 0.002456),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.798, 0.04126, 0.2042, 0.7319, 1.103, 0.09905, 0.1121
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.169, 0.7912, 0.3389, 0.1633, 1.005, 0.2942, 1.179),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.02003, 1.83, 0.1934, 0.1687, 1.051, 1.914, 0.1047
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.376, 0.2581, 0.1742, 0.04808, 1.032, 0.6627, 1.252
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.306, 0.01982, 0.00184, 0.1548, 1.09, 0.06269, 1.004
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.0197, 1.604, 0.09991, 0.07594, 1.027, 1.956, 0.7097
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(0.02013, 2, 0.09525, 0.07586, 0.9774, 1.977, 0.7072),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.01945, 2.052, 0.03617, 0.1792, 0.7854, 2.19, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(1.489, 0.1373, 0.1219, 0.02562, 1.044, 1.029, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.02013, 1.678, 0.1156, 0.1021, 1.033, 1.588, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.08, 0.4233, 0.1602, 0.09456, 1.019, 0.3289, 1.4),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01952, 1.985, 0.15, 0.1894, 1.026, 0.6042, 0.245),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.167, 0.4609, 0.1163, 0.0319, 1.065, 0.307, 1.035),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8892, 0.4499, 0.1122, 0.0502, 1.079, 0.3879, 1.363),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.02026, 1.877, 0.123, 0.1085, 0.9632, 0.6576, 0.3266),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02033, 2.242, 0.1046, 0.1024, 0.9862, 0.5566, 0.4219),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.0199, 2.185, 0.09619, 0.1533, 0.9299, 0.5858, 0.1003),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.076, 0.3621, 0.1419, 0.07815, 1.051, 0.4391, 1.05),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.067, 0.04165, 0.04586, 0.2724, 1.098, 0.09843, 0.8797
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.087, 0.2619, 0.101, 0.07062, 1.011, 0.5744, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.01937, 1.705, 0.03217, 0.1276, 0.814, 2.19, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.01973, 1.723, 0.04991, 0.09509, 0.9351, 2.453, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.9252, 0.2863, 0.05002, 0.04712, 1.03, 0.999, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.505, 0.01994, 0.0009201, 0.1316, 1.061, 0.06298, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.01965, 1.343, 0.0542, 0.09604, 1.002, 2.63, 1),
}
