#include "checks.h"

#include <cinttypes>

#include "../kernels/params.h"
#include "choice.h"
#include "error.h"
#include "rules.h"

namespace barrow {
namespace {

using namespace rules;

constexpr const char* kGemm = "barrow.fp8_gemm_nt";

void check_operand(const TensorView& tensor, const char* shape, const char* quantizer) {
    check_rank(kGemm, tensor, 2, shape, "flatten the leading dimensions with reshape(-1, K)");
    check_dtype(kGemm, tensor, aoti_torch_dtype_float8_e4m3fn(), quantizer);
    check_last_stride(kGemm, tensor, "K must be contiguous: pass a copy made by contiguous()");
}

void check_scale(const TensorView& scale, const TensorView& of, int64_t rows, int64_t k_blocks,
                 const char* shape, const char* granularity) {
    check_rank(kGemm, scale, 2, shape, "pass the scales as the quantizers return them");
    check_dtype(kGemm, scale, aoti_torch_dtype_float32(), "pass the scales as the quantizers return them");
    if (scale.sizes[0] != rows || scale.sizes[1] != k_blocks) {
        fail("%s: %s has shape [%" PRId64 ", %" PRId64 "] but needs [%" PRId64 ", %" PRId64
             "], %s, for %s of shape [%" PRId64 ", %" PRId64 "]; pass one scale per %s",
             kGemm, scale.name, scale.sizes[0], scale.sizes[1], rows, k_blocks, shape, of.name, of.sizes[0],
             of.sizes[1], granularity);
    }
    check_alignment(kGemm, scale);
}

void check_out(const GemmArgs& args, const TensorView& out, const GemmShape& shape) {
    check_rank(kGemm, out, 2, "[M, N]", "pass a view of the rows and columns to write");
    check_device(kGemm, out, args.a);
    if (out.sizes[0] != shape.m || out.sizes[1] != shape.n) {
        fail("%s: out has shape [%" PRId64 ", %" PRId64 "] but needs [M, N] = [%" PRId64 ", %" PRId64
             "]; take M from a's rows and N from b's rows",
             kGemm, out.sizes[0], out.sizes[1], shape.m, shape.n);
    }
    check_written(kGemm, out, {&args.a, &args.a_scale, &args.b, &args.b_scale});
}

Dtype check_out_dtype(const TensorView& out) {
    if (out.dtype == aoti_torch_dtype_bfloat16()) return Dtype::bf16;
    if (out.dtype == aoti_torch_dtype_float32()) return Dtype::f32;
    fail("%s: out has dtype %s but needs bfloat16 or float32; convert the result afterwards", kGemm,
         dtype_name(out.dtype).c_str());
}

}  // namespace

GemmShape check_gemm(const GemmArgs& args, Dtype out) {
    const auto& [a, a_scale, b, b_scale] = args;
    check_operand(a, "[M, K]", "quantize it with barrow.per_token_group_quant_fp8");
    check_operand(b, "[N, K]", "quantize it with barrow.per_block_quant_fp8");
    if (b.sizes[1] != a.sizes[1]) {
        fail("%s: b has K = %" PRId64 " but a has K = %" PRId64 "; pass b as [N, K] with a's K", kGemm,
             b.sizes[1], a.sizes[1]);
    }
    check_dim(kGemm, a, 0, "M");
    check_dim(kGemm, a, 1, "K");
    check_dim(kGemm, b, 0, "N");
    const int64_t m = a.sizes[0], n = b.sizes[0], k = a.sizes[1], k_blocks = ceil_div(k, kScaleBlock);
    check_scale(a_scale, a, m, k_blocks, "[M, ceil(K / 128)]", "row of a and 128 of K");
    // Two recipes, told apart by the shape, and for N of 1 the same.
    const bool per_row = n > 1 && b_scale.rank == 2 && b_scale.sizes[0] == n;
    check_scale(b_scale, b, per_row ? n : ceil_div(n, kScaleBlock), k_blocks,
                per_row ? "[N, ceil(K / 128)]" : "[ceil(N / 128), ceil(K / 128)]",
                "128 rows of b, or per row, and 128 of K");
    for (const TensorView* tensor : {&a_scale, &b, &b_scale}) check_device(kGemm, *tensor, a);
    return {m, n, k, out, per_row ? 1 : kScaleBlock};
}

GemmShape check_gemm(const GemmArgs& args, const TensorView& out) {
    const GemmShape shape = check_gemm(args, check_out_dtype(out));
    check_out(args, out, shape);
    return shape;
}

void check_accumulate(const GemmShape& shape, bool accumulate) {
    if (!accumulate || shape.out == Dtype::f32) return;
    fail(
        "%s: out is bfloat16 but with accumulate needs float32; pass a float32 out and round the sum "
        "afterwards",
        kGemm);
}

const GemmKernel& check_kernel(int64_t row, const GemmShape& shape) {
    if (row < 0 || row >= static_cast<int64_t>(kGemmKernelCount)) {
        fail("%s_with: kernel is %" PRId64 " but needs to be from 0 to %" PRId64
             ", a row of barrow.launcher.kernels() of kind gemm",
             kGemm, row, static_cast<int64_t>(kGemmKernelCount) - 1);
    }
    const GemmKernel& kernel = kGemmKernels[row];
    if (kernel.grouped != 0) {
        fail("%s_with: kernel %s is for groups of rows; choose a row of kind gemm", kGemm, kernel.name);
    }
    if (kernel.out != shape.out) {
        fail(
            "%s_with: kernel %s does not write the dtype of out; choose a row of barrow.launcher.kernels() "
            "that does",
            kGemm, kernel.name);
    }
    // With one row of b there is one row of scales either way.
    if (shape.n > 1 && (kernel.row_scales_b != 0) != shape.row_scales_b()) {
        fail("%s_with: kernel %s takes one scale of b per %s but b_scale has one per %s; choose another",
             kGemm, kernel.name, kernel.row_scales_b ? "row" : "128 rows",
             shape.row_scales_b() ? "row" : "128 rows");
    }
    return kernel;
}

Dtype check_quant(const char* op, const TensorView& x) {
    check_rank(op, x, 2, "rows and K", "flatten the leading dimensions with reshape(-1, K)");
    check_dim(op, x, 0, "rows");
    check_dim(op, x, 1, "K");
    check_last_stride(op, x, "K must be contiguous: pass a copy made by contiguous()");
    check_alignment(op, x);
    if (x.dtype == aoti_torch_dtype_bfloat16()) return Dtype::bf16;
    if (x.dtype == aoti_torch_dtype_float16()) return Dtype::f16;
    if (x.dtype == aoti_torch_dtype_float32()) return Dtype::f32;
    fail("%s: x has dtype %s but needs bfloat16, float16 or float32; convert it with x.to(torch.bfloat16)",
         op, dtype_name(x.dtype).c_str());
}

}  // namespace barrow
