// Every rule about arguments, once. The rules look at metadata and addresses alone, so they hold for a tensor
// on any device; each throws with the argument, what it got and what it needs.
#pragma once

#include <cstdint>

#include "catalogue.h"
#include "tensor.h"

namespace barrow {

struct GemmArgs {
    TensorView a;
    TensorView a_scale;
    TensorView b;
    TensorView b_scale;
};

struct GemmShape {
    int64_t m;
    int64_t n;
    int64_t k;
    Dtype out;
    int64_t b_scale_rows;  // of B that one scale covers: kScaleBlock or 1

    bool row_scales_b() const { return b_scale_rows == 1; }
};

// Rules of fp8_gemm_nt, for a result of its own and for one that is written to `out`.
GemmShape check_gemm(const GemmArgs& args, Dtype out);
GemmShape check_gemm(const GemmArgs& args, const TensorView& out);

// A sum is kept in float32: rounded at every step it would not be one.
void check_accumulate(const GemmShape& shape, bool accumulate);

// The GEMM kernel with this row of the table, which has to write the output's dtype.
const GemmKernel& check_kernel(int64_t row, const GemmShape& shape);

// Rules of what `op` quantizes: a quantizer, or what brings tokens to the experts. Returns the dtype of x.
Dtype check_quant(const char* op, const TensorView& x);

}  // namespace barrow
