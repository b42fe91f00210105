"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(
        1.46, 0.5148, 0.2385, 0.154, 0.9272, 0.4094, 0.321, 0.2067
    ),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.229, 0.031, 0.133, 0.3883, 1.105, 0.1029, 0, 0.0191
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(
        1.639, 0.7103, 0.3149, 0.207, 0.9229, 0.3967, 0.3061, 0.1718
    ),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(
        1.455, 0.6804, 0.3347, 0.1891, 0.9238, 0.4293, 0.276, 0.1704
    ),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(
        1.466, 0.612, 0.3812, 0.2321, 1.028, 0.318, 0.2481, 0.1273
    ),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.339, 0.03165, 0.1927, 0.5329, 1.077, 0.1027, 0, 0.01586
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(
        0.4445, 2.564, 0.1389, 0.1682, 0.9732, 0.808, 0.1697, 0.06126
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(
        1.32, 0.5033, 0.1551, 0.08613, 0.9374, 0.4746, 0.4173, 0.1898
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(
        0.4315, 2.857, 0.1354, 0.1803, 0.9204, 0.8124, 0.1841, 0.07174
    ),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(
        1.406, 0.5876, 0.2178, 0.1045, 0.919, 0.3959, 0.3924, 0.2113
    ),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.22, 0.3752, 0.1309, 0.04692, 0.9698, 0.6203, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        1.016, 0.3782, 0.06445, 0.03761, 1.002, 1.032, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01986, 0.0009185, 0.147, 1.065, 0.06245, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(
        0.1984, 1.555, 0.05856, 0.09946, 0.9976, 2.004, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(
        0.2611, 2.298, 0.04824, 0.09808, 0.8206, 2.115, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(
        0.2744, 1.882, 0.04906, 0.1202, 0.8759, 2.001, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.2287, 2.203, 0.03246, 0.1345, 0.7452, 1.994, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.973, 0.03139, 0.1593, 0.5311, 1.068, 0.1021, 0, 0.01164
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(
        1.463, 0.7564, 0.3715, 0.2129, 0.9003, 0.4548, 0.3699, 0.1452
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.973, 0.03123, 0.1505, 0.5538, 1.059, 0.1148, 0, 0.01652
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(
        1.497, 0.6991, 0.3102, 0.1737, 0.8943, 0.4108, 0.4063, 0.1447
    ),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(1.11, 0.3048, 0.0855, 0.02879, 0.9952, 1.116, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.2311, 2.096, 0.07329, 0.09476, 0.8906, 1.74, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(
        1.39, 1.161, 0.5443, 0.3011, 0.9773, 0.4642, 0.2378, 0.06415
    ),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.939, 0.0312, 0.2004, 0.7238, 1.093, 0.1001, 0, 0.01438
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(
        1.297, 0.8536, 0.3226, 0.1573, 0.8987, 0.4572, 0.409, 0.1072
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.331, 0.3741, 0.1777, 0.03977, 0.9726, 0.7452, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01982, 0.00184, 0.1548, 1.09, 0.06237, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(0.2449, 1.912, 0.0949, 0.07384, 1.005, 1.604, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(0.3013, 2.373, 0.0942, 0.06829, 0.8723, 1.936, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.2462, 2.413, 0.05146, 0.1523, 0.7224, 2.047, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(1.445, 0.2024, 0.125, 0.02468, 1.008, 1.016, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.312, 1.858, 0.1079, 0.1005, 1.012, 1.357, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.169, 0.4638, 0.1491, 0.1156, 0.9808, 0.4218, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.3049, 2.394, 0.1258, 0.1967, 0.9649, 0.7356, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.269, 0.5229, 0.1024, 0.04618, 1.02, 0.6787, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8893, 0.5002, 0.1077, 0.05618, 1.051, 0.5811, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.4845, 1.933, 0.09709, 0.1225, 0.9528, 0.9077, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.6065, 2.342, 0.07967, 0.1182, 0.9289, 0.859, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.4314, 2.34, 0.08694, 0.1468, 0.9104, 0.8091, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.098, 0.4086, 0.1321, 0.0895, 1.017, 0.5998, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.072, 0.03134, 0.04541, 0.2741, 1.099, 0.09934, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(
        1.097, 0.4095, 0.1125, 0.05352, 0.9639, 0.6179, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.2154, 2.036, 0.0345, 0.1194, 0.761, 1.933, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(
        0.2473, 2.088, 0.04957, 0.08971, 0.8449, 1.982, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.8422, 0.4188, 0.0551, 0.03919, 1.004, 1.005, 0, 0),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.506, 0.01994, 0.0009201, 0.1316, 1.061, 0.06265, 0, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.1851, 1.495, 0.05407, 0.0931, 0.999, 2.054, 0, 0),
}
