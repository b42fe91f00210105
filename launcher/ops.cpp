// The operators as torch sees them: schemas, and kernels that take their arguments off torch's stack.
#include "ops.h"

#include "checks.h"
#include "gemm.h"
#include "grouped.h"
#include "k_grouped.h"
#include "ops_experts.h"
#include "quant.h"
#include "registry.h"
#include "tensor.h"

namespace barrow {
namespace {

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
    run_gemm(args, shape, out, {scalar<bool>(stack[5]), false});
    stack[0] = give_tensor(std::move(out));
}

void fp8_gemm_nt_out(StableIValue* stack, uint64_t, uint64_t) {
    const GemmTensors tensors(stack);
    const GemmOptions options{scalar<bool>(stack[4]), scalar<bool>(stack[5])};
    const Tensor out = take_tensor(stack[6]);
    const GemmArgs args = tensors.views();
    const GemmShape shape = check_gemm(args, view("out", out));
    check_accumulate(shape, options.accumulate);
    run_gemm(args, shape, out, options);
}

// fp8_gemm_nt.out by a kernel that the caller names, as the row of kernels() in the module: what tests of
// every kernel and measurements of the cost model call.
void fp8_gemm_nt_with(StableIValue* stack, uint64_t, uint64_t) {
    const GemmTensors tensors(stack);
    const auto kernel = scalar<int64_t>(stack[4]);
    const GemmOptions options{scalar<bool>(stack[5]), scalar<bool>(stack[6])};
    const Tensor out = take_tensor(stack[7]);
    const GemmArgs args = tensors.views();
    const GemmShape shape = check_gemm(args, view("out", out));
    check_accumulate(shape, options.accumulate);
    run_gemm(args, shape, out, options, &check_kernel(kernel, shape));
}

void check_fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const GemmTensors tensors(stack);
    const Tensor out = take_optional_tensor(stack[4]);
    const auto accumulate = scalar<bool>(stack[5]);
    if (out == nullptr) {
        check_gemm(tensors.views(), Dtype::bf16);
    } else {
        check_accumulate(check_gemm(tensors.views(), view("out", out)), accumulate);
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
    run_grouped_gemm(args, shape, out, scalar<bool>(stack[8]));
    stack[0] = give_tensor(std::move(out));
}

void m_grouped_fp8_gemm_nt_out(StableIValue* stack, uint64_t, uint64_t) {
    const GroupedTensors tensors(stack);
    const auto prefetch_b = scalar<bool>(stack[8]);
    const Tensor out = take_tensor(stack[9]);
    const GroupedArgs args = tensors.views();
    const GroupedShape shape = check_grouped_gemm(args, tensors.asked);
    check_grouped_out(args, shape, view("out", out));
    run_grouped_gemm(args, shape, out, prefetch_b);
}

void m_grouped_fp8_gemm_nt_with(StableIValue* stack, uint64_t, uint64_t) {
    const GroupedTensors tensors(stack);
    const auto kernel = scalar<int64_t>(stack[8]);
    const auto prefetch_b = scalar<bool>(stack[9]);
    const Tensor out = take_tensor(stack[10]);
    const GroupedArgs args = tensors.views();
    const GroupedShape shape = check_grouped_gemm(args, tensors.asked);
    check_grouped_out(args, shape, view("out", out));
    run_grouped_gemm(args, shape, out, prefetch_b, &check_grouped_kernel(kernel));
}

void check_m_grouped_fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const GroupedTensors tensors(stack);
    const Tensor out = take_optional_tensor(stack[8]);
    const GroupedArgs args = tensors.views();
    const GroupedShape shape = check_grouped_gemm(args, tensors.asked);
    if (out != nullptr) check_grouped_out(args, shape, view("out", out));
}

struct KGroupedTensors {
    explicit KGroupedTensors(const StableIValue* stack)
        : gemm(stack), ks(take_ints(stack[4])), out(take_tensor(stack[5])) {}

    KGroupedArgs views() const {
        const GemmArgs args = gemm.views();
        return {args.a, args.a_scale, args.b, args.b_scale, ks, view("out", out)};
    }

    GemmTensors gemm;
    std::vector<int64_t> ks;
    Tensor out;
};

void k_grouped_fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const KGroupedTensors tensors(stack);
    const KGroupedArgs args = tensors.views();
    run_k_grouped_gemm(args, check_k_grouped_gemm(args));
}

void check_k_grouped_fp8_gemm_nt(StableIValue* stack, uint64_t, uint64_t) {
    const KGroupedTensors tensors(stack);
    check_k_grouped_gemm(tensors.views());
}

using Quantizer = Quantized(const TensorView& x, bool use_ue8m0);

template <Quantizer quantizer>
void quant(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]);
    Quantized result = quantizer(view("x", x), scalar<bool>(stack[1]));
    stack[0] = give_tensor(std::move(result.q));
    stack[1] = give_tensor(std::move(result.scale));
}

template <const char* kOp>
void check_quantizer(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]);
    check_quant(kOp, view("x", x));
}

}  // namespace

void register_operators() {
    const TorchLibraryHandle library = define_library();
    // No ScalarType: a package of AOTInductor stores one as the number that torch.export gives it, and the
    // C++ runner of torch 2.11 passes that on as if it were c10's (later ones convert it).
    define(
        library,
        {
            "fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, bool float32_out, "
            "bool prefetch_b=False) -> Tensor",
            "fp8_gemm_nt.out(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, bool prefetch_b=False, "
            "bool accumulate=False, *, Tensor(a!) out) -> ()",
            "fp8_gemm_nt_with(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, int kernel, "
            "bool prefetch_b=False, bool accumulate=False, *, Tensor(a!) out) -> ()",
            "m_grouped_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, int "
            "kind, int alignment, SymInt expected_m, bool prefetch_b=False) -> Tensor",
            "m_grouped_fp8_gemm_nt.out(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, "
            "int kind, int alignment, SymInt expected_m, bool prefetch_b=False, *, Tensor(a!) out) -> ()",
            "m_grouped_fp8_gemm_nt_with(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, "
            "int kind, int alignment, SymInt expected_m, int kernel, bool prefetch_b=False, *, "
            "Tensor(a!) out) -> ()",
            "k_grouped_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, SymInt[] ks, *, "
            "Tensor(a!) out) -> ()",
            "per_token_group_quant_fp8(Tensor x, bool use_ue8m0) -> (Tensor, Tensor)",
            "per_block_quant_fp8(Tensor x, bool use_ue8m0) -> (Tensor, Tensor)",
            "check_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor? out, "
            "bool accumulate=False) -> ()",
            "check_m_grouped_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, Tensor groups, "
            "int kind, int alignment, SymInt expected_m, Tensor? out) -> ()",
            "check_k_grouped_fp8_gemm_nt(Tensor a, Tensor a_scale, Tensor b, Tensor b_scale, SymInt[] ks, "
            "Tensor out) -> ()",
            "check_per_token_group_quant_fp8(Tensor x) -> ()",
            "check_per_block_quant_fp8(Tensor x) -> ()",
        });
    implement("CUDA", "fp8_gemm_nt", fp8_gemm_nt);
    implement("CUDA", "fp8_gemm_nt.out", fp8_gemm_nt_out);
    implement("CUDA", "fp8_gemm_nt_with", fp8_gemm_nt_with);
    implement("CUDA", "m_grouped_fp8_gemm_nt", m_grouped_fp8_gemm_nt);
    implement("CUDA", "m_grouped_fp8_gemm_nt.out", m_grouped_fp8_gemm_nt_out);
    implement("CUDA", "m_grouped_fp8_gemm_nt_with", m_grouped_fp8_gemm_nt_with);
    implement("CUDA", "k_grouped_fp8_gemm_nt", k_grouped_fp8_gemm_nt);
    implement("CUDA", "per_token_group_quant_fp8", quant<per_token_group_quant>);
    implement("CUDA", "per_block_quant_fp8", quant<per_block_quant>);
    implement("CompositeExplicitAutograd", "check_fp8_gemm_nt", check_fp8_gemm_nt);
    implement("CompositeExplicitAutograd", "check_m_grouped_fp8_gemm_nt", check_m_grouped_fp8_gemm_nt);
    implement("CompositeExplicitAutograd", "check_k_grouped_fp8_gemm_nt", check_k_grouped_fp8_gemm_nt);
    implement("CompositeExplicitAutograd", "check_per_token_group_quant_fp8",
              check_quantizer<kTokenGroupQuant>);
    implement("CompositeExplicitAutograd", "check_per_block_quant_fp8", check_quantizer<kBlockQuant>);
    register_expert_operators(library);
}

}  // namespace barrow
