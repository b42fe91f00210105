#include "checks_experts.h"

#include "../kernels/params_experts.h"
#include "checks.h"
#include "choice.h"
#include "rules.h"

namespace barrow {
namespace {

using namespace rules;

constexpr const char* kSort = "barrow.moe_sort";
constexpr const char* kPermute = "barrow.moe_permute_quant";
constexpr const char* kSilu = "barrow.silu_mul_quant";
constexpr const char* kUnpermute = "barrow.moe_unpermute";

constexpr const char* kContiguousRows = "pass a copy made by contiguous()";

// One position per row of `tokens` and place in its top_k.
void check_positions(const char* op, const TensorView& positions) {
    check_rank(op, positions, 2, "[T, top_k]", "pass the positions that moe_sort returns");
    check_dtype(op, positions, aoti_torch_dtype_int32(), "pass the positions that moe_sort returns");
    check_dim(op, positions, 0, "T");
    check_dim(op, positions, 1, "top_k");
    check_alignment(op, positions);
}

}  // namespace

void check_moe_sort(const TensorView& topk_ids, int64_t num_experts, std::optional<int64_t> max_m) {
    check_rank(kSort, topk_ids, 2, "[T, top_k]", "pass the experts of each token as a row");
    if (topk_ids.dtype != aoti_torch_dtype_int32() && topk_ids.dtype != aoti_torch_dtype_int64()) {
        fail("%s: topk_ids has dtype %s but needs int32 or int64; convert it with topk_ids.to(torch.int32)",
             kSort, dtype_name(topk_ids.dtype).c_str());
    }
    check_alignment(kSort, topk_ids);
    if (num_experts < 1 || num_experts > kSortMaxExperts) {
        fail("%s: num_experts is %" PRId64
             " but needs to be from 1 to %u; sort for a part of the experts at a "
             "time, with the ids of the others set to -1",
             kSort, num_experts, kSortMaxExperts);
    }
    if (max_m.has_value() && (*max_m < 0 || *max_m > kMaxDim / num_experts)) {
        fail("%s: max_m is %" PRId64 " but needs to be from 0 to %" PRId64 ", or rows of %" PRId64
             " experts would exceed 32 bits; pass the most rows that one expert may get",
             kSort, *max_m, kMaxDim / num_experts, num_experts);
    }
    const int64_t tokens = topk_ids.sizes[0], top_k = topk_ids.sizes[1];
    if (!topk_ids.empty() && tokens > kMaxDim / top_k) {
        fail("%s: topk_ids has %" PRId64 " x %" PRId64 " ids but at most %" PRId64
             " can be counted; split the call along T",
             kSort, tokens, top_k, kMaxDim);
    }
}

Dtype check_moe_permute_quant(const TensorView& x, const TensorView& positions, int64_t rows) {
    const Dtype dtype = check_quant(kPermute, x);
    check_positions(kPermute, positions);
    check_device(kPermute, positions, x);
    if (positions.sizes[0] != x.sizes[0]) {
        fail("%s: positions has %" PRId64 " rows but x has %" PRId64
             "; pass positions as [T, top_k] for x as "
             "[T, K]",
             kPermute, positions.sizes[0], x.sizes[0]);
    }
    if (rows < 0 || rows > kMaxDim) {
        fail("%s: rows is %" PRId64 " but needs to be from 0 to %" PRId64
             ", the number of rows of the result",
             kPermute, rows, kMaxDim);
    }
    return dtype;
}

void check_silu_mul_quant(const TensorView& x, const TensorView* groups) {
    if (x.rank != 3) check_rank(kSilu, x, 2, "[M, 2 * I], or 3, [G, max_m, 2 * I]", "reshape it");
    check_dtype(kSilu, x, aoti_torch_dtype_bfloat16(), "convert it with x.to(torch.bfloat16)");
    const int last = static_cast<int>(x.rank) - 1;
    if (x.rank == 3) check_dim(kSilu, x, 0, "groups");
    check_dim(kSilu, x, last - 1, "rows");
    check_dim(kSilu, x, last, "2 * I");
    if (x.sizes[last] % 2 != 0) {
        fail("%s: x has %" PRId64
             " columns but needs an even number, the gates and then the values; pass both "
             "side by side",
             kSilu, x.sizes[last]);
    }
    check_last_stride(kSilu, x, kContiguousRows);
    check_alignment(kSilu, x);
    if (groups == nullptr) return;
    check_rank(kSilu, *groups, 1, "[G]", "pass the groups that moe_sort returns");
    check_dtype(kSilu, *groups, aoti_torch_dtype_int32(), "pass the groups that moe_sort returns");
    check_device(kSilu, *groups, x);
    check_alignment(kSilu, *groups);
    if (x.rank == 3 && groups->sizes[0] != x.sizes[0]) {
        fail("%s: groups has %" PRId64 " counts but x has %" PRId64
             " groups; pass one count per group of x [G, max_m, 2 * I]",
             kSilu, groups->sizes[0], x.sizes[0]);
    }
    if (x.rank == 2 && groups->sizes[0] == 0) {
        fail(
            "%s: groups is empty but needs an end at least, that of the rows of x; pass None to take all "
            "rows",
            kSilu);
    }
}

void check_moe_unpermute(const TensorView& y, const TensorView& positions, const TensorView& weights) {
    check_rank(kUnpermute, y, 2, "[R, N]", "flatten the leading dimensions with reshape(-1, N)");
    check_dtype(kUnpermute, y, aoti_torch_dtype_bfloat16(), "convert it with y.to(torch.bfloat16)");
    check_dim(kUnpermute, y, 0, "R");
    check_dim(kUnpermute, y, 1, "N");
    check_last_stride(kUnpermute, y, kContiguousRows);
    check_alignment(kUnpermute, y);
    check_positions(kUnpermute, positions);
    check_rank(kUnpermute, weights, 2, "[T, top_k]", "pass one weight per position");
    check_dtype(kUnpermute, weights, aoti_torch_dtype_float32(), "convert it with weights.float()");
    check_alignment(kUnpermute, weights);
    if (weights.sizes[0] != positions.sizes[0] || weights.sizes[1] != positions.sizes[1]) {
        fail("%s: weights has shape [%" PRId64 ", %" PRId64 "] but positions has [%" PRId64 ", %" PRId64
             "]; pass one weight per position",
             kUnpermute, weights.sizes[0], weights.sizes[1], positions.sizes[0], positions.sizes[1]);
    }
    for (const TensorView* tensor : {&positions, &weights}) check_device(kUnpermute, *tensor, y);
}

}  // namespace barrow
