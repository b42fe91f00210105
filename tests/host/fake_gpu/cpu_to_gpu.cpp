// Linked into a program of C++: hands barrow's operators on CPU tensors to the launcher and the fake driver
// below it, since what serves them otherwise is Python.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

namespace {

void launch(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CUDA), stack);
}

}  // namespace

TORCH_LIBRARY_IMPL(barrow, CPU, library) {
    for (const char* name : {"fp8_gemm_nt", "per_token_group_quant_fp8", "moe_sort", "moe_permute_quant",
                             "m_grouped_fp8_gemm_nt", "silu_mul_quant", "moe_unpermute"}) {
        library.impl(name, torch::CppFunction::makeFromBoxedFunction<&launch>());
    }
}
