"""What benchmarks/fit_cost.py fitted to tune-h100.json, tune-h200.json, by the name of the bfloat16 kernel."""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.333, 0.4257, 0.2555, 0.1638, 1.117, 0.1993, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.378, 0.6938, 0.3429, 0.1975, 1.064, 0.2074, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.378, 0.5635, 0.3601, 0.185, 1.088, 0.2299, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.503, 0.4549, 0.407, 0.2027, 1.146, 0.1659, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.0862, 2.563, 0.161, 0.1542, 1.061, 0.2794, 0.1822),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.091, 0.4609, 0.1637, 0.1053, 1.084, 0.214, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.08453, 2.701, 0.1426, 0.1618, 1.031, 0.2486, 0.1822),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.08287, 2.825, 0.1469, 0.1928, 1.009, 0.2593, 0.1822),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.281, 0.4832, 0.2286, 0.1313, 1.085, 0.2471, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(1.123, 0.242, 0.1602, 0.1074, 1.131, 0.1144, 0.113),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        1.024, 0.2942, 0.09213, 0.05643, 1.116, 0.1344, 0.113
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(
        0.05906, 1.595, 0.09444, 0.09247, 1.05, 0.2269, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(
        0.07489, 1.76, 0.09121, 0.09146, 0.9949, 0.1982, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(
        0.07453, 1.685, 0.08853, 0.1146, 0.9876, 0.3075, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(
        0.07012, 1.856, 0.06767, 0.1617, 0.9083, 0.2612, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.445, 0.6935, 0.5728, 0.2864, 1.161, 0.2205, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.07398, 2.135, 0.2539, 0.1854, 1.054, 0.3531, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.312, 0.1912, 0.1976, 0.1379, 1.129, 0.1497, 0.113
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.06035, 1.736, 0.113, 0.1043, 1.064, 0.2496, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.07847, 1.84, 0.1259, 0.091, 0.9962, 0.2118, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(
        0.07109, 2.001, 0.1105, 0.1749, 0.898, 0.2784, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.114, 0.4357, 0.1546, 0.1036, 1.088, 0.2031, 0.05883),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.06893, 2.071, 0.1611, 0.1626, 1.068, 0.2122, 0.1822),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.139, 0.5052, 0.1122, 0.04074, 1.082, 0.2408, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.9059, 0.4467, 0.1092, 0.05956, 1.097, 0.2701, 0.05882),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.08768, 2.012, 0.1134, 0.1056, 0.9773, 0.336, 0.1822),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.09844, 2.178, 0.1052, 0.1011, 1.011, 0.2831, 0.1822),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.08355, 2.21, 0.09396, 0.1473, 0.9534, 0.2348, 0.1822),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.003, 0.4539, 0.1424, 0.07673, 1.087, 0.3403, 0.05883),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(
        0.9973, 0.2781, 0.1553, 0.0908, 1.141, 0.1179, 0.113
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(
        0.06817, 1.786, 0.06735, 0.1453, 0.9167, 0.2421, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(
        0.07073, 1.667, 0.09027, 0.07924, 1.013, 0.1965, 0.1439
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.9149, 0.3348, 0.08804, 0.04785, 1.127, 0.1215, 0.113
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(
        0.06187, 1.55, 0.09405, 0.08178, 1.041, 0.2141, 0.1439
    ),
}
