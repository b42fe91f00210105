#include "gemm.h"

#include "../kernels/params.h"
#include "choice.h"
#include "error.h"
#include "launch.h"
#include "operands.h"
#include "rules.h"

namespace barrow {
namespace {

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

const GemmKernel& choose(GemmProblem problem, const GemmKernel* wanted, const LaunchScope& scope) {
    if (wanted != nullptr) {
        // check_kernel has compared them, and lets either kind of kernel have the one scale of one row of B.
        problem.row_scales_b = wanted->row_scales_b != 0;
        if (can_run(*wanted, problem)) return *wanted;
        fail("barrow.fp8_gemm_nt_with: kernel %s cannot run on GPU %d (%s) with this out; choose another",
             wanted->name, scope.device().index, scope.device().name);
    }
    if (const GemmKernel* chosen = best_again(problem)) return *chosen;
    scope.refuse("barrow.fp8_gemm_nt");
}

}  // namespace

void run_gemm(const GemmArgs& args, const GemmShape& shape, const Tensor& out, GemmOptions options,
              const GemmKernel* wanted) {
    if (shape.m == 0 || shape.n == 0) return;
    if (shape.k == 0) return options.accumulate ? void() : fill_zero(out);

    const LaunchScope scope(args.a);
    const GemmProblem problem = problem_of(shape, scope.device());
    const GemmKernel& kernel = choose(problem, wanted, scope);
    const Operand a = addressable(args.a, scope);
    const Operand b = addressable(args.b, scope);
    const TensorView d = view("out", out);

    GemmMatrices matrices{a.matrix, b.matrix, result_rows(d), scale_rows(args.a_scale),
                          scale_rows(args.b_scale)};
    KGroupedGemmParams params{};
    if (kernel.k_groups != 0) {
        matrices.d.slabs = 1;
        params.groups = 1;
        params.group[0].k_blocks = rules::ceil_div(shape.k, kScaleBlock);
    }
    describe(params, kernel, args.a_scale, args.b_scale, d, matrices);
    describe_walk(params, kernel, walk(kernel, problem));
    params.accumulate = options.accumulate;
    params.prefetch_b = b.may_come_early(options.prefetch_b);
    GemmMaps maps;
    encode(maps, kernel, params, matrices);
    launch(scope, kernel, clusters_of(kernel, shape.m, shape.n), starts_early(kernel, problem), maps, params);
}

}  // namespace barrow
