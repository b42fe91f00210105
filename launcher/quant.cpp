#include "quant.h"

#include <algorithm>

#include "../kernels/params.h"
#include "aux_kernels.h"
#include "checks.h"
#include "launch.h"
#include "rules.h"

namespace barrow {
namespace {

using rules::ceil_div;

// `rows_per_scale` rows share a scale; a thread block covers `rows_per_block` rows of one group of K.
struct Scheme {
    const char* op;
    const AuxKernel& (*kernel)(Dtype);
    int64_t rows_per_scale;
    int64_t rows_per_block;
    bool k_major;  // scales of adjacent rows are adjacent in memory
    // Up to this many rows it starts before the kernels in front have ended. Blocks gather on the first SMs
    // that are left, and of more rows that takes longer than the early start saves.
    int64_t overlaps_rows;
};

constexpr Scheme kTokenGroup{kTokenGroupQuant, per_token_group_quant_kernel, 1, kTokenGroupRows, true, 64};
constexpr Scheme kBlock{kBlockQuant, per_block_quant_kernel, kScaleBlock, kScaleBlock, false, 0};

Quantized quantize(const Scheme& scheme, const TensorView& x, bool use_ue8m0) {
    const Dtype dtype = check_quant(scheme.op, x);
    const int64_t rows = x.sizes[0], k = x.sizes[1];
    const int64_t scale_rows = ceil_div(rows, scheme.rows_per_scale), k_blocks = ceil_div(k, kScaleBlock);
    const int64_t stride_m = scheme.k_major ? 1 : std::max<int64_t>(k_blocks, 1);
    const int64_t stride_k = scheme.k_major ? scale_stride_k(scale_rows) : 1;

    Quantized result;
    result.q = empty_strided({rows, k}, {std::max<int64_t>(k, 1), 1}, aoti_torch_dtype_float8_e4m3fn(), x);
    result.scale = empty_strided({scale_rows, k_blocks}, {stride_m, stride_k}, aoti_torch_dtype_float32(), x);
    if (x.empty()) return result;

    QuantParams params{};
    params.x = x.data();
    params.q = static_cast<uint8_t*>(view("q", result.q).mutable_data());
    params.scale = static_cast<float*>(view("scale", result.scale).mutable_data());
    params.x_stride_m = x.strides[0];
    params.q_stride_m = k;
    params.scale_stride_m = stride_m;
    params.scale_stride_k = stride_k;
    params.m = rows;
    params.k = k;
    params.use_ue8m0 = use_ue8m0;
    void* pointers[] = {&params};
    const LaunchScope scope(x);
    scope.launch(scheme.kernel(dtype), ceil_div(rows, scheme.rows_per_block) * k_blocks, kQuantThreads,
                 rows <= scheme.overlaps_rows, pointers);
    return result;
}

}  // namespace

int64_t scale_stride_k(int64_t rows) { return ceil_div(rows, 4) * 4; }

Quantized per_token_group_quant(const TensorView& x, bool use_ue8m0) {
    return quantize(kTokenGroup, x, use_ue8m0);
}

Quantized per_block_quant(const TensorView& x, bool use_ue8m0) { return quantize(kBlock, x, use_ue8m0); }

}  // namespace barrow
