#include "grouped.h"

#include <algorithm>

#include "choice.h"
#include "launch.h"
#include "operands.h"
#include "rules.h"

namespace barrow {
namespace {

GemmProblem problem_of(const GroupedShape& shape, const Device& device) {
    // Of all slabs there may be more.
    const int64_t rows = std::min(shape.expected_rows, kMaxDim);
    return {rows,  shape.n,     shape.k, Dtype::bf16, device.capability, device.num_sms, device.memory_gb_s,
            false, shape.groups};
}

const GemmKernel& choose(const GemmProblem& problem, const GemmKernel* wanted, const LaunchScope& scope) {
    if (wanted != nullptr && can_run(*wanted, problem)) return *wanted;
    const GemmKernel* chosen = wanted == nullptr ? best_again(problem) : nullptr;
    if (chosen != nullptr) return *chosen;
    scope.refuse("barrow.m_grouped_fp8_gemm_nt");
}

// The most clusters that the tiles of all groups can make: each may end and, where nothing aligns it, begin
// inside of one.
int64_t most_clusters(const GemmKernel& kernel, const GroupedShape& shape) {
    const int64_t rows = shape.slabs == 1 ? rules::ceil_div(shape.m, kernel.block_m) + 2 * shape.groups
                                          : shape.slabs * rules::ceil_div(shape.m, kernel.block_m);
    return rows * rules::ceil_div(shape.n, cluster_columns(kernel));
}

}  // namespace

void run_grouped_gemm(const GroupedArgs& args, const GroupedShape& shape, const Tensor& out, bool prefetch_b,
                      const GemmKernel* wanted) {
    if (shape.k == 0) return fill_zero(out);
    if (shape.groups == 0 || shape.m == 0 || shape.n == 0) return;

    const LaunchScope scope(args.a);
    const GemmProblem problem = problem_of(shape, scope.device());
    const GemmKernel& kernel = choose(problem, wanted, scope);
    const Operand a = addressable(args.a, scope);
    const Operand b = addressable(args.b, scope);
    const TensorView d = view("out", out);
    GemmMatrices matrices{a.matrix, b.matrix, result_rows(d), scale_rows(args.a_scale), {}};
    // Maps of grouped kernels have a third dimension, of one slab where all groups share the matrix.
    for (TmaMatrix* matrix : {&matrices.a, &matrices.d, &matrices.a_scale}) matrix->slabs = shape.slabs;

    GroupedGemmParams params{};
    describe(params, kernel, args.a_scale, args.b_scale, d, matrices);
    const Walk walked = walk(kernel, problem);
    params.along = walked.along;
    params.band = walked.band;
    const bool slabs = args.a.rank == 3;
    params.a_scale_stride_slab = slabs ? args.a_scale.strides[0] : 0;
    params.b_scale_stride_group = args.b_scale.strides[0];
    params.d_stride_slab = slabs ? d.strides[0] : 0;
    params.prefetch_b = b.may_come_early(prefetch_b);
    params.layout = static_cast<const int32_t*>(args.groups.data());
    params.kind = shape.kind;
    params.groups = shape.groups;
    params.alignment = shape.alignment;
    params.blocks =
        shape.kind == GroupLayout::indices ? rules::ceil_div(shape.m, shape.alignment) : shape.groups;

    GemmMaps maps;
    encode(maps, kernel, params, matrices);
    launch(scope, kernel, most_clusters(kernel, shape), starts_early(kernel, problem), maps, params);
}

}  // namespace barrow
