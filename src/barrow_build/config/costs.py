"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.198, 0.5181, 0.2518, 0.1899, 1.01, 0.4474, 0.7522),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.076, 0.03099, 0.1328, 0.3966, 1.122, 0.1024, 0.7298
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.343, 0.7014, 0.3341, 0.2469, 1.021, 0.3672, 0.7611),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.122, 0.6971, 0.3543, 0.2293, 1.018, 0.4114, 0.7886),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.201, 0.6071, 0.3976, 0.2731, 1.086, 0.3443, 0.3326),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.205, 0.03161, 0.1922, 0.5435, 1.091, 0.1025, 0.01109
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.3505, 2.642, 0.1418, 0.1721, 1.012, 0.7534, 0.4443),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.162, 0.4957, 0.1593, 0.1095, 1.036, 0.447, 1.948),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.3422, 2.939, 0.1389, 0.1847, 0.9644, 0.7667, 0.3565),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.15, 0.5985, 0.2283, 0.1363, 1.009, 0.4175, 1.221),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.22, 0.3754, 0.1309, 0.04694, 0.9698, 0.6203, 1.002
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(1.016, 0.3784, 0.06443, 0.03763, 1.002, 1.032, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01986, 0.0009185, 0.147, 1.065, 0.06245, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.1984, 1.555, 0.05856, 0.09946, 0.9976, 2.004, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.2611, 2.298, 0.04824, 0.09808, 0.8206, 2.115, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.2744, 1.882, 0.04906, 0.1202, 0.8759, 2.001, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.2287, 2.203, 0.03246, 0.1345, 0.7452, 1.994, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.872, 0.03136, 0.1596, 0.5378, 1.078, 0.1019, 8.058e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.17, 0.7671, 0.3929, 0.251, 0.9626, 0.4415, 0.3764),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.839, 0.03122, 0.1516, 0.5621, 1.074, 0.1142, 0.5109
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.232, 0.7255, 0.3303, 0.1981, 0.9509, 0.4009, 0.9344),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(1.11, 0.3049, 0.08549, 0.02881, 0.9952, 1.116, 1),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.2311, 2.096, 0.07329, 0.09476, 0.8906, 1.74, 1),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.191, 1.113, 0.5669, 0.3331, 1.006, 0.4281, 3.579e-20),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.819, 0.03118, 0.2017, 0.734, 1.106, 0.09982, 0.09042
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.12, 0.8818, 0.3384, 0.1758, 0.9179, 0.4296, 0.9394),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.33, 0.3763, 0.1779, 0.03909, 0.9726, 0.7448, 1.294
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01982, 0.00184, 0.1548, 1.09, 0.06236, 1.004
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.2449, 1.913, 0.09501, 0.07349, 1.005, 1.604, 0.7383
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.3015, 2.374, 0.0943, 0.06791, 0.8723, 1.936, 0.7351
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.2462, 2.413, 0.05146, 0.1523, 0.7224, 2.047, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(1.445, 0.2024, 0.125, 0.02469, 1.008, 1.016, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.312, 1.858, 0.1079, 0.1005, 1.012, 1.357, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.157, 0.4771, 0.1514, 0.1111, 0.9819, 0.415, 1.227),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.2846, 2.418, 0.1281, 0.192, 0.9659, 0.727, 0.372),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.257, 0.5232, 0.1056, 0.04242, 1.023, 0.6317, 1.025),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8846, 0.5022, 0.1095, 0.05372, 1.053, 0.5582, 1.334),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.418, 1.931, 0.1042, 0.115, 0.9555, 0.881, 0.4098),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.521, 2.388, 0.08385, 0.113, 0.929, 0.8432, 0.5034),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.3744, 2.34, 0.09422, 0.1393, 0.9108, 0.7837, 0.1458),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.09, 0.4143, 0.1345, 0.08581, 1.019, 0.5848, 1.037),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.074, 0.03135, 0.04543, 0.274, 1.099, 0.0993, 0.8681
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.097, 0.41, 0.1124, 0.05355, 0.9638, 0.6179, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.2154, 2.036, 0.0345, 0.1194, 0.761, 1.933, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.2473, 2.088, 0.04957, 0.08971, 0.8449, 1.982, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.8421, 0.4191, 0.05508, 0.0392, 1.004, 1.006, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.506, 0.01994, 0.0009201, 0.1316, 1.061, 0.06265, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.1851, 1.495, 0.05407, 0.0931, 0.999, 2.054, 1),
}
