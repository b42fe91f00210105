"""What benchmarks/fit_cost.py fitted to docs/results/tune-h100.json, by the name of the bfloat16 kernel."""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(2.734, 0.89, 0.3094, 0.1012, 0.05616),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(2.135, 1.493, 0.348, 0.1351, 0.0828),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(2.401, 1.167, 0.3606, 0.1297, 0.09273),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(3.461, 0.9803, 0.3768, 0.178, 0.08053),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(2.394, 0.6948, 0.2118, 0.05131, 0.04569),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(2.648, 0.6861, 0.2749, 0.09568, 0.04644),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(4.293, 0.3538, 0.1353, 0.109, 0.05967),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(2.85, 2.244, 0.001635, 0.133, 0.07686),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.5646, 2.444, 0.06483, 0.1269, 0.144),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.412, 1.711, 0.6015, 0.19, 0.02799),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(2.409, 2.549, 0.08996, 0.2814, 0.1317),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(4.407, 0.286, 0.182, 0.1302, 0.06166),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(2.404, 2.486, 0.04116, 0.14, 0.07868),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k4_w1_swapped": CostModel(0.1356, 2.818, 0.1126, 0.1331, 0.1373),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(3.855, 0.6712, 0.1578, 0.07026, 0.09532),
    "fp8_gemm_nt_bf16_sm90a_64x32x128_s16_k1_w1": CostModel(1.183, 0.5428, 0.1496, 0.001179, 0.01811),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(2.402, 0.6149, 0.1563, 0.01318, 0.04954),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s10_k4_w1": CostModel(0, 2.53, 0.1218, 0.1518, 0.3467),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(2.925, 0.5685, 0.1552, 0.02495, 0.07165),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s5_k2_w1_swapped": CostModel(1.269, 2.823, 0.1628, 0.1395, 0.07166),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s5_k4_w1_swapped": CostModel(0, 2.953, 0.2266, 0.1406, 0.1167),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(3.676, 0.6231, 0.1581, 0.05597, 0.1021),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(4.231, 0.397, 0.1309, 0.0874, 0.05634),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k2_w1_swapped": CostModel(2.833, 2.179, 0, 0.116, 0.08082),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(1.791, 2.193, 0, 0.1375, 0.1101),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k4_w1_swapped": CostModel(0.9802, 2.321, 0.01619, 0.1395, 0.1439),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(3.738, 0.3831, 0.08571, 0.05077, 0.04776),
}
