#include "gemm.h"

#include <algorithm>

#include "../kernels/params.h"
#include "choice.h"
#include "error.h"
#include "launch.h"
#include "operands.h"

namespace barrow {
namespace {

using namespace cuda;

GemmProblem problem_of(const GemmShape& shape, const Device& device) {
    return {shape.m,
            shape.n,
            shape.k,
            shape.out,
            device.capability,
            device.num_sms,
            device.memory_gb_s,
            shape.row_scales_b(),
            0};
}

const GemmKernel& choose(GemmProblem problem, const GemmKernel* wanted, const Device& device) {
    if (wanted != nullptr) {
        // check_kernel has compared them, and lets either kind of kernel have the one scale of one row of B.
        problem.row_scales_b = wanted->row_scales_b != 0;
        if (can_run(*wanted, problem)) return *wanted;
        fail("barrow.fp8_gemm_nt_with: kernel %s cannot run on GPU %d (%s) with this out; choose another",
             wanted->name, device.index, device.name);
    }
    if (const GemmKernel* chosen = best(problem)) return *chosen;
    fail("barrow.fp8_gemm_nt: this build has no kernel for GPU %d (%s); install a build with kernels",
         device.index, device.name);
}

}  // namespace

void run_gemm(const GemmArgs& args, const GemmShape& shape, const Tensor& out, GemmOptions options,
              const GemmKernel* wanted) {
    if (shape.m == 0 || shape.n == 0) return;
    if (shape.k == 0) return options.accumulate ? void() : fill_zero(out);

    const LaunchScope scope(args.a);
    const GemmProblem problem = problem_of(shape, scope.device());
    const GemmKernel& kernel = choose(problem, wanted, scope.device());
    const Operand a = addressable(args.a, scope);
    const Operand b = addressable(args.b, scope);
    const TensorView d = view("out", out);

    GemmParams params{};
    params.a_scale = static_cast<const float*>(args.a_scale.data());
    params.b_scale = static_cast<const float*>(args.b_scale.data());
    params.d = d.mutable_data();
    params.a_scale_stride_m = args.a_scale.strides[0];
    params.a_scale_stride_k = args.a_scale.strides[1];
    params.b_scale_stride_n = args.b_scale.strides[0];
    params.b_scale_stride_k = args.b_scale.strides[1];
    params.d_stride_m = d.strides[0];
    params.m = shape.m;
    params.n = shape.n;
    params.k = shape.k;
    const Walk walked = walk(kernel, problem);
    params.band = walked.band;
    params.along = walked.along;
    params.a_box_rows = a_box_rows(kernel, shape.m);
    params.accumulate = options.accumulate;

    const TmaMatrix d_rows = result_rows(d);
    params.d_by_tma = kernel.store_columns > 0 && storable_by_tma(d, d_rows);

    const TmaMatrix a_scale = scale_rows(args.a_scale), b_scale = scale_rows(args.b_scale);
    params.a_scale_box_rows = scale_box_rows(args.a_scale, a_scale, kernel.block_m);
    if (kernel.row_scales_b) {
        params.b_scale_box_rows = scale_box_rows(args.b_scale, b_scale, kernel.block_n);
        // Both or none: a kernel has one way to bring scales.
        if (params.b_scale_box_rows == 0) params.a_scale_box_rows = 0;
        if (params.a_scale_box_rows == 0) params.b_scale_box_rows = 0;
    }
    // A copy of B is written by the kernel right in front of this one.
    const bool overlap = overlaps(kernel, shape.m, shape.n, shape.k, scope.device().num_sms);
    params.prefetch_b = overlap && options.prefetch_b && b.copy == nullptr;

    CUtensorMap a_map, b_map;
    encode(a_map, TmaElement::fp8, a.matrix, params.a_box_rows, kScaleBlock, "a");
    encode(b_map, TmaElement::fp8, b.matrix, kernel.block_n, kScaleBlock, "b");
    // Where params says that the copy engine is not used, the kernel reads no map; any valid one will do.
    CUtensorMap d_map = a_map, a_scale_map = a_map, b_scale_map = a_map;
    if (params.d_by_tma) {
        const TmaElement element = shape.out == Dtype::f32 ? TmaElement::f32 : TmaElement::bf16;
        encode(d_map, element, d_rows, kernel.store_rows, kernel.store_columns, "out");
    }
    if (params.a_scale_box_rows > 0) {
        encode(a_scale_map, TmaElement::f32, a_scale, 1, params.a_scale_box_rows, "a_scale");
    }
    if (params.b_scale_box_rows > 0) {
        encode(b_scale_map, TmaElement::f32, b_scale, 1, params.b_scale_box_rows, "b_scale");
    }

    // Persistent CTAs, but for clusters that split K: they have one tile each, and the GPU starts the next.
    int64_t clusters = clusters_of(kernel, shape.m, shape.n);
    if (kernel.cluster_k == 1)
        clusters = std::min<int64_t>(clusters, resident_clusters(kernel, scope.device().num_sms));
    void* pointers[] = {&a_map, &b_map, &d_map, &a_scale_map, &b_scale_map, &params};
    scope.launch(kernel, clusters * cluster_size(kernel), overlap, pointers);
}

}  // namespace barrow
