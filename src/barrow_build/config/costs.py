"""What benchmarks/fit_cost.py fitted to docs/results/sweep-h100.json, by the name of the bfloat16 kernel."""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x112x128_s6_k1_w2": CostModel(2.89, 1.42, 0.3502, 0.06157, 0.01817),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(3.816, 1.021, 0.304, 0.08397, 0.04254),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(3.239, 1.814, 0.3561, 0.1197, 0.06749),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(3.369, 1.601, 0.3785, 0.1147, 0.07742),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(5.307, 1.303, 0.3451, 0.2225, 0.1209),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(3.308, 0.8358, 0.2313, 0.01757, 0.04625),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(3.677, 0.9288, 0.2814, 0.06323, 0.04515),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(2.124, 1.972, 0.5966, 0.2262, 0.01514),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(4.854, 0.8127, 0.1707, 0.03829, 0.09037),
    "fp8_gemm_nt_bf16_sm90a_64x16x128_s16_k1_w1": CostModel(2.425, 0.5277, 0.1171, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x32x128_s16_k1_w1": CostModel(3.077, 0.6492, 0.1312, 0, 0.03614),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(3.993, 0.7971, 0.1505, 0, 0.06451),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s10_k4_w1": CostModel(0.5729, 2.66, 0.2524, 0, 0.2072),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(4.863, 0.7112, 0.13, 0.01743, 0.08539),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(5.229, 0.7662, 0.1438, 0.0431, 0.1123),
}
