// The bulk tensor copy engine: tiles of 2-D and 3-D tensors between global and shared memory (PTX ISA,
// "cp.async.bulk.tensor").
#pragma once

#include "ptx/mbarrier.cuh"

// The driver fills it; the kernel only takes its address (CUDA driver API, "Tensor Map Object Management").
struct alignas(64) CUtensorMap {
    uint64_t opaque[16];
};

namespace barrow {

__device__ __forceinline__ void tma_prefetch_map(const CUtensorMap* map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Loads the box at (column, row) into this CTA; completes on `barrier` by bytes.
__device__ __forceinline__ void tma_load(uint32_t smem, const CUtensorMap* map, uint32_t barrier,
                                         uint32_t column, uint32_t row) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], "
        "[%2];" ::"r"(smem),
        "l"(map), "r"(barrier), "r"(column), "r"(row)
        : "memory");
}

// The same at (column, row, slab) of a 3-D tensor.
__device__ __forceinline__ void tma_load(uint32_t smem, const CUtensorMap* map, uint32_t barrier,
                                         uint32_t column, uint32_t row, uint32_t slab) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, "
        "%5}], [%2];" ::"r"(smem),
        "l"(map), "r"(barrier), "r"(column), "r"(row), "r"(slab)
        : "memory");
}

// The same to this place in each of the cluster's kCtas CTAs, where it completes on their barriers.
template <uint32_t kCtas>
__device__ __forceinline__ void tma_load_to_all(uint32_t smem, const CUtensorMap* map, uint32_t barrier,
                                                uint32_t column, uint32_t row, uint32_t slab) {
    constexpr uint16_t kMask = (1u << kCtas) - 1;
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
        "[%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(smem),
        "l"(map), "r"(barrier), "r"(column), "r"(row), "r"(slab), "h"(kMask)
        : "memory");
}

// Stores a box; what lies outside the tensor is clipped.
__device__ __forceinline__ void tma_store(uint32_t smem, const CUtensorMap* map, uint32_t column,
                                          uint32_t row) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%1, {%2, %3}], [%0];" ::"r"(smem),
                 "l"(map), "r"(column), "r"(row)
                 : "memory");
}

__device__ __forceinline__ void tma_store(uint32_t smem, const CUtensorMap* map, uint32_t column,
                                          uint32_t row, uint32_t slab) {
    asm volatile(
        "cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%1, {%2, %3, %4}], [%0];" ::"r"(smem),
        "l"(map), "r"(column), "r"(row), "r"(slab)
        : "memory");
}

// Adds a box of float32 to what the tensor holds, an addition in memory for each element.
__device__ __forceinline__ void tma_add(uint32_t smem, const CUtensorMap* map, uint32_t column, uint32_t row,
                                        uint32_t slab) {
    asm volatile(
        "cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.tile.bulk_group [%1, {%2, %3, %4}], [%0];" ::
            "r"(smem),
        "l"(map), "r"(column), "r"(row), "r"(slab)
        : "memory");
}

__device__ __forceinline__ void tma_store_commit() {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

// Waits until the committed stores have read shared memory, which may then be written again.
__device__ __forceinline__ void tma_store_wait_read() {
    asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}

// Orders this thread's ordinary accesses to shared memory before the copy engine's.
__device__ __forceinline__ void fence_smem_to_tma() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

}  // namespace barrow
