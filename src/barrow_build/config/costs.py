"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.371, 0.4738, 0.2615, 0.1638, 1.102, 0.1735, 0.6071),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.118, 0.01993, 0.118, 0.4153, 1.132, 0.1055, 0.6757
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.418, 0.7141, 0.3498, 0.2077, 1.049, 0.1706, 1.162),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.335, 0.6418, 0.3594, 0.2093, 1.073, 0.191, 1.287),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.415, 0.5162, 0.4054, 0.2421, 1.14, 0.1559, 0.5064),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.083, 0.02019, 0.1658, 0.5865, 1.095, 0.1089, 0.07048
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.05925, 2.648, 0.1577, 0.1614, 1.053, 0.2931, 0.323),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.157, 0.5073, 0.1717, 0.09725, 1.067, 0.1736, 2.135),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.05788, 2.829, 0.148, 0.1609, 1.025, 0.2589, 0.622),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.05873, 2.896, 0.1567, 0.1824, 0.9981, 0.2756, 0.2231),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.293, 0.5066, 0.2366, 0.1281, 1.078, 0.1944, 1.3),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        0.9622, 0.5006, 0.1669, 0.07935, 1.123, 0.1214, 2.011
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.9363, 0.4241, 0.1011, 0.04339, 1.116, 0.1492, 1.877
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.471, 0.01987, 0.0009185, 0.1385, 1.072, 0.07181, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.08802, 1.627, 0.09311, 0.09208, 1.043, 0.217, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.1257, 1.801, 0.09136, 0.09001, 0.9927, 0.1783, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.1278, 1.718, 0.08639, 0.1139, 0.974, 0.2913, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.1117, 1.892, 0.06732, 0.1592, 0.9066, 0.2303, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.075, 0.02013, 0.1484, 0.5479, 1.08, 0.1103, 1.813e-17
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.422, 0.6243, 0.3872, 0.2354, 1.098, 0.1566, 0.5376),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.234, 0.01999, 0.1228, 0.5913, 1.087, 0.1174, 0.625
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.455, 0.5843, 0.3211, 0.2135, 1.053, 0.1703, 0.8497),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.379, 0.8558, 0.5632, 0.3368, 1.115, 0.1835, 0.03345),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.873, 0.02005, 0.1879, 0.7629, 1.122, 0.1036, 0.2686
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.263, 0.7875, 0.3277, 0.1962, 1.117, 0.1852, 0.8799),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.13, 2.131, 0.2564, 0.1781, 1.053, 0.3323, 3.468e-19
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(1.183, 0.4422, 0.1941, 0.117, 1.118, 0.1704, 2.62),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.372, 0.01975, 0.001837, 0.1536, 1.088, 0.07537, 4.015
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.09104, 1.765, 0.1114, 0.1036, 1.062, 0.2376, 0.4018
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.1345, 1.869, 0.1255, 0.08946, 0.9965, 0.1944, 0.2649
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.1146, 2.028, 0.1027, 0.1759, 0.901, 0.2551, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.121, 0.4725, 0.1664, 0.09216, 1.083, 0.1799, 1.391),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.04997, 2.142, 0.1553, 0.181, 1.065, 0.2194, 0.1653),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.225, 0.5231, 0.1196, 0.03158, 1.06, 0.1941, 1.039),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.9566, 0.4699, 0.1181, 0.04894, 1.088, 0.2338, 1.394),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.0627, 2.038, 0.1187, 0.09269, 0.9758, 0.359, 0.2157),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.0656, 2.25, 0.1031, 0.1042, 1.011, 0.2949, 0.2677),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.05924, 2.255, 0.09718, 0.1452, 0.95, 0.2609, 0.004019),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.042, 0.4803, 0.1571, 0.06281, 1.082, 0.2915, 1.076),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.269, 0.02025, 0.04285, 0.2778, 1.097, 0.108, 0.601
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(
        0.8055, 0.5323, 0.1659, 0.06265, 1.13, 0.1212, 1.877
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.1075, 1.818, 0.06783, 0.1418, 0.9171, 0.2113, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.1175, 1.729, 0.0911, 0.0758, 0.9911, 0.1833, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.8243, 0.4826, 0.09534, 0.03447, 1.109, 0.1442, 1.877
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.537, 0.01999, 0.0009194, 0.1278, 1.066, 0.07253, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.09288, 1.59, 0.0923, 0.08037, 1.036, 0.2176, 1),
}
