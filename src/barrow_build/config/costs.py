"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.285, 0.4626, 0.2655, 0.1559, 1.083, 0.2251, 0.9991),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.099, 0.07361, 0.1473, 0.3751, 1.127, 0.1144, 0.8941
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.384, 0.6729, 0.3521, 0.2055, 1.042, 0.2045, 1.148),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.31, 0.5916, 0.3611, 0.2115, 1.058, 0.2386, 1.084),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.391, 0.5088, 0.4058, 0.2488, 1.127, 0.1936, 0.6961),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.27, 0.07866, 0.2091, 0.5182, 1.087, 0.1162, 0.02068
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.02004, 2.668, 0.1584, 0.1588, 1.034, 0.3302, 0.3329),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.117, 0.4642, 0.1729, 0.09428, 1.06, 0.2357, 2.164),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.01986, 2.865, 0.1445, 0.1604, 1.014, 0.277, 0.658),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01995, 2.912, 0.1537, 0.1824, 0.9919, 0.3103, 0.2342),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.227, 0.492, 0.2394, 0.1196, 1.062, 0.2874, 1.399),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.103, 0.3639, 0.1663, 0.003297, 1.09, 0.3431, 1.034
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.9869, 0.3208, 0.09796, 1.333e-20, 1.092, 0.4185, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.367, 0.01989, 0.0009187, 0.1389, 1.079, 0.04187, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.1442, 1.596, 0.0908, 0.05152, 1.047, 0.5775, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.226, 1.817, 0.07146, 0.07155, 0.9636, 0.496, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(0.2526, 1.724, 0.0543, 0.1055, 0.9583, 0.6043, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.1402, 1.861, 0.06337, 0.1302, 0.8873, 0.3155, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3": CostModel(1.974, 0.6983, 0.3863, 0.2447, 1.154, 0.2572, 0.3686),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.004, 0.07695, 0.1633, 0.5244, 1.075, 0.1164, 8.25e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.362, 0.6242, 0.3936, 0.237, 1.062, 0.1891, 0.6444),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.011, 0.07571, 0.1536, 0.5468, 1.071, 0.1313, 0.5285
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.415, 0.594, 0.328, 0.1945, 1.017, 0.2099, 1.066),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.29, 0.9217, 0.5655, 0.3365, 1.1, 0.231, 0.0741),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.764, 0.07556, 0.2189, 0.716, 1.112, 0.1098, 0.0742
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.114, 0.8819, 0.3424, 0.1626, 0.9924, 0.2404, 1.147),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.2552, 2.152, 0.2458, 0.06848, 1.049, 0.7072, 2.492e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.35, 0.3177, 0.1963, 0.02219, 1.094, 0.4568, 1.886
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.35, 0.01974, 0.001839, 0.1513, 1.098, 0.04251, 3.781
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.1606, 1.742, 0.1188, 0.04214, 1.058, 0.5458, 0.3687
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.2529, 1.882, 0.1117, 0.04825, 0.969, 0.5434, 0.2609
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.1681, 2.039, 0.09527, 0.1314, 0.8719, 0.47, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(1.087, 0.4323, 0.1653, 0.09084, 1.053, 0.2401, 1.461),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01917, 2.175, 0.1545, 0.1799, 1.047, 0.2556, 0.1841),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.11, 0.5312, 0.1205, 0.02866, 1.055, 0.2654, 1.076),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.8412, 0.4871, 0.1169, 0.0468, 1.069, 0.3343, 1.462),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.02039, 2.055, 0.1194, 0.09074, 0.95, 0.4046, 0.2209),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02095, 2.272, 0.1072, 0.09928, 0.9956, 0.3354, 0.2733),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.02007, 2.273, 0.09552, 0.1446, 0.9395, 0.3022, 0.01098),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(0.9604, 0.4612, 0.1541, 0.06465, 1.055, 0.3872, 1.115),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        3.997, 0.07797, 0.04577, 0.2716, 1.097, 0.1105, 0.6471
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(1.005, 0.3846, 0.1527, 5.246e-20, 1.09, 0.3369, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.1421, 1.793, 0.06625, 0.1102, 0.8992, 0.3072, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.1935, 1.725, 0.06646, 0.06252, 0.9727, 0.4793, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(
        0.8662, 0.3803, 0.08746, 2.675e-20, 1.091, 0.3685, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.534, 0.02001, 0.0009205, 0.129, 1.069, 0.04224, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.1532, 1.549, 0.08442, 0.04549, 1.045, 0.6268, 1),
}
