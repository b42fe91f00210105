#pragma once

#include "checks_grouped.h"

namespace barrow {

// out = a x b[group]^T for every group of rows, on the GPU and current stream of a, by `wanted` or, when that
// is null, by the one that best() names. With `prefetch_b` the groups, B and its scales may be loaded before
// the kernels in front are done. The arguments have passed check_grouped_gemm and check_grouped_out.
void run_grouped_gemm(const GroupedArgs& args, const GroupedShape& shape, const Tensor& out, bool prefetch_b,
                      const GemmKernel* wanted = nullptr);

}  // namespace barrow
