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

// `rows` of the last two dimensions, one matrix per slab where there are three.
void check_scale(const TensorView& scale, const TensorView& of, int64_t rows, int64_t k_blocks,
                 const char* shape) {
    check_rank(kOp, scale, of.rank, shape, "pass the scales as the quantizers return them");
    check_dtype(kOp, scale, aoti_torch_dtype_float32(), "pass the scales as the quantizers return them");
    const int64_t last = of.rank - 1;
    const bool slabs = of.rank == 2 || scale.sizes[0] == of.sizes[0];
    if (!slabs || scale.sizes[last - 1] != rows || scale.sizes[last] != k_blocks) {
        fail("%s: %s does not have the shape %s: its last dimensions are %" PRId64 " x %" PRId64
             " but need %" PRId64 " x %" PRId64 ", and the first one %s's",
             kOp, scale.name, shape, scale.sizes[last - 1], scale.sizes[last], rows, k_blocks, of.name);
    }
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
    check_rank(kOp, out, slabs ? 3 : 2, slabs ? "[G, max_m, N]" : "[M, N]", "pass one row for each of a");
    check_dtype(kOp, out, aoti_torch_dtype_bfloat16(), "convert the result afterwards");
    check_device(kOp, out, args.a);
    const int first = slabs ? 1 : 0;
    if ((slabs && out.sizes[0] != shape.groups) || out.sizes[first] != shape.m ||
        out.sizes[first + 1] != shape.n) {
        fail("%s: out ends in %" PRId64 " x %" PRId64 " but needs %" PRId64
             " rows, as a has, of N = %" PRId64,
             kOp, out.sizes[first], out.sizes[first + 1], shape.m, shape.n);
    }
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
