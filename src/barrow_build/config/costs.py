"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.237, 0.46, 0.2574, 0.1668, 1.064, 0.2973, 1.009),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.136, 0.04088, 0.1344, 0.3888, 1.119, 0.1018, 0.8346
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.33, 0.6414, 0.343, 0.2153, 1.049, 0.2657, 1.155),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.171, 0.5875, 0.3586, 0.2136, 1.054, 0.2933, 1.064),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.211, 0.5321, 0.3999, 0.2555, 1.128, 0.2639, 0.663),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.251, 0.04214, 0.1979, 0.5307, 1.089, 0.1018, 0.06981
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.01987, 2.546, 0.1538, 0.1643, 1.033, 0.5596, 0.4178),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.097, 0.447, 0.1692, 0.09339, 1.071, 0.2738, 2.074),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01988, 2.799, 0.1554, 0.1789, 0.9706, 0.5815, 0.3223),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.238, 0.4696, 0.2311, 0.127, 1.058, 0.3159, 1.37),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.209, 0.259, 0.1159, 0.06877, 1.024, 0.5758, 1.001
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(1.077, 0.2681, 0.05882, 0.04809, 1.028, 1.02, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.305, 0.01986, 0.0009185, 0.1471, 1.065, 0.06279, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.01969, 1.412, 0.05247, 0.1108, 1.009, 2.536, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.01979, 1.875, 0.04754, 0.109, 0.9165, 2.15, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.02009, 1.75, 0.0438, 0.1276, 0.8908, 2.236, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.0194, 1.839, 0.02727, 0.1511, 0.8062, 2.236, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.922, 0.04177, 0.1632, 0.5257, 1.078, 0.1002, 8.166e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.297, 0.6298, 0.3924, 0.2391, 1.043, 0.2626, 0.5415),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.899, 0.04148, 0.1575, 0.5442, 1.073, 0.1123, 0.4874
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.313, 0.5723, 0.3287, 0.1924, 1.024, 0.2755, 1.1),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(1.163, 0.208, 0.08343, 0.03359, 1.028, 1.091, 1),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.01981, 1.726, 0.07645, 0.1054, 0.9834, 1.357, 1),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.252, 0.8529, 0.5716, 0.3357, 1.09, 0.296, 0.002628),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.798, 0.04126, 0.2042, 0.7319, 1.103, 0.09905, 0.1121
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.161, 0.7939, 0.3389, 0.1633, 1.004, 0.3031, 1.179),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.376, 0.2581, 0.1742, 0.04806, 1.032, 0.6627, 1.252
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.306, 0.01982, 0.00184, 0.1548, 1.09, 0.06269, 1.004
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.0197, 1.607, 0.09726, 0.07898, 1.028, 1.984, 0.707
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.02015, 2.008, 0.09158, 0.07997, 0.9769, 2.022, 0.7048
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.01946, 2.05, 0.03473, 0.1824, 0.7846, 2.236, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(1.489, 0.1373, 0.1219, 0.02563, 1.044, 1.029, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.02013, 1.679, 0.1144, 0.1037, 1.033, 1.6, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.079, 0.424, 0.1601, 0.09471, 1.019, 0.3316, 1.4),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01952, 1.985, 0.1496, 0.1903, 1.025, 0.611, 0.2412),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.166, 0.462, 0.1163, 0.03196, 1.065, 0.3143, 1.035),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8885, 0.451, 0.1121, 0.05032, 1.078, 0.3958, 1.363),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.02026, 1.866, 0.1236, 0.1087, 0.964, 0.6804, 0.323),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02033, 2.237, 0.1048, 0.1026, 0.9865, 0.5697, 0.42),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.0199, 2.172, 0.09627, 0.1557, 0.9309, 0.6056, 0.09354),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.075, 0.3635, 0.1417, 0.07838, 1.05, 0.4458, 1.05),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.067, 0.04165, 0.04586, 0.2724, 1.098, 0.09843, 0.8797
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.087, 0.2619, 0.101, 0.07062, 1.011, 0.5744, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.01938, 1.705, 0.02989, 0.1321, 0.8122, 2.236, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.01974, 1.73, 0.04587, 0.09967, 0.9344, 2.512, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.9252, 0.2863, 0.05002, 0.04711, 1.03, 0.999, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.505, 0.01994, 0.0009201, 0.1316, 1.061, 0.06298, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.01966, 1.344, 0.04934, 0.1014, 1.002, 2.701, 1),
}
