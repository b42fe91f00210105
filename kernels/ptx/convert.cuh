// Conversions that CUDA C++ has no operator for.
#pragma once

#include "params.h"

namespace barrow {

// Two float32 as two bfloat16 in one word, the first in the lower half, rounded to nearest even.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
    uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

}  // namespace barrow
