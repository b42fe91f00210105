#pragma once

#include "tensor.h"

namespace barrow {

// What errors call them.
inline constexpr char kTokenGroupQuant[] = "barrow.per_token_group_quant_fp8";
inline constexpr char kBlockQuant[] = "barrow.per_block_quant_fp8";

struct Quantized {
    Tensor q;      // float8_e4m3fn, contiguous
    Tensor scale;  // float32
};

// How far apart the scales of adjacent blocks of K are where those of `rows` rows are adjacent: rounded up to
// 16 bytes, the granularity at which copy engines address them.
int64_t scale_stride_k(int64_t rows);

// x [M, K] to float8_e4m3fn with one scale per row and 128 of K, on the GPU and current stream of x. The
// scales [M, ceil(K / 128)] have strides (1, M rounded up to 4): rows adjacent, as the GEMM reads them.
Quantized per_token_group_quant(const TensorView& x, bool use_ue8m0);

// x [N, K] to float8_e4m3fn with one scale per 128 x 128 block; the scales are row-major.
Quantized per_block_quant(const TensorView& x, bool use_ue8m0);

}  // namespace barrow
