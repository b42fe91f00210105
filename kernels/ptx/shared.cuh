// Shared memory by its 32-bit address, as PTX takes it.
#pragma once

#include "params.h"

namespace barrow {

// The 32-bit shared-memory address that PTX wants. Volatile, or the compiler derives it anew at every use,
// from a special register that takes tens of cycles to read.
__device__ __forceinline__ uint32_t smem_address(const void* pointer) {
    uint32_t address;
    asm volatile(
        "{\n"
        ".reg .u64 shared_pointer;\n"
        "cvta.to.shared.u64 shared_pointer, %1;\n"
        "cvt.u32.u64 %0, shared_pointer;\n"
        "}"
        : "=r"(address)
        : "l"(pointer));
    return address;
}

__device__ __forceinline__ float load_shared(uint32_t address) {
    float value;
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(address) : "memory");
    return value;
}

__device__ __forceinline__ void store_shared(uint32_t address, float value) {
    asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(value) : "memory");
}

}  // namespace barrow
