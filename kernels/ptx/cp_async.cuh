// Small asynchronous copies that arrive at an mbarrier (PTX ISA, "cp.async").
#pragma once

#include "ptx/mbarrier.cuh"

namespace barrow {

// Copies one float, or writes zero where `valid` is false: `source` is not read then.
__device__ __forceinline__ void cp_async_float(uint32_t smem, const float* source, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(smem), "l"(source), "r"(valid ? 4 : 0)
                 : "memory");
}

// This thread arrives at `barrier` once all its earlier copies have landed; the barrier's count includes it.
__device__ __forceinline__ void cp_async_arrive(uint32_t barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

}  // namespace barrow
