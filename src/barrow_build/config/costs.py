"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.226, 0.4912, 0.2559, 0.1859, 0.9999, 0.315, 0.7556),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.076, 0.03099, 0.1328, 0.3966, 1.122, 0.1024, 0.7298
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.411, 0.6781, 0.3351, 0.2457, 0.9921, 0.2947, 0.7681),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.163, 0.6754, 0.3572, 0.2261, 1.01, 0.2952, 0.7994),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.23, 0.5904, 0.3994, 0.2709, 1.069, 0.2848, 0.3404),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.205, 0.03161, 0.1922, 0.5435, 1.091, 0.1025, 0.01109
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.5241, 2.679, 0.138, 0.171, 0.9297, 0.6058, 0.4657),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.22, 0.486, 0.1635, 0.1046, 0.9936, 0.3237, 1.962),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.5355, 2.991, 0.1347, 0.1823, 0.886, 0.623, 0.3741),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.208, 0.5882, 0.2283, 0.1358, 0.9674, 0.3578, 1.232),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.225, 0.4957, 0.1224, 0.05165, 0.9313, 0.5298, 1.263
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        1.059, 0.4843, 0.05969, 0.04084, 0.945, 0.8955, 1.26
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01986, 0.0009185, 0.147, 1.065, 0.06245, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.2701, 1.902, 0.05255, 0.09783, 0.9227, 1.218, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.4951, 2.358, 0.04365, 0.09572, 0.8077, 1.823, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.5468, 2.013, 0.04196, 0.1168, 0.8167, 1.564, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.4845, 2.348, 0.03036, 0.1201, 0.6557, 1.762, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.872, 0.03136, 0.1596, 0.5378, 1.078, 0.1019, 8.058e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.198, 0.7453, 0.3977, 0.2464, 0.9355, 0.3084, 0.374),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.839, 0.03122, 0.1516, 0.5621, 1.074, 0.1142, 0.5109
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.296, 0.7119, 0.3294, 0.1987, 0.9134, 0.3193, 0.9424),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(
        1.166, 0.3999, 0.07919, 0.03174, 0.9395, 0.9442, 1.26
    ),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.4125, 2.159, 0.06908, 0.09463, 0.8805, 1.347, 1),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.249, 1.084, 0.5684, 0.3318, 0.968, 0.3247, 1.962e-18),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.819, 0.03118, 0.2017, 0.734, 1.106, 0.09982, 0.09042
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.176, 0.8723, 0.3369, 0.177, 0.8731, 0.3306, 0.9476),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.356, 0.4283, 0.1729, 0.04133, 0.935, 0.6146, 1.644
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01982, 0.00184, 0.1548, 1.09, 0.06236, 1.004
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.4172, 2.214, 0.08402, 0.07618, 0.9231, 1.183, 0.7714
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.5706, 2.382, 0.08617, 0.07168, 0.8539, 1.705, 0.753
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.5399, 2.538, 0.05169, 0.1329, 0.6251, 1.847, 1),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(
        1.487, 0.2902, 0.1152, 0.03133, 0.9552, 0.8543, 1.26
    ),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.5735, 2.052, 0.09536, 0.1038, 0.9204, 1.078, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.217, 0.4646, 0.1517, 0.1101, 0.973, 0.3203, 1.247),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.4603, 2.685, 0.1206, 0.1864, 0.8987, 0.568, 0.4518),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.307, 0.5113, 0.1127, 0.03456, 1.004, 0.3856, 1.036),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.9493, 0.5135, 0.112, 0.04989, 1.025, 0.3864, 1.355),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.6616, 2.034, 0.09375, 0.1142, 0.8688, 0.7945, 0.4623),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.8199, 2.368, 0.07966, 0.1129, 0.8808, 0.6199, 0.5451),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.6619, 2.362, 0.08782, 0.1371, 0.8468, 0.6744, 0.1737),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.141, 0.4211, 0.1361, 0.08301, 0.9851, 0.4695, 1.059),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.074, 0.03135, 0.04543, 0.274, 1.099, 0.0993, 0.8681
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.105, 0.5142, 0.1059, 0.05633, 0.9278, 0.52, 1.26),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.4257, 2.211, 0.03162, 0.1073, 0.6798, 1.676, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.4617, 2.157, 0.04474, 0.08818, 0.8402, 1.673, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.8727, 0.5342, 0.05138, 0.04037, 0.9547, 0.8502, 1.26
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.506, 0.01994, 0.0009201, 0.1316, 1.061, 0.06265, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.2371, 1.81, 0.04969, 0.09148, 0.9334, 1.157, 1),
}
