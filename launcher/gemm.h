#pragma once

#include "checks.h"

namespace barrow {

struct GemmOptions {
    bool prefetch_b;  // B and its scales may be loaded before the kernels in front are done
    bool accumulate;  // add to out, which is float32
};

// out = a x b^T with block scales, on the GPU and current stream of a, by `wanted` or, when that is null, by
// the one that best() names. The arguments have passed check_gemm.
void run_gemm(const GemmArgs& args, const GemmShape& shape, const Tensor& out, GemmOptions options,
              const GemmKernel* wanted = nullptr);

}  // namespace barrow
