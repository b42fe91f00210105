#include "checks_grouped.h"

#include <algorithm>

#include "rules.h"

namespace barrow {
namespace {

using namespace rules;

constexpr const char* kOp = "barrow.m_grouped_fp8_gemm_nt";

GroupLayout check_kind(int64_t kind) {
    if (kind >= 0 && kind <= static_cast<int64_t>(GroupLayout::counts)) return static_cast<GroupLayout>(kind);
    fail("%s: kind is %" PRId64 " but needs 0 (ends), 1 (indices) or 2 (counts)", kOp, kind);
}

void check_operand(const TensorView& tensor, int64_t rank, const char* shape, const char* quantizer) {
    check_rank(kOp, tensor, rank, shape, "see the layouts of groups in its docstring");
    check_dtype(kOp, tensor, aoti_torch_dtype_float8_e4m3fn(), quantizer);
    check_last_stride(kOp, tensor, "K must be contiguous: pass a copy made by contiguous()");
}

// The last dimensions, in front of which `of` may have one for groups.
void check_sizes(const TensorView& tensor, const TensorView& of, int64_t rows, int64_t columns,
                 const char* shape, const char* remedy) {
    check_rank(kOp, tensor, of.rank, shape, remedy);
    const int64_t slabs[] = {of.sizes[0], rows, columns}, matrix[] = {rows, columns};
    const int64_t* needed = of.rank == 3 ? slabs : matrix;
    if (!std::equal(needed, needed + of.rank, tensor.sizes)) {
        fail("%s: %s has shape %s but needs %s = %s; %s", kOp, tensor.name, sizes_text(tensor).c_str(), shape,
             list_text(needed, of.rank).c_str(), remedy);
    }
}

void check_scale(const TensorView& scale, const TensorView& of, int64_t rows, int64_t k_blocks,
                 const char* shape) {
    const char* remedy = "pass the scales as the quantizers return them";
    check_sizes(scale, of, rows, k_blocks, shape, remedy);
    check_dtype(kOp, scale, aoti_torch_dtype_float32(), remedy);
    check_alignment(kOp, scale);
}

void check_groups(const TensorView& groups, const GroupedShape& shape) {
    const bool by_row = shape.kind == GroupLayout::indices;
    check_rank(kOp, groups, 1, by_row ? "[M]" : "[G]", "pass one number per row of a, or per group");
    check_dtype(kOp, groups, aoti_torch_dtype_int32(), "convert it with to(torch.int32)");
    const int64_t needed = by_row ? shape.m : shape.groups;
    if (groups.sizes[0] != needed) {
        fail("%s: %s has %" PRId64 " elements but needs %" PRId64 ", one for each %s", kOp, groups.name,
             groups.sizes[0], needed, by_row ? "row of a" : "matrix of b");
    }
    check_last_stride(kOp, groups, "pass a copy made by contiguous()");
    check_alignment(kOp, groups);
}

void check_asked(const GroupsAsked& asked) {
    if (asked.alignment < 1 || asked.alignment > INT32_MAX) {
        fail("%s: alignment is %" PRId64
             " but needs to be from 1 to 2^31 - 1; pass the rows at whose multiples groups begin",
             kOp, asked.alignment);
    }
    if (asked.expected_m < 0) {
        fail("%s: expected_m is %" PRId64 " but needs to be at least 0; pass the mean of the counts", kOp,
             asked.expected_m);
    }
}

}  // namespace

const char* groups_name(int64_t kind) {
    switch (check_kind(kind)) {
        case GroupLayout::ends:
            return "group_ends";
        case GroupLayout::indices:
            return "m_indices";
        case GroupLayout::counts:
            break;
    }
    return "masked_m";
}

GroupedShape check_grouped_gemm(const GroupedArgs& args, const GroupsAsked& asked) {
    const auto& [a, a_scale, b, b_scale, groups] = args;
    GroupedShape shape{};
    shape.kind = check_kind(asked.kind);
    const bool slabs = shape.kind == GroupLayout::counts;
    check_operand(a, slabs ? 3 : 2, slabs ? "[G, max_m, K]" : "[M, K]",
                  "quantize it with barrow.per_token_group_quant_fp8");
    check_operand(b, 3, "[G, N, K]", "quantize each matrix with barrow.per_block_quant_fp8");
    const int first = slabs ? 1 : 0;
    if (b.sizes[2] != a.sizes[first + 1]) {
        fail("%s: b has K = %" PRId64 " but a has K = %" PRId64 "; pass b as [G, N, K] with a's K", kOp,
             b.sizes[2], a.sizes[first + 1]);
    }
    if (slabs && a.sizes[0] != b.sizes[0]) {
        fail("%s: a has %" PRId64 " slabs but b has %" PRId64 " matrices; pass one of each per group", kOp,
             a.sizes[0], b.sizes[0]);
    }
    check_dim(kOp, a, first, slabs ? "max_m" : "M");
    check_dim(kOp, a, first + 1, "K");
    check_dim(kOp, b, 0, "G");
    check_dim(kOp, b, 1, "N");
    shape.groups = b.sizes[0];
    shape.slabs = slabs ? shape.groups : 1;
    shape.m = a.sizes[first];
    shape.n = b.sizes[1];
    shape.k = b.sizes[2];
    const int64_t k_blocks = ceil_div(shape.k, kScaleBlock);
    check_scale(a_scale, a, shape.m, k_blocks, slabs ? "[G, max_m, ceil(K / 128)]" : "[M, ceil(K / 128)]");
    check_scale(b_scale, b, ceil_div(shape.n, kScaleBlock), k_blocks, "[G, ceil(N / 128), ceil(K / 128)]");
    check_groups(groups, shape);
    check_asked(asked);
    for (const TensorView* tensor : {&a_scale, &b, &b_scale, &groups}) check_device(kOp, *tensor, a);

    shape.alignment = asked.alignment;
    // Rows that may be padding count: what is not known is taken as given.
    const int64_t likely = std::min(asked.expected_m, shape.m) * shape.groups;
    shape.expected_rows = likely > 0 ? std::min(likely, shape.slabs * shape.m) : shape.slabs * shape.m;
    return shape;
}

void check_grouped_out(const GroupedArgs& args, const GroupedShape& shape, const TensorView& out) {
    const bool slabs = shape.kind == GroupLayout::counts;
    check_sizes(out, args.a, shape.m, shape.n, slabs ? "[G, max_m, N]" : "[M, N]",
                "pass one row for each of a");
    check_dtype(kOp, out, aoti_torch_dtype_bfloat16(), "convert the result afterwards");
    check_device(kOp, out, args.a);
    check_written(kOp, out, {&args.a, &args.a_scale, &args.b, &args.b_scale, &args.groups});
}

const GemmKernel& check_grouped_kernel(int64_t row) {
    const bool in_table = row >= 0 && row < static_cast<int64_t>(kGemmKernelCount);
    if (in_table && kGemmKernels[row].grouped != 0) return kGemmKernels[row];
    fail("%s_with: kernel is %" PRId64
         " but needs to be a row of barrow.launcher.kernels() of kind grouped_gemm",
         kOp, row);
}

}  // namespace barrow
