#include "ops_experts.h"

#include <optional>

#include "checks_experts.h"
#include "experts.h"
#include "registry.h"
#include "tensor.h"

namespace barrow {
namespace {

struct SortTensors {
    explicit SortTensors(const StableIValue* stack)
        : topk_ids(take_tensor(stack[0])),
          num_experts(scalar<int64_t>(stack[1])),
          max_m(take_optional_int(stack[2])) {}

    Tensor topk_ids;
    int64_t num_experts;
    std::optional<int64_t> max_m;
};

void moe_sort_op(StableIValue* stack, uint64_t, uint64_t) {
    const SortTensors args(stack);
    Sorted result = moe_sort(view("topk_ids", args.topk_ids), args.num_experts, args.max_m);
    stack[0] = give_tensor(std::move(result.groups));
    stack[1] = give_tensor(std::move(result.positions));
}

void check_moe_sort_op(StableIValue* stack, uint64_t, uint64_t) {
    const SortTensors args(stack);
    check_moe_sort(view("topk_ids", args.topk_ids), args.num_experts, args.max_m);
}

void moe_permute_quant_op(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]), positions = take_tensor(stack[1]);
    Quantized result = moe_permute_quant(view("x", x), view("positions", positions),
                                         scalar<int64_t>(stack[2]), scalar<bool>(stack[3]));
    stack[0] = give_tensor(std::move(result.q));
    stack[1] = give_tensor(std::move(result.scale));
}

void check_moe_permute_quant_op(StableIValue* stack, uint64_t, uint64_t) {
    const Tensor x = take_tensor(stack[0]), positions = take_tensor(stack[1]);
    check_moe_permute_quant(view("x", x), view("positions", positions), scalar<int64_t>(stack[2]));
}

struct SiluTensors {
    explicit SiluTensors(const StableIValue* stack)
        : x(take_tensor(stack[0])), groups(take_optional_tensor(stack[1])) {
        if (groups != nullptr) groups_view = view("groups", groups);
    }

    const TensorView* groups_or_null() const { return groups == nullptr ? nullptr : &groups_view; }

    Tensor x;
    Tensor groups;
    TensorView groups_view{};
};

void silu_mul_quant_op(StableIValue* stack, uint64_t, uint64_t) {
    const SiluTensors args(stack);
    Quantized result = silu_mul_quant(view("x", args.x), args.groups_or_null(), scalar<bool>(stack[2]));
    stack[0] = give_tensor(std::move(result.q));
    stack[1] = give_tensor(std::move(result.scale));
}

void check_silu_mul_quant_op(StableIValue* stack, uint64_t, uint64_t) {
    const SiluTensors args(stack);
    check_silu_mul_quant(view("x", args.x), args.groups_or_null());
}

struct UnpermuteTensors {
    explicit UnpermuteTensors(const StableIValue* stack)
        : y(take_tensor(stack[0])), positions(take_tensor(stack[1])), weights(take_tensor(stack[2])) {}

    Tensor y;
    Tensor positions;
    Tensor weights;
};

void moe_unpermute_op(StableIValue* stack, uint64_t, uint64_t) {
    const UnpermuteTensors args(stack);
    stack[0] = give_tensor(
        moe_unpermute(view("y", args.y), view("positions", args.positions), view("weights", args.weights)));
}

void check_moe_unpermute_op(StableIValue* stack, uint64_t, uint64_t) {
    const UnpermuteTensors args(stack);
    check_moe_unpermute(view("y", args.y), view("positions", args.positions), view("weights", args.weights));
}

}  // namespace

void register_expert_operators(TorchLibraryHandle library) {
    define(library, {
                        "moe_sort(Tensor topk_ids, int num_experts, SymInt? max_m) -> (Tensor, Tensor)",
                        "moe_permute_quant(Tensor x, Tensor positions, SymInt rows, bool use_ue8m0=False) -> "
                        "(Tensor, Tensor)",
                        "silu_mul_quant(Tensor x, Tensor? groups, bool use_ue8m0=False) -> (Tensor, Tensor)",
                        "moe_unpermute(Tensor y, Tensor positions, Tensor weights) -> Tensor",
                        "check_moe_sort(Tensor topk_ids, int num_experts, SymInt? max_m) -> ()",
                        "check_moe_permute_quant(Tensor x, Tensor positions, SymInt rows) -> ()",
                        "check_silu_mul_quant(Tensor x, Tensor? groups) -> ()",
                        "check_moe_unpermute(Tensor y, Tensor positions, Tensor weights) -> ()",
                    });
    implement("CUDA", "moe_sort", moe_sort_op);
    implement("CUDA", "moe_permute_quant", moe_permute_quant_op);
    implement("CUDA", "silu_mul_quant", silu_mul_quant_op);
    implement("CUDA", "moe_unpermute", moe_unpermute_op);
    implement("CompositeExplicitAutograd", "check_moe_sort", check_moe_sort_op);
    implement("CompositeExplicitAutograd", "check_moe_permute_quant", check_moe_permute_quant_op);
    implement("CompositeExplicitAutograd", "check_silu_mul_quant", check_silu_mul_quant_op);
    implement("CompositeExplicitAutograd", "check_moe_unpermute", check_moe_unpermute_op);
}

}  // namespace barrow
