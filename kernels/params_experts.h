// What the launcher hands to the kernels around a grouped GEMM for experts, and the geometry of their
// launches.
#pragma once

#include "params.h"

namespace barrow {

// One thread per expert adds up where its rows begin.
constexpr uint32_t kSortMaxExperts = 1024;

}  // namespace barrow
