"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.396, 0.4686, 0.2626, 0.1559, 1.103, 0.1788, 0.5482),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.118, 0.01993, 0.118, 0.4153, 1.132, 0.1055, 0.6757
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.447, 0.7103, 0.3519, 0.1936, 1.053, 0.1807, 1.228),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.377, 0.6427, 0.362, 0.1875, 1.078, 0.2048, 1.1),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.419, 0.5472, 0.4073, 0.2236, 1.14, 0.1673, 0.3999),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.083, 0.02019, 0.1658, 0.5865, 1.095, 0.1089, 0.07048
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.0525, 2.652, 0.1576, 0.1621, 1.052, 0.293, 0.331),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.154, 0.5143, 0.1722, 0.09421, 1.067, 0.1862, 2.137),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.05138, 2.835, 0.1479, 0.1608, 1.026, 0.2586, 0.6281),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.05208, 2.897, 0.1565, 0.1838, 0.9991, 0.2754, 0.2273),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.314, 0.5134, 0.2375, 0.1189, 1.077, 0.2043, 1.314),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        0.9595, 0.5042, 0.1669, 0.07922, 1.122, 0.123, 1.95
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.9343, 0.4263, 0.1011, 0.04339, 1.115, 0.1504, 1.841
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.471, 0.01987, 0.0009185, 0.1385, 1.072, 0.07181, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.08628, 1.628, 0.09313, 0.09206, 1.043, 0.217, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.1218, 1.802, 0.0915, 0.08987, 0.9943, 0.1776, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.1238, 1.719, 0.08658, 0.1138, 0.975, 0.2915, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.1088, 1.893, 0.06739, 0.1592, 0.9065, 0.2311, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.075, 0.02013, 0.1484, 0.5479, 1.08, 0.1103, 3.32e-19
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.482, 0.641, 0.389, 0.2049, 1.101, 0.1702, 0.6991),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.234, 0.01999, 0.1228, 0.5913, 1.087, 0.1174, 0.625
    ),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.503, 0.7671, 0.5665, 0.3149, 1.132, 0.2034, 0.103),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.873, 0.02005, 0.1879, 0.7629, 1.122, 0.1036, 0.2686
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.1258, 2.134, 0.2558, 0.1796, 1.053, 0.3337, 6.511e-21
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(1.181, 0.4454, 0.1943, 0.1165, 1.118, 0.1706, 2.57),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.372, 0.01975, 0.001837, 0.1536, 1.088, 0.07537, 4.015
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.08887, 1.767, 0.1113, 0.1039, 1.062, 0.2377, 0.4055
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.1301, 1.871, 0.1255, 0.08969, 0.997, 0.1946, 0.2783
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.1115, 2.029, 0.1029, 0.1758, 0.9009, 0.2559, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.12, 0.4817, 0.1673, 0.08735, 1.08, 0.1863, 1.465),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.04523, 2.144, 0.1552, 0.1815, 1.066, 0.2185, 0.1784),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.227, 0.5225, 0.1195, 0.0316, 1.059, 0.213, 1.031),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.9545, 0.4713, 0.118, 0.04873, 1.085, 0.2526, 1.38),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.05521, 2.04, 0.1187, 0.09314, 0.9771, 0.3587, 0.2219),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.05738, 2.253, 0.1029, 0.1048, 1.014, 0.2941, 0.2788),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.05253, 2.255, 0.09732, 0.1458, 0.9504, 0.2614, 0.00873),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.036, 0.487, 0.1571, 0.06152, 1.078, 0.3105, 1.097),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.269, 0.02025, 0.04285, 0.2778, 1.097, 0.108, 0.601
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(0.8057, 0.533, 0.1658, 0.0627, 1.128, 0.1228, 1.841),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.1048, 1.818, 0.06786, 0.1419, 0.9171, 0.2121, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.114, 1.73, 0.09121, 0.0757, 0.9921, 0.1829, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.8238, 0.4827, 0.09533, 0.03446, 1.109, 0.1456, 1.841
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.537, 0.01999, 0.0009194, 0.1278, 1.066, 0.07253, 3.652
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.09086, 1.592, 0.09232, 0.08036, 1.036, 0.218, 1),
}
