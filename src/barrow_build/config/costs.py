"""What benchmarks/fit_cost.py fitted to tune-h100.json, by the name of the bfloat16 kernel."""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.243, 0.3523, 0.2784, 0.1719, 1.118, 0.1759, 0.477),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.373, 0.5577, 0.3462, 0.1853, 1.071, 0.1765, 0.4767),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.203, 0.3971, 0.3741, 0.1794, 1.1, 0.2013, 0.4767),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.234, 0.3504, 0.4193, 0.1914, 1.167, 0.1698, 0.4764),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s6_k3_w2": CostModel(0.2528, 2.405, 0.1784, 0.1827, 1.078, 0.1336, 0.1653),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k2_w2": CostModel(0.2304, 2.508, 0.162, 0.1972, 1.036, 0.1312, 0.1653),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.289, 0.3509, 0.1767, 0.1071, 1.08, 0.1829, 0.477),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.312, 0.3367, 0.2485, 0.1483, 1.083, 0.1856, 0.4769),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.523, 0.2757, 0.1542, 0.1178, 1.053, 0.1514, 0.09329
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(
        0.4998, 1.725, 0.07817, 0.1086, 0.9798, 0.168, 0.1638
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(
        0.5736, 1.663, 0.05953, 0.1346, 0.9291, 0.1527, 0.1638
    ),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.415, 0.4652, 0.5842, 0.2736, 1.202, 0.1869, 0.4767),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.5616, 1.813, 0.2313, 0.215, 1.042, 0.1911, 0.1638
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.456, 0.2485, 0.2042, 0.1473, 1.09, 0.1722, 0.09329
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(0.4368, 1.735, 0.11, 0.1222, 1.021, 0.1632, 0.1638),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.277, 0.3445, 0.1569, 0.1059, 1.071, 0.1785, 0.4766),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.249, 0.4169, 0.1263, 0.04405, 1.075, 0.1799, 0.4768),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s10_k4_w1": CostModel(0.2158, 2.122, 0.08867, 0.1758, 0.931, 0.1212, 0.1653),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8856, 0.3749, 0.1213, 0.05973, 1.102, 0.2113, 0.4769),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k2_w1": CostModel(0.2834, 1.964, 0.09684, 0.1421, 1.014, 0.1426, 0.1653),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.2991, 1.845, 0.1046, 0.1406, 0.9495, 0.1432, 0.1653),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.122, 0.391, 0.1546, 0.07052, 1.085, 0.2447, 0.4766),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(
        1.456, 0.3039, 0.1462, 0.1004, 1.056, 0.1491, 0.09329
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k2_w1_swapped": CostModel(
        0.5119, 1.649, 0.06762, 0.09969, 0.9743, 0.1675, 0.1638
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(
        0.4735, 1.649, 0.06065, 0.1001, 0.9562, 0.1308, 0.1638
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k4_w1_swapped": CostModel(
        0.5161, 1.559, 0.05568, 0.1251, 0.9342, 0.1401, 0.1638
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        1.101, 0.3025, 0.09081, 0.06069, 1.074, 0.1239, 0.09329
    ),
}
