#pragma once

#include "checks.h"

namespace barrow {

// out = a x b^T with block scales, on the GPU and current stream of a, by `wanted` or, when that is null, by
// the one that best() names. The arguments have passed check_gemm.
void run_gemm(const GemmArgs& args, const GemmShape& shape, const Tensor& out, bool prefetch_b,
              const GemmKernel* wanted = nullptr);

}  // namespace barrow
