// The operators around a grouped GEMM for experts, on the GPU and current stream of their first tensor; what
// they do is documented in barrow.ops.experts. The arguments are checked here.
#pragma once

#include <optional>

#include "quant.h"
#include "tensor.h"

namespace barrow {

struct Sorted {
    Tensor groups;     // int32 [experts]
    Tensor positions;  // int32 [T, top_k], contiguous
};

Sorted moe_sort(const TensorView& topk_ids, int64_t num_experts, std::optional<int64_t> max_m);

Quantized moe_permute_quant(const TensorView& x, const TensorView& positions, int64_t rows, bool use_ue8m0);

// `groups` may be null.
Quantized silu_mul_quant(const TensorView& x, const TensorView* groups, bool use_ue8m0);

Tensor moe_unpermute(const TensorView& y, const TensorView& positions, const TensorView& weights);

}  // namespace barrow
