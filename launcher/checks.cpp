#include "checks.h"

#include <cinttypes>

#include "../kernels/params.h"
#include "choice.h"
#include "error.h"

namespace barrow {
namespace {

constexpr const char* kGemm = "barrow.fp8_gemm_nt";
constexpr const char* kQuant = "barrow quantizer";

int64_t ceil_div(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

void check_rank(const char* op, const TensorView& tensor, const char* shape, const char* advice) {
    if (tensor.rank == 2) return;
    fail("%s: %s has %" PRId64 " dimensions but needs 2, %s; %s", op, tensor.name, tensor.rank, shape,
         advice);
}

void check_dtype(const char* op, const TensorView& tensor, int32_t dtype, const char* advice) {
    if (tensor.dtype == dtype) return;
    fail("%s: %s has dtype %s but needs %s; %s", op, tensor.name, dtype_name(tensor.dtype).c_str(),
         dtype_name(dtype).c_str(), advice);
}

void check_device(const TensorView& tensor, const TensorView& a) {
    if (tensor.device_type == a.device_type && tensor.device_index == a.device_index) return;
    fail("%s: %s is on %s but a is on %s; pass all tensors on one device", kGemm, tensor.name,
         device_name(tensor).c_str(), device_name(a).c_str());
}

void check_dims(const char* op, const TensorView& tensor, const char* rows, const char* cols) {
    for (int i = 0; i < 2; ++i) {
        if (tensor.sizes[i] <= kMaxDim) continue;
        fail("%s: %s has %s = %" PRId64 " but at most %" PRId64 " can be addressed; split the call along it",
             op, tensor.name, i == 0 ? rows : cols, tensor.sizes[i], kMaxDim);
    }
}

void check_last_stride(const char* op, const TensorView& tensor, const char* advice) {
    if (tensor.sizes[1] <= 1 || tensor.sizes[0] == 0 || tensor.strides[1] == 1) return;
    fail("%s: %s has stride %" PRId64 " along its last dimension but needs 1; %s", op, tensor.name,
         tensor.strides[1], advice);
}

void check_alignment(const char* op, const TensorView& tensor) {
    const auto address = reinterpret_cast<uintptr_t>(tensor.data());
    const size_t needed = aoti_torch_dtype_element_size(tensor.dtype);
    if (address % needed == 0) return;
    fail("%s: %s starts at address 0x%" PRIxPTR
         " but needs a multiple of its element size, %zu; pass a copy made by "
         "clone()",
         op, tensor.name, address, needed);
}

void check_operand(const TensorView& tensor, const char* shape, const char* quantizer) {
    check_rank(kGemm, tensor, shape, "flatten the leading dimensions with reshape(-1, K)");
    check_dtype(kGemm, tensor, aoti_torch_dtype_float8_e4m3fn(), quantizer);
    check_last_stride(kGemm, tensor, "K must be contiguous: pass a copy made by contiguous()");
}

void check_scale(const TensorView& scale, const TensorView& of, int64_t rows, int64_t k_blocks,
                 const char* shape, const char* granularity) {
    check_rank(kGemm, scale, shape, "pass the scales as the quantizers return them");
    check_dtype(kGemm, scale, aoti_torch_dtype_float32(), "pass the scales as the quantizers return them");
    if (scale.sizes[0] != rows || scale.sizes[1] != k_blocks) {
        fail("%s: %s has shape [%" PRId64 ", %" PRId64 "] but needs [%" PRId64 ", %" PRId64
             "], %s, for %s of shape [%" PRId64 ", %" PRId64 "]; pass one scale per %s",
             kGemm, scale.name, scale.sizes[0], scale.sizes[1], rows, k_blocks, shape, of.name, of.sizes[0],
             of.sizes[1], granularity);
    }
    check_alignment(kGemm, scale);
}

// Conservative: tensors whose byte ranges cross count as overlapping even where their elements interleave.
void check_disjoint(const TensorView& out, const TensorView& input) {
    if (out.device_type == aoti_torch_device_type_meta()) return;
    const auto out_begin = reinterpret_cast<uintptr_t>(out.data());
    const auto in_begin = reinterpret_cast<uintptr_t>(input.data());
    const uintptr_t out_end = out_begin + out.extent_bytes(), in_end = in_begin + input.extent_bytes();
    if (out_begin >= in_end || in_begin >= out_end) return;
    fail("%s: out overlaps %s in memory (bytes 0x%" PRIxPTR " to 0x%" PRIxPTR " and 0x%" PRIxPTR
         " to 0x%" PRIxPTR ") but needs memory of its own; pass another out, or none",
         kGemm, input.name, out_begin, out_end, in_begin, in_end);
}

void check_out(const GemmArgs& args, const TensorView& out, const GemmShape& shape) {
    check_rank(kGemm, out, "[M, N]", "pass a view of the rows and columns to write");
    check_device(out, args.a);
    if (out.sizes[0] != shape.m || out.sizes[1] != shape.n) {
        fail("%s: out has shape [%" PRId64 ", %" PRId64 "] but needs [M, N] = [%" PRId64 ", %" PRId64
             "]; take M from a's rows and N from b's rows",
             kGemm, out.sizes[0], out.sizes[1], shape.m, shape.n);
    }
    check_last_stride(kGemm, out, "pass an out whose rows are contiguous");
    if (shape.m > 1 && shape.n > 0 && out.strides[0] < shape.n) {
        fail("%s: out has row stride %" PRId64 " but needs at least N = %" PRId64
             ", or its rows overlap one another; pass an out that was not expanded",
             kGemm, out.strides[0], shape.n);
    }
    check_alignment(kGemm, out);
    for (const TensorView* input : {&args.a, &args.a_scale, &args.b, &args.b_scale})
        check_disjoint(out, *input);
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
    check_dims(kGemm, a, "M", "K");
    check_dims(kGemm, b, "N", "K");
    const int64_t m = a.sizes[0], n = b.sizes[0], k = a.sizes[1], k_blocks = ceil_div(k, kScaleBlock);
    check_scale(a_scale, a, m, k_blocks, "[M, ceil(K / 128)]", "row of a and 128 of K");
    // Two recipes, told apart by the shape, and for N of 1 the same.
    const bool per_row = n > 1 && b_scale.rank == 2 && b_scale.sizes[0] == n;
    check_scale(b_scale, b, per_row ? n : ceil_div(n, kScaleBlock), k_blocks,
                per_row ? "[N, ceil(K / 128)]" : "[ceil(N / 128), ceil(K / 128)]",
                "128 rows of b, or per row, and 128 of K");
    for (const TensorView* tensor : {&a_scale, &b, &b_scale}) check_device(*tensor, a);
    return {m, n, k, out, per_row ? 1 : kScaleBlock};
}

GemmShape check_gemm(const GemmArgs& args, const TensorView& out) {
    const GemmShape shape = check_gemm(args, check_out_dtype(out));
    check_out(args, out, shape);
    return shape;
}

const GemmKernel& check_kernel(int64_t row, const GemmShape& shape) {
    if (row < 0 || row >= static_cast<int64_t>(kGemmKernelCount)) {
        fail("%s_with: kernel is %" PRId64 " but needs to be from 0 to %" PRId64
             ", a row of barrow.launcher.kernels() of kind gemm",
             kGemm, row, static_cast<int64_t>(kGemmKernelCount) - 1);
    }
    const GemmKernel& kernel = kGemmKernels[row];
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

Dtype check_quant(const TensorView& x) {
    check_rank(kQuant, x, "rows and K", "flatten the leading dimensions with reshape(-1, K)");
    check_dims(kQuant, x, "rows", "K");
    check_last_stride(kQuant, x, "K must be contiguous: pass a copy made by contiguous()");
    check_alignment(kQuant, x);
    if (x.dtype == aoti_torch_dtype_bfloat16()) return Dtype::bf16;
    if (x.dtype == aoti_torch_dtype_float16()) return Dtype::f16;
    if (x.dtype == aoti_torch_dtype_float32()) return Dtype::f32;
    fail("%s: x has dtype %s but needs bfloat16, float16 or float32; convert it with x.to(torch.bfloat16)",
         kQuant, dtype_name(x.dtype).c_str());
}

}  // namespace barrow
