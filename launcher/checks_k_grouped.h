// Rules about the arguments of the GEMM over groups of K, like those of checks.h.
#pragma once

#include <vector>

#include "tensor.h"

namespace barrow {

struct KGroupedArgs {
    TensorView a;
    TensorView a_scale;
    TensorView b;
    TensorView b_scale;
    const std::vector<int64_t>& ks;
    TensorView out;
};

struct KGroupedShape {
    int64_t m;
    int64_t n;
};

KGroupedShape check_k_grouped_gemm(const KGroupedArgs& args);

}  // namespace barrow
