"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(
        1.466, 0.5059, 0.2372, 0.1511, 0.9313, 0.4133, 0.1968, 0.2349
    ),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.232, 0.03103, 0.1333, 0.3877, 1.105, 0.1028, 0.7069, 0.01873
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(
        1.643, 0.7022, 0.3137, 0.2034, 0.9303, 0.3958, 0.1869, 0.1908
    ),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(
        1.461, 0.6714, 0.3336, 0.1861, 0.9302, 0.4271, 0.07514, 0.1872
    ),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.476, 0.6046, 0.3799, 0.2295, 1.03, 0.3209, 0, 0.141),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.339, 0.03165, 0.1927, 0.5329, 1.077, 0.1027, 0, 0.01586
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(
        0.4393, 2.582, 0.1386, 0.1664, 0.9863, 0.7915, 0.3618, 0.05833
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(
        1.336, 0.4714, 0.1516, 0.08533, 0.9464, 0.4616, 1.197, 0.2752
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(
        0.4288, 2.872, 0.135, 0.1787, 0.9346, 0.8029, 0.2801, 0.06785
    ),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(
        1.418, 0.5689, 0.2155, 0.1019, 0.9266, 0.3891, 0.4826, 0.2604
    ),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.22, 0.3754, 0.1309, 0.04694, 0.9698, 0.6203, 1.002, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        1.016, 0.3784, 0.06443, 0.03763, 1.002, 1.032, 1, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01986, 0.0009185, 0.147, 1.065, 0.06245, 1, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(
        0.1984, 1.555, 0.05856, 0.09946, 0.9976, 2.004, 1, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(
        0.2611, 2.298, 0.04824, 0.09808, 0.8206, 2.115, 1, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(
        0.2744, 1.882, 0.04906, 0.1202, 0.8759, 2.001, 1, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.2287, 2.203, 0.03246, 0.1345, 0.7452, 1.994, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        5.973, 0.03139, 0.1593, 0.5311, 1.068, 0.1021, 0, 0.01164
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.484, 0.7413, 0.3688, 0.2092, 0.9024, 0.4632, 0, 0.1712),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        4.977, 0.03126, 0.1512, 0.5527, 1.059, 0.1146, 0.4856, 0.01605
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(
        1.497, 0.691, 0.3094, 0.1705, 0.9088, 0.4167, 0.4669, 0.161
    ),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k1_w1_swapped": CostModel(1.11, 0.3049, 0.08549, 0.02881, 0.9952, 1.116, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_24x64x128_s9_k3_w1_swapped": CostModel(0.2311, 2.096, 0.07329, 0.09476, 0.8906, 1.74, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.396, 1.153, 0.5436, 0.2997, 0.9805, 0.4703, 0, 0.06902),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.939, 0.0312, 0.2005, 0.7236, 1.093, 0.1, 0.06824, 0.0143
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(
        1.302, 0.8429, 0.3214, 0.1548, 0.9169, 0.4639, 0.5769, 0.1249
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.33, 0.3763, 0.1779, 0.03909, 0.9726, 0.7448, 1.294, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.307, 0.01982, 0.00184, 0.1548, 1.09, 0.06236, 1.004, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.2449, 1.913, 0.09501, 0.07349, 1.005, 1.604, 0.7383, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.3015, 2.374, 0.0943, 0.06791, 0.8723, 1.936, 0.7351, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.2462, 2.413, 0.05146, 0.1523, 0.7224, 2.047, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k1_w1_swapped": CostModel(1.445, 0.2024, 0.125, 0.02469, 1.008, 1.016, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_48x64x128_s7_k2_w1_swapped": CostModel(0.312, 1.858, 0.1079, 0.1005, 1.012, 1.357, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.164, 0.4759, 0.1504, 0.1123, 0.9802, 0.4219, 1.225, 0),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.3032, 2.401, 0.1265, 0.1943, 0.9649, 0.7346, 0.367, 0),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.271, 0.5246, 0.1021, 0.04612, 1.019, 0.687, 1.022, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8885, 0.5031, 0.1079, 0.0555, 1.05, 0.5848, 1.332, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.4862, 1.937, 0.09736, 0.121, 0.9528, 0.903, 0.4179, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.6079, 2.346, 0.07996, 0.1169, 0.9289, 0.8558, 0.51, 0),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.4322, 2.343, 0.08723, 0.1454, 0.9106, 0.8055, 0.1511, 0),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(1.096, 0.4152, 0.1328, 0.08759, 1.016, 0.6025, 1.034, 0),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        4.074, 0.03135, 0.04543, 0.274, 1.099, 0.0993, 0.8681, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.097, 0.41, 0.1124, 0.05355, 0.9638, 0.6179, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.2154, 2.036, 0.0345, 0.1194, 0.761, 1.933, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(
        0.2473, 2.088, 0.04957, 0.08971, 0.8449, 1.982, 1, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.8421, 0.4191, 0.05508, 0.0392, 1.004, 1.006, 1, 0),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.506, 0.01994, 0.0009201, 0.1316, 1.061, 0.06265, 1, 0
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.1851, 1.495, 0.05407, 0.0931, 0.999, 2.054, 1, 0),
}
