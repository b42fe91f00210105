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

}  // namespace barrow
