// Small asynchronous copies that arrive at an mbarrier (PTX ISA, "cp.async").
#pragma once

#include "ptx/mbarrier.cuh"

namespace barrow {

// Copies one float, or writes zero where `valid` is false: `source` is not read then.
__device__ __forceinline__ void cp_async_float(float* smem, const float* source, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(smem_address(smem)), "l"(source),
                 "r"(valid ? 4 : 0)
                 : "memory");
}

// This thread arrives at `barrier` once all its earlier copies have landed; the barrier's count includes it.
__device__ __forceinline__ void cp_async_arrive(uint64_t* barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(smem_address(barrier))
                 : "memory");
}

}  // namespace barrow
