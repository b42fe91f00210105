#include "aux_kernels.h"

#include <cstring>

#include "error.h"

namespace barrow {
namespace {

const AuxKernel& find(const char* symbol) {
    for (size_t i = 0; i < kAuxKernelCount; ++i) {
        if (strcmp(kAuxKernels[i].symbol, symbol) == 0) return kAuxKernels[i];
    }
    fail("barrow: this build has no kernel %s; install a build with kernels", symbol);
}

// The symbol of a kernel that exists once per input dtype.
const AuxKernel& find(const char* const (&symbols)[3], Dtype dtype) {
    return find(symbols[static_cast<int>(dtype)]);
}

}  // namespace

const AuxKernel& pad_rows_kernel() { return find("pad_rows"); }

const AuxKernel& per_token_group_quant_kernel(Dtype x) {
    return find({"per_token_group_quant_bf16", "per_token_group_quant_f16", "per_token_group_quant_f32"}, x);
}

const AuxKernel& per_block_quant_kernel(Dtype x) {
    return find({"per_block_quant_bf16", "per_block_quant_f16", "per_block_quant_f32"}, x);
}

const AuxKernel& moe_sort_kernel(bool wide_ids) { return find(wide_ids ? "moe_sort_i64" : "moe_sort_i32"); }

const AuxKernel& moe_permute_quant_kernel(Dtype x) {
    return find({"moe_permute_quant_bf16", "moe_permute_quant_f16", "moe_permute_quant_f32"}, x);
}

const AuxKernel& silu_mul_quant_kernel() { return find("silu_mul_quant"); }

const AuxKernel& moe_unpermute_kernel() { return find("moe_unpermute"); }

}  // namespace barrow
