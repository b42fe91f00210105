"""What benchmarks/fit_cost.py fitted to docs/results/tune-h100.json, by the name of the bfloat16 kernel."""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(2.389, 1.04, 0.2905, 0.1272, 0.056),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.87, 1.481, 0.3426, 0.1533, 0.07706),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(2.202, 1.083, 0.3614, 0.156, 0.08841),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(3.308, 0.9289, 0.3755, 0.2052, 0.0719),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s6_k3_w2": CostModel(0, 2.807, 0.2226, 0.1549, 0.07538),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k2_w2": CostModel(0, 3.005, 0.1999, 0.1547, 0.06166),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(2.369, 0.6686, 0.2073, 0.06075, 0.04883),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(2.475, 0.6944, 0.2639, 0.1166, 0.05416),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(4.472, 0.3418, 0.1359, 0.1056, 0.06606),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(2.629, 2.242, 0.01061, 0.1415, 0.0766),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.3505, 2.453, 0.07365, 0.1405, 0.1337),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.238, 1.691, 0.5808, 0.2392, 0.0374),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(2.32, 2.556, 0.1029, 0.2893, 0.1336),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(4.516, 0.2784, 0.1743, 0.1397, 0.06635),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(2.321, 2.481, 0.04796, 0.1495, 0.0802),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(3.753, 0.6729, 0.15, 0.08669, 0.1028),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(2.164, 0.6234, 0.1547, 0.01188, 0.05208),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s10_k4_w1": CostModel(0, 2.459, 0.1235, 0.1512, 0.3657),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(2.986, 0.6122, 0.126, 0.04291, 0.08618),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k2_w1": CostModel(0.06039, 2.83, 0.1172, 0.1197, 0.122),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.01879, 2.353, 0.1389, 0.1312, 0.1666),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(3.701, 0.6325, 0.1439, 0.06152, 0.1171),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(4.524, 0.3981, 0.1311, 0.08053, 0.06587),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k2_w1_swapped": CostModel(2.706, 2.079, 0, 0.1352, 0.07682),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(1.681, 2.154, 0, 0.156, 0.1016),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k4_w1_swapped": CostModel(1.025, 2.221, 0.001321, 0.1727, 0.1276),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(3.957, 0.4256, 0.06669, 0.0634, 0.05585),
}
