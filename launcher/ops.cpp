// The operators as torch sees them: schemas, and kernels that take their arguments off torch's stack.
#include "ops.h"

#include <torch/csrc/stable/c/shim.h>

#include <cstring>
#include <memory>
#include <optional>

#include "checks.h"
#include "checks_experts.h"
#include "gemm.h"
#include "grouped.h"
#include "quant.h"
#include "tensor.h"

static_assert(TORCH_FEATURE_VERSION == TORCH_VERSION_2_10_0,
              "compile with -DTORCH_TARGET_VERSION=0x020a000000000000: the wheel promises torch 2.10");

namespace barrow {
namespace {

// torch's stable calling convention (torch/csrc/stable/stableivalue_conversions.h): every argument is 64 bits
// on the stack. A tensor is a handle that the callee owns; a scalar lies in the low bytes; an optional is
// null or an owned heap cell with the value.

template <typename T>
T scalar(StableIValue value) {
    T result;
    memcpy(&result, &value, sizeof(result));
    return result;
}

Tensor take_tensor(StableIValue value) { return Tensor(scalar<AtenTensorHandle>(value)); }

Tensor take_optional_tensor(StableIValue value) {
    const std::unique_ptr<StableIValue> cell(scalar<StableIValue*>(value));
    return cell == nullptr ? nullptr : take_tensor(*cell);
}

std::optional<int64_t> take_optional_int(StableIValue value) {
    const std::unique_ptr<StableIValue> cell(scalar<StableIValue*>(value));
    return cell == nullptr ? std::nullopt : std::optional(scalar<int64_t>(*cell));
}

StableIValue give_tensor(Tensor tensor) { return reinterpret_cast<StableIValue>(tensor.release()); }

struct GemmTensors {
    explicit GemmTensors(const StableIValue* stack)
        : a(take_tensor(stack[0])),
          a_scale(take_tensor(stack[1])),
          b(take_tensor(stack[2])),
          b_scale(take_tensor(stack[3])) {}

    GemmArgs views() const {
        return {view("a", a), view("a_scale", a_scale), view("b", b), view("b_scale", b_scale)};
    }

    Tensor a;
    Tensor a_scale;
    Tensor b;
    Tensor b_scale;
};

void fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const GemmTensors tensors(stack);
    const auto float32_out = scalar<bool>(stack[4]);
    const GemmArgs args = tensors.views();
    const GemmShape shape = check_gemm(args, float32_out ? Dtype::f32 : Dtype::bf16);
    const int32_t dtype = float32_out ? aoti_torch_dtype_float32() : aoti_torch_dtype_bfloat16();
    Tensor out = empty_strided({shape.m, shape.n}, {shape.n, 1}, dtype, args.a);
    run_gemm(args, shape, out, scalar<bool>(stack[5]));
    stack[0] = give_tensor(std::move(out));
}

void fp8_gemm_nt_out(StableIValue* stack, uint64_t, uint64_t) {
    const GemmTensors tensors(stack);
    const auto prefetch_b = scalar<bool>(stack[4]);
    const Tensor out = take_tensor(stack[5]);
    const GemmArgs args = tensors.views();
    run_gemm(args, check_gemm(args, view("out", out)), out, prefetch_b);
}

// fp8_gemm_nt.out by a kernel that the caller names, as the row of kernels() in the module: what tests of
// every kernel and measurements of the cost model call.
void fp8_gemm_nt_with(StableIValue* stack, uint64_t, uint64_t) {
    const GemmTensors tensors(stack);
    const auto kernel = scalar<int64_t>(stack[4]);
    const auto prefetch_b = scalar<bool>(stack[5]);
    const Tensor out = take_tensor(stack[6]);
    const GemmArgs args = tensors.views();
    const GemmShape shape = check_gemm(args, view("out", out));
    run_gemm(args, shape, out, prefetch_b, &check_kernel(kernel, shape));
}

void check_fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const GemmTensors tensors(stack);
    const Tensor out = take_optional_tensor(stack[4]);
    if (out == nullptr) {
        check_gemm(tensors.views(), Dtype::bf16);
    } else {
        check_gemm(tensors.views(), view("out", out));
    }
}

struct GroupedTensors {
    explicit GroupedTensors(const StableIValue* stack)
        : gemm(stack),
          groups(take_tensor(stack[4])),
          asked{scalar<int64_t>(stack[5]), scalar<int64_t>(stack[6]), scalar<int64_t>(stack[7])} {}

    GroupedArgs views() const {
        const GemmArgs args = gemm.views();
        return {args.a, args.a_scale, args.b, args.b_scale, view(groups_name(asked.kind), groups)};
    }

    GemmTensors gemm;
    Tensor groups;
    GroupsAsked asked;
};

void m_grouped_fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const GroupedTensors tensors(stack);
    const GroupedArgs args = tensors.views();
    const GroupedShape shape = check_grouped_gemm(args, tensors.asked);
    const int32_t dtype = aoti_torch_dtype_bfloat16();
    Tensor out = args.a.rank == 2 ? empty_strided({shape.m, shape.n}, {shape.n, 1}, dtype, args.a)
                                  : empty_strided({shape.slabs, shape.m, shape.n},
                                                  {shape.m * shape.n, shape.n, 1}, dtype, args.a);
    run_grouped_gemm(args, shape, out);
    stack[0] = give_tensor(std::move(out));
}

void m_grouped_fp8_gemm_nt_out(StableIValue* stack, uint64_t, uint64_t) {
    const GroupedTensors tensors(stack);
    const Tensor out = take_tensor(stack[8]);
    const GroupedArgs args = tensors.views();
    const GroupedShape shape = check_grouped_gemm(args, tensors.asked);
    check_grouped_out(args, shape, view("out", out));
    run_grouped_gemm(args, shape, out);
}

void m_grouped_fp8_gemm_nt_with(StableIValue* stack, uint64_t, uint64_t) {
    const GroupedTensors tensors(stack);
    const auto kernel = scalar<int64_t>(stack[8]);
    const Tensor out = take_tensor(stack[9]);
    const GroupedArgs args = tensors.views();
    const GroupedShape shape = check_grouped_gemm(args, tensors.asked);
    check_grouped_out(args, shape, view("out", out));
    run_grouped_gemm(args, shape, out, &check_grouped_kernel(kernel));
}

void check_m_grouped_fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const GroupedTensors tensors(stack);
    const Tensor out = take_optional_tensor(stack[8]);
    const GroupedArgs args = tensors.views();
    const GroupedShape shape = check_grouped_gemm(args, tensors.asked);
    if (out != nullptr) check_grouped_out(args, shape, view("out", out));
}

using Quantizer = Quantized(const TensorView& x, bool use_ue8m0);

template <Quantizer quantizer>
void quant(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]);
    Quantized result = quantizer(view("x", x), scalar<bool>(stack[1]));
    stack[0] = give_tensor(std::move(result.q));
    stack[1] = give_tensor(std::move(result.scale));
}

void check_quant_op(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]);
    check_quant(view("x", x));
}

void check_moe_sort_op(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor topk_ids = take_tensor(stack[0]);
    check_moe_sort(view("topk_ids", topk_ids), scalar<int64_t>(stack[1]), take_optional_int(stack[2]));
}

void check_moe_permute_quant_op(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]), positions = take_tensor(stack[1]);
    check_moe_permute_quant(view("x", x), view("positions", positions), scalar<int64_t>(stack[2]));
}

void check_silu_mul_quant_op(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]), groups = take_optional_tensor(stack[1]);
    if (groups == nullptr) return check_silu_mul_quant(view("x", x), nullptr);
    const TensorView groups_view = view("groups", groups);
    check_silu_mul_quant(view("x", x), &groups_view);
}

void check_moe_unpermute_op(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor y = take_tensor(stack[0]), positions = take_tensor(stack[1]),
                 weights = take_tensor(stack[2]);
    check_moe_unpermute(view("y", y), view("positions", positions), view("weights", weights));
}

constexpr const char* kLibrary = "barrow";

}  // namespace

void register_operators() {
    // The libraries live as long as the process: deleting one would take its operators with it.
    TorchLibraryHandle library = nullptr;
    torch_check(aoti_torch_library_init_def(kLibrary, kLibrary, 0, &library),
                "registration of library barrow");
    // No ScalarType: a package of AOTInductor stores one as the number that torch.export gives it, and the
    // C++ runner of torch 2.11 passes that on as if it were c10's (later ones convert it).
    for (const char* schema : {
             "fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, bool float32_out, "
             "bool prefetch_b=False) -> Tensor",
             "fp8_gemm_nt.out(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, bool prefetch_b=False, *, "
             "Tensor(a!) out) -> ()",
             "fp8_gemm_nt_with(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, int kernel, "
             "bool prefetch_b=False, *, Tensor(a!) out) -> ()",
             "m_grouped_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, int "
             "kind, "
             "int alignment, int expected_m) -> Tensor",
             "m_grouped_fp8_gemm_nt.out(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, "
             "int kind, int alignment, int expected_m, *, Tensor(a!) out) -> ()",
             "m_grouped_fp8_gemm_nt_with(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, "
             "int kind, int alignment, int expected_m, int kernel, *, Tensor(a!) out) -> ()",
             "per_token_group_quant_fp8(Tensor x, bool use_ue8m0) -> (Tensor, Tensor)",
             "per_block_quant_fp8(Tensor x, bool use_ue8m0) -> (Tensor, Tensor)",
             "moe_sort(Tensor topk_ids, int num_experts, SymInt? max_m) -> (Tensor, Tensor)",
             "moe_permute_quant(Tensor x, Tensor positions, SymInt rows) -> (Tensor, Tensor)",
             "silu_mul_quant(Tensor x, Tensor? groups) -> (Tensor, Tensor)",
             "moe_unpermute(Tensor y, Tensor positions, Tensor weights) -> Tensor",
             "check_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor? out) -> ()",
             "check_m_grouped_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, "
             "int kind, int alignment, int expected_m, Tensor? out) -> ()",
             "check_quant(Tensor x) -> ()",
             "check_moe_sort(Tensor topk_ids, int num_experts, int? max_m) -> ()",
             "check_moe_permute_quant(Tensor x, Tensor positions, int rows) -> ()",
             "check_silu_mul_quant(Tensor x, Tensor? groups) -> ()",
             "check_moe_unpermute(Tensor y, Tensor positions, Tensor weights) -> ()",
         }) {
        torch_check(aoti_torch_library_def(library, schema), schema);
    }

    const auto implement = [](const char* key, const char* name,
                              void (*kernel)(StableIValue*, uint64_t, uint64_t)) {
        TorchLibraryHandle handle = nullptr;
        torch_check(aoti_torch_library_init_impl(kLibrary, key, kLibrary, 0, &handle), name);
        torch_check(torch_library_impl(handle, name, kernel, TORCH_FEATURE_VERSION), name);
    };
    implement("CUDA", "fp8_gemm_nt", fp8_gemm_nt);
    implement("CUDA", "fp8_gemm_nt.out", fp8_gemm_nt_out);
    implement("CUDA", "fp8_gemm_nt_with", fp8_gemm_nt_with);
    implement("CUDA", "m_grouped_fp8_gemm_nt", m_grouped_fp8_gemm_nt);
    implement("CUDA", "m_grouped_fp8_gemm_nt.out", m_grouped_fp8_gemm_nt_out);
    implement("CUDA", "m_grouped_fp8_gemm_nt_with", m_grouped_fp8_gemm_nt_with);
    implement("CUDA", "per_token_group_quant_fp8", quant<per_token_group_quant>);
    implement("CUDA", "per_block_quant_fp8", quant<per_block_quant>);
    implement("CompositeExplicitAutograd", "check_fp8_gemm_nt", check_fp8_gemm_nt);
    implement("CompositeExplicitAutograd", "check_m_grouped_fp8_gemm_nt", check_m_grouped_fp8_gemm_nt);
    implement("CompositeExplicitAutograd", "check_quant", check_quant_op);
    implement("CompositeExplicitAutograd", "check_moe_sort", check_moe_sort_op);
    implement("CompositeExplicitAutograd", "check_moe_permute_quant", check_moe_permute_quant_op);
    implement("CompositeExplicitAutograd", "check_silu_mul_quant", check_silu_mul_quant_op);
    implement("CompositeExplicitAutograd", "check_moe_unpermute", check_moe_unpermute_op);
}

}  // namespace barrow
