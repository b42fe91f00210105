"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.393, 0.4746, 0.2631, 0.1539, 1.103, 0.1787, 0.7682),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        5.211, 0.0198, 0.2229, 0.3214, 1.113, 0.1256, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.45, 0.7012, 0.3511, 0.1969, 1.053, 0.1808, 0.7686),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.38, 0.6357, 0.3613, 0.1902, 1.078, 0.2049, 0.7686),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.415, 0.5575, 0.4083, 0.2191, 1.14, 0.1669, 0.7682),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.295, 0.02015, 0.2731, 0.5073, 1.109, 0.1295, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.05248, 2.647, 0.1576, 0.1634, 1.052, 0.293, 0.2069),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.158, 0.5068, 0.1715, 0.09679, 1.067, 0.186, 0.769),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2_grouped": CostModel(
        3.668, 0.01965, 0.09725, 0.2753, 1.181, 0.1285, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.05136, 2.828, 0.1475, 0.1632, 1.026, 0.259, 0.2069),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.05208, 2.896, 0.1565, 0.1841, 0.9991, 0.2754, 0.2069),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.318, 0.5065, 0.2368, 0.1214, 1.077, 0.204, 0.7688),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        0.9595, 0.5042, 0.1669, 0.07922, 1.122, 0.123, 1.841
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.9343, 0.4263, 0.1011, 0.04339, 1.115, 0.1504, 1.841
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.974, 0.01986, 0.0318, 0.1129, 1.086, 0.5074, 4.606
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(
        0.08628, 1.628, 0.09313, 0.09206, 1.043, 0.217, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(
        0.1218, 1.802, 0.0915, 0.08987, 0.9943, 0.1776, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(
        0.1238, 1.719, 0.08658, 0.1138, 0.975, 0.2915, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(
        0.1088, 1.893, 0.06739, 0.1592, 0.9065, 0.2311, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.481, 0.6433, 0.3892, 0.204, 1.101, 0.1702, 0.7684),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.147, 0.01992, 0.1991, 0.5325, 1.147, 0.1241, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.5, 0.7925, 0.5688, 0.3029, 1.132, 0.2034, 0.768),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        5.039, 0.02003, 0.3205, 0.663, 1.153, 0.1237, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(0.1258, 2.134, 0.2559, 0.1795, 1.053, 0.3337, 0.02),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(1.184, 0.4416, 0.194, 0.1171, 1.118, 0.1709, 1.841),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        5.039, 0.01959, 0.06048, 0.1292, 1.086, 0.5078, 4.606
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(0.08898, 1.766, 0.1111, 0.1043, 1.061, 0.2381, 0.02),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(0.1301, 1.869, 0.1254, 0.09005, 0.997, 0.1948, 0.02),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.1115, 2.029, 0.1029, 0.1758, 0.9009, 0.2559, 0.02),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped_grouped": CostModel(
        5.231, 0.01979, 0.08761, 0.1666, 1.089, 0.4671, 4.606
    ),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.126, 0.4739, 0.1667, 0.08941, 1.081, 0.1864, 0.7689),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.04523, 2.145, 0.1553, 0.1813, 1.066, 0.2184, 0.2069),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.227, 0.5215, 0.1194, 0.03188, 1.059, 0.213, 0.7685),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.9561, 0.4687, 0.1178, 0.04943, 1.085, 0.2527, 0.7687),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1_grouped": CostModel(
        4.45, 0.01994, 0.04637, 0.1926, 1.108, 0.1285, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.05521, 2.04, 0.1187, 0.09322, 0.9771, 0.3587, 0.2069),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.05738, 2.253, 0.1029, 0.1051, 1.014, 0.2942, 0.2069),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.05261, 2.264, 0.09733, 0.1429, 0.9505, 0.2611, 0.2068),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.038, 0.4842, 0.1568, 0.0623, 1.078, 0.3104, 0.7686),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(4.564, 0.0202, 0.06809, 0.2277, 1.101, 0.1291, 0.02),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(0.8057, 0.533, 0.1658, 0.0627, 1.128, 0.1228, 1.841),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(
        0.1048, 1.818, 0.06786, 0.1419, 0.9171, 0.2121, 0.02
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.114, 1.73, 0.09121, 0.0757, 0.9921, 0.1829, 0.02),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.8238, 0.4827, 0.09533, 0.03446, 1.109, 0.1456, 1.841
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        5.344, 0.01992, 0.03147, 0.1031, 1.073, 0.5304, 4.606
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(
        0.09086, 1.592, 0.09232, 0.08036, 1.036, 0.218, 0.02
    ),
}
