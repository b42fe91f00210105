"""Costs by the name of the bfloat16 kernel: what benchmarks/fit_cost.py fitted.

Times: tune-groups-h100.json, tune-groups-h200.json, tune-h100.json, tune-h200.json.
"""

from barrow_build.config.gemm import CostModel

BF16_COSTS = {
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2": CostModel(1.26, 0.4695, 0.2664, 0.1552, 1.082, 0.216, 0.9941),
    "fp8_gemm_nt_bf16_sm90a_128x128x128_s5_k1_w2_grouped": CostModel(
        4.099, 0.07361, 0.1473, 0.3751, 1.127, 0.1144, 0.8941
    ),
    "fp8_gemm_nt_bf16_sm90a_128x144x128_s5_k1_w2": CostModel(1.339, 0.6746, 0.3534, 0.2049, 1.047, 0.1944, 1.132),
    "fp8_gemm_nt_bf16_sm90a_128x160x128_s4_k1_w2": CostModel(1.277, 0.591, 0.3627, 0.2105, 1.061, 0.2215, 1.071),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2": CostModel(1.364, 0.4984, 0.4067, 0.2492, 1.126, 0.1919, 0.6768),
    "fp8_gemm_nt_bf16_sm90a_128x192x128_s4_k1_w2_grouped": CostModel(
        5.27, 0.07866, 0.2091, 0.5182, 1.087, 0.1162, 0.02068
    ),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s7_k3_w2": CostModel(0.01998, 2.664, 0.1586, 0.1582, 1.03, 0.1579, 0.3357),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k1_w2": CostModel(1.056, 0.46, 0.1736, 0.09523, 1.067, 0.2146, 2.133),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k2_w2": CostModel(0.01983, 2.881, 0.1455, 0.1585, 0.9961, 0.1508, 0.6636),
    "fp8_gemm_nt_bf16_sm90a_128x64x128_s8_k4_w2": CostModel(0.01989, 2.925, 0.1547, 0.1795, 0.9654, 0.1543, 0.2396),
    "fp8_gemm_nt_bf16_sm90a_128x96x128_s6_k1_w2": CostModel(1.216, 0.4863, 0.2398, 0.1199, 1.058, 0.2622, 1.385),
    "fp8_gemm_nt_bf16_sm90a_16x128x128_s6_k1_w2_swapped": CostModel(
        1.024, 0.388, 0.1653, 0.004981, 1.063, 0.4163, 1.033
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped": CostModel(
        0.8759, 0.3571, 0.09824, 2.793e-20, 1.072, 0.3317, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k1_w1_swapped_grouped": CostModel(
        4.367, 0.01989, 0.0009187, 0.1389, 1.079, 0.04187, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k2_w1_swapped": CostModel(0.01909, 1.568, 0.09733, 0.04803, 1.019, 0.5124, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k3_w1_swapped": CostModel(0.02025, 1.913, 0.08517, 0.0566, 0.9293, 0.2081, 1),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s10_k4_w1_swapped": CostModel(
        0.01993, 1.782, 0.06277, 0.09944, 0.9067, 0.1093, 1
    ),
    "fp8_gemm_nt_bf16_sm90a_16x64x128_s9_k8_w1_swapped": CostModel(0.01865, 1.911, 0.04792, 0.1398, 0.7953, 0.3114, 1),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3": CostModel(1.945, 0.7072, 0.3873, 0.2436, 1.157, 0.2451, 0.3686),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_n2_w3_grouped": CostModel(
        6.004, 0.07695, 0.1633, 0.5244, 1.075, 0.1164, 8.25e-18
    ),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3": CostModel(1.329, 0.6377, 0.3953, 0.2354, 1.05, 0.1857, 0.6395),
    "fp8_gemm_nt_bf16_sm90a_192x128x128_s4_k1_w3_grouped": CostModel(
        5.011, 0.07571, 0.1536, 0.5468, 1.071, 0.1313, 0.5285
    ),
    "fp8_gemm_nt_bf16_sm90a_192x96x128_s5_k1_w3": CostModel(1.398, 0.5931, 0.3293, 0.1934, 1.02, 0.2042, 1.062),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2": CostModel(1.264, 0.9342, 0.5662, 0.3357, 1.098, 0.2202, 0.07321),
    "fp8_gemm_nt_bf16_sm90a_256x128x128_s3_k1_w2_grouped": CostModel(
        4.764, 0.07556, 0.2189, 0.716, 1.112, 0.1098, 0.0742
    ),
    "fp8_gemm_nt_bf16_sm90a_256x64x128_s4_k1_w2": CostModel(1.107, 0.8865, 0.3427, 0.1622, 0.991, 0.2282, 1.149),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s4_k4_w2_swapped": CostModel(
        0.02043, 2.197, 0.261, 0.05411, 1.041, 0.5596, 3.564e-19
    ),
    "fp8_gemm_nt_bf16_sm90a_32x128x128_s5_k1_w2_swapped": CostModel(
        1.252, 0.3522, 0.1975, 0.02157, 1.062, 0.5306, 1.862
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k1_w1_swapped_grouped": CostModel(
        4.35, 0.01974, 0.001839, 0.1513, 1.098, 0.04251, 3.781
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k2_w1_swapped": CostModel(
        0.01936, 1.774, 0.1206, 0.04176, 1.032, 0.4759, 0.3345
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k3_w1_swapped": CostModel(
        0.02062, 1.978, 0.1243, 0.03409, 0.9939, 0.3507, 0.2635
    ),
    "fp8_gemm_nt_bf16_sm90a_32x64x128_s8_k8_w1_swapped": CostModel(0.01899, 2.132, 0.06396, 0.1582, 0.7673, 0.3595, 1),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k1_w1": CostModel(0.976, 0.4513, 0.1666, 0.09073, 1.043, 0.2539, 1.428),
    "fp8_gemm_nt_bf16_sm90a_64x128x128_s8_k2_w1": CostModel(0.01893, 2.119, 0.1579, 0.1792, 1.056, 0.13, 0.1664),
    "fp8_gemm_nt_bf16_sm90a_64x48x128_s14_k1_w1": CostModel(1.016, 0.5418, 0.1225, 0.02734, 1.057, 0.2538, 1.06),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k1_w1": CostModel(0.7727, 0.486, 0.1178, 0.04714, 1.084, 0.2995, 1.435),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s12_k3_w1": CostModel(0.0205, 2.037, 0.1234, 0.08798, 0.9533, 0.1802, 0.2114),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k2_w1": CostModel(0.02068, 2.283, 0.1078, 0.09698, 0.9937, 0.1584, 0.2909),
    "fp8_gemm_nt_bf16_sm90a_64x64x128_s13_k4_w1": CostModel(0.01992, 2.268, 0.09743, 0.1424, 0.9237, 0.1478, 0.01218),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1": CostModel(0.8671, 0.4607, 0.155, 0.06484, 1.062, 0.375, 1.087),
    "fp8_gemm_nt_bf16_sm90a_64x96x128_s9_k1_w1_grouped": CostModel(
        3.997, 0.07797, 0.04577, 0.2716, 1.097, 0.1105, 0.6471
    ),
    "fp8_gemm_nt_bf16_sm90a_8x128x128_s6_k1_w2_swapped": CostModel(0.9122, 0.4173, 0.1532, 4e-21, 1.061, 0.4016, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s10_k8_w1_swapped": CostModel(0.01876, 1.841, 0.055, 0.1148, 0.7948, 0.2798, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s11_k3_w1_swapped": CostModel(0.01982, 1.766, 0.079, 0.05063, 0.9498, 0.2315, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped": CostModel(0.7732, 0.4033, 0.08773, 6.53e-21, 1.071, 0.3023, 1),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k1_w1_swapped_grouped": CostModel(
        4.534, 0.02001, 0.0009205, 0.129, 1.069, 0.04224, 3.397
    ),
    "fp8_gemm_nt_bf16_sm90a_8x64x128_s12_k2_w1_swapped": CostModel(0.01905, 1.486, 0.09342, 0.03989, 1.017, 0.5101, 1),
}
