#pragma once

#include "checks_k_grouped.h"

namespace barrow {

// out[g] += a of g x (b of g)^T for every group of K, on the GPU and current stream of a. The arguments have
// passed check_k_grouped_gemm.
void run_k_grouped_gemm(const KGroupedArgs& args, const KGroupedShape& shape);

}  // namespace barrow
