#include "grouped.h"

#include <algorithm>

#include "choice.h"
#include "error.h"
#include "launch.h"
#include "operands.h"
#include "rules.h"

namespace barrow {
namespace {

using namespace cuda;

GemmProblem problem_of(const GroupedShape& shape, const Device& device) {
    return {shape.expected_rows, shape.n, shape.k,     Dtype::bf16, device.capability, device.num_sms,
            device.memory_gb_s,  false,   shape.groups};
}

const GemmKernel& choose(const GemmProblem& problem, const GemmKernel* wanted, const Device& device) {
    if (wanted != nullptr && can_run(*wanted, problem)) return *wanted;
    const GemmKernel* chosen = wanted == nullptr ? best(problem) : nullptr;
    if (chosen != nullptr) return *chosen;
    fail(
        "barrow.m_grouped_fp8_gemm_nt: this build has no such kernel for GPU %d (%s); install a build with "
        "kernels",
        device.index, device.name);
}

// The most clusters that the tiles of all groups can make: each may end and, where nothing aligns it, begin
// inside of one.
int64_t most_clusters(const GemmKernel& kernel, const GroupedShape& shape) {
    const int64_t rows = shape.slabs == 1 ? rules::ceil_div(shape.m, kernel.block_m) + 2 * shape.groups
                                          : shape.slabs * rules::ceil_div(shape.m, kernel.block_m);
    return rows * rules::ceil_div(shape.n, cluster_columns(kernel));
}

}  // namespace

void run_grouped_gemm(const GroupedArgs& args, const GroupedShape& shape, const Tensor& out,
                      const GemmKernel* wanted) {
    if (shape.k == 0) return fill_zero(out);
    if (shape.groups == 0 || shape.m == 0 || shape.n == 0) return;

    const LaunchScope scope(args.a);
    const GemmProblem problem = problem_of(shape, scope.device());
    const GemmKernel& kernel = choose(problem, wanted, scope.device());
    Operand a = addressable(args.a, scope);
    const Operand b = addressable(args.b, scope);
    const TensorView d = view("out", out);
    TmaMatrix d_rows = result_rows(d), a_scale = scale_rows(args.a_scale);
    // Maps of grouped kernels have a third dimension, of one slab where all groups share the matrix.
    for (TmaMatrix* matrix : {&a.matrix, &d_rows, &a_scale}) matrix->slabs = shape.slabs;

    GroupedGemmParams params{};
    params.a_scale = static_cast<const float*>(args.a_scale.data());
    params.b_scale = static_cast<const float*>(args.b_scale.data());
    params.d = d.mutable_data();
    const int row = args.a.rank == 3 ? 1 : 0;
    params.a_scale_stride_m = args.a_scale.strides[row];
    params.a_scale_stride_k = args.a_scale.strides[row + 1];
    params.a_scale_stride_slab = row == 1 ? args.a_scale.strides[0] : 0;
    params.b_scale_stride_group = args.b_scale.strides[0];
    params.b_scale_stride_n = args.b_scale.strides[1];
    params.b_scale_stride_k = args.b_scale.strides[2];
    params.d_stride_m = d.strides[row];
    params.d_stride_slab = row == 1 ? d.strides[0] : 0;
    params.m = shape.m;
    params.n = shape.n;
    params.k = shape.k;
    const Walk walked = walk(kernel, problem);
    params.band = walked.band;
    params.along = walked.along;
    params.a_box_rows = a_box_rows(kernel, shape.m);
    params.a_scale_box_rows = scale_box_rows(args.a_scale, a_scale, kernel.block_m);
    params.d_by_tma = storable_by_tma(d, d_rows);
    params.layout = static_cast<const int32_t*>(args.groups.data());
    params.kind = shape.kind;
    params.groups = shape.groups;
    params.alignment = shape.alignment;
    params.blocks =
        shape.kind == GroupLayout::indices ? rules::ceil_div(shape.m, shape.alignment) : shape.groups;

    CUtensorMap a_map, b_map;
    encode(a_map, TmaElement::fp8, a.matrix, params.a_box_rows, kScaleBlock, "a");
    encode(b_map, TmaElement::fp8, b.matrix, kernel.block_n, kScaleBlock, "b");
    // Where params says that the copy engine is not used, the kernel reads no map; any valid one will do.
    CUtensorMap d_map = a_map, a_scale_map = a_map;
    if (params.d_by_tma)
        encode(d_map, TmaElement::bf16, d_rows, kernel.store_rows, kernel.store_columns, "out");
    if (params.a_scale_box_rows > 0)
        encode(a_scale_map, TmaElement::f32, a_scale, 1, params.a_scale_box_rows, "a_scale");

    const int64_t clusters =
        std::min<int64_t>(most_clusters(kernel, shape), resident_clusters(kernel, scope.device().num_sms));
    void* pointers[] = {&a_map, &b_map, &d_map, &a_scale_map, &a_scale_map, &params};
    scope.launch(kernel, clusters * cluster_size(kernel), true, pointers);
}

}  // namespace barrow
