#pragma once

#include <torch/csrc/stable/c/shim.h>

namespace barrow {

// Registers the operators around a grouped GEMM for experts.
void register_expert_operators(TorchLibraryHandle library);

}  // namespace barrow
