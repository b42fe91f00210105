#include "checks_k_grouped.h"

#include <algorithm>

#include "../kernels/params.h"
#include "choice.h"
#include "rules.h"

namespace barrow {
namespace {

using namespace rules;

constexpr const char* kOp = "barrow.k_grouped_fp8_gemm_nt";

// Of all groups.
struct Total {
    int64_t k;
    int64_t blocks;
};

Total check_ks(const std::vector<int64_t>& ks) {
    Total total{};
    for (const int64_t k : ks) {
        if (k < 0) {
            fail("%s: ks has %" PRId64 " but needs to be at least 0 throughout; pass the K of every group",
                 kOp, *std::min_element(ks.begin(), ks.end()));
        }
        if (k > kMaxDim) {
            fail("%s: ks has %" PRId64 " but at most %" PRId64 " can be addressed; split the group along it",
                 kOp, k, kMaxDim);
        }
        total.k += k;
        total.blocks += ceil_div(k, kScaleBlock);
    }
    return total;
}

// The greatest number stands for what no tensor has.
int64_t product(int64_t rows, int64_t k) {
    int64_t elements = 0;
    return __builtin_mul_overflow(rows, k, &elements) ? INT64_MAX : elements;
}

void check_operand(const TensorView& tensor, int64_t rows, char dimension, int64_t k) {
    const int64_t needed = product(rows, k), count = tensor.element_count();
    if (!tensor.contiguous() || count != needed) {
        fail("%s: %s has %" PRId64 " elements and strides %s but needs %c * sum(ks) = %" PRId64
             ", contiguous; pass the groups' matrices one after the other",
             kOp, tensor.name, count, strides_text(tensor).c_str(), dimension, needed);
    }
    check_dtype(kOp, tensor, aoti_torch_dtype_float8_e4m3fn(),
                "quantize it with barrow.per_token_group_quant_fp8");
}

void check_scale(const TensorView& scale, int64_t rows, char dimension, int64_t blocks) {
    if (scale.rank != 2 || scale.sizes[0] != rows || scale.sizes[1] != blocks) {
        fail("%s: %s has shape %s but needs [%c, S] = [%" PRId64 ", %" PRId64
             "]; pass one scale per row and 128 of K, the groups side by side",
             kOp, scale.name, sizes_text(scale).c_str(), dimension, rows, blocks);
    }
    check_dtype(kOp, scale, aoti_torch_dtype_float32(), "pass the scales as the quantizers return them");
    check_dim(kOp, scale, 1, "S");
    check_alignment(kOp, scale);
}

void check_out(const KGroupedArgs& args) {
    const TensorView& out = args.out;
    check_dtype(kOp, out, aoti_torch_dtype_float32(), "round the sum afterwards");
    check_dim(kOp, out, 1, "M");
    check_dim(kOp, out, 2, "N");
    check_written(kOp, out, {&args.a, &args.a_scale, &args.b, &args.b_scale});
}

}  // namespace

KGroupedShape check_k_grouped_gemm(const KGroupedArgs& args) {
    const auto& [a, a_scale, b, b_scale, ks, out] = args;
    const auto groups = static_cast<int64_t>(ks.size());
    if (out.rank != 3 || out.sizes[0] != groups) {
        fail("%s: out has shape %s but needs [G, M, N] with G = %" PRId64
             ", the length of ks; pass one matrix per group",
             kOp, sizes_text(out).c_str(), groups);
    }
    const int64_t m = out.sizes[1], n = out.sizes[2];
    const Total total = check_ks(ks);
    check_operand(a, m, 'M', total.k);
    check_scale(a_scale, m, 'M', total.blocks);
    check_operand(b, n, 'N', total.k);
    check_scale(b_scale, n, 'N', total.blocks);
    for (const TensorView* tensor : {&a_scale, &b, &b_scale, &out}) check_device(kOp, *tensor, a);
    check_out(args);
    return {m, n};
}

}  // namespace barrow
