// Rules of the operators around a grouped GEMM for experts. As in checks.h they look at metadata and
// addresses alone; what positions and groups hold is the kernels' to check.
#pragma once

#include <cstdint>
#include <optional>

#include "catalogue.h"
#include "tensor.h"

namespace barrow {

void check_moe_sort(const TensorView& topk_ids, int64_t num_experts, std::optional<int64_t> max_m);

// Returns the dtype of x.
Dtype check_moe_permute_quant(const TensorView& x, const TensorView& positions, int64_t rows);

// `groups` may be null: all rows count.
void check_silu_mul_quant(const TensorView& x, const TensorView* groups);

void check_moe_unpermute(const TensorView& y, const TensorView& positions, const TensorView& weights);

}  // namespace barrow
