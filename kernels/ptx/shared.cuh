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

__device__ __forceinline__ void load_shared_pair(uint32_t address, float& first, float& second) {
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(first), "=f"(second) : "r"(address) : "memory");
}

__device__ __forceinline__ void store_shared_pair(uint32_t address, float first, float second) {
    asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(address), "f"(first), "f"(second) : "memory");
}

__device__ __forceinline__ void load_shared_vector(uint32_t address, float (&v)[4]) {
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3])
                 : "r"(address)
                 : "memory");
}

// Four 8 x 16-byte matrices, a row of which each lane addresses: of each it gets four bytes of row lane/4.
__device__ __forceinline__ void load_matrices(uint32_t address, uint32_t (&v)[4]) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                 : "r"(address)
                 : "memory");
}

// Where `address` of this CTA lies in CTA `rank` of the cluster.
__device__ __forceinline__ uint32_t remote_address(uint32_t address, uint32_t rank) {
    uint32_t remote;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(address), "r"(rank));
    return remote;
}

// Sends four floats to another CTA's shared memory, whose `barrier` there counts their bytes when they have
// landed (PTX ISA, "st.async").
__device__ __forceinline__ void store_remote_vector(uint32_t remote, uint32_t barrier, const float* v) {
    asm volatile(
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%2, %3, %4, %5}, [%1];" ::
            "r"(remote),
        "r"(barrier), "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3])
        : "memory");
}

}  // namespace barrow
