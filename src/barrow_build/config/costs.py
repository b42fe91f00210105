"""What benchmarks/fit_cost.py fitted to docs/results/sweep-h100.json, by the name of the bfloat16 kernel."""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x112x128_s6_k1_w2": CostModel(3.061, 1.423, 0.3214, 0.06388, 0.02631),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(3.789, 1.086, 0.2999, 0.09068, 0.04283),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(3.183, 1.734, 0.3709, 0.1149, 0.0617),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(3.422, 1.361, 0.3833, 0.1296, 0.07503),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(5.152, 1.182, 0.3755, 0.2209, 0.1185),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(3.421, 0.9187, 0.215, 0.02029, 0.05239),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(3.737, 0.9369, 0.26, 0.07032, 0.05728),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.364, 2.447, 0.6315, 0.2058, 0.01037),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(4.86, 0.8342, 0.168, 0.04372, 0.09223),
    "fp8_gemm_nt_bf16_sm90a_64x16x128_s16_k1_w1": CostModel(2.135, 0.5614, 0.1127, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x32x128_s16_k1_w1": CostModel(2.645, 0.7447, 0.1293, 0, 0.0379),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(3.951, 0.8719, 0.1342, 0.01092, 0.06897),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s10_k4_w1": CostModel(0, 4.6, 0.2377, 0.06602, 0.3481),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(4.876, 0.7457, 0.1132, 0.03437, 0.08772),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(5.183, 0.8386, 0.1423, 0.04816, 0.1115),
}
