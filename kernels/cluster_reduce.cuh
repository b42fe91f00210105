// Sums of CTAs that split K, added up through distributed shared memory. Every CTA owns one slice of columns:
// it is sent the others' sums of it and adds them up in the order of ranks, so that the result has the same
// bits every time, and work and stores are spread.
#pragma once

#include "ptx/mbarrier.cuh"
#include "ptx/sync.cuh"

namespace barrow {

// `slice` = columns of rank `rank`, summed over all CTAs. Called once by every math thread of the cluster,
// with `received` of kCtas * kSums * 4 bytes for each and a barrier of one arrival, both at the same place in
// all CTAs.
template <uint32_t kCtas, uint32_t kGroups, uint32_t kSums>
__device__ __forceinline__ void cluster_reduce(const float (&sum)[kSums], float (&slice)[kSums / kCtas],
                                               uint32_t received, uint32_t landed, uint32_t rank,
                                               uint32_t group, uint32_t thread) {
    constexpr uint32_t kSlice = kSums / kCtas;
    constexpr uint32_t kVectorBytes = 16;  // a thread's four sums, then the next thread's
    constexpr uint32_t kRowBytes = kGroups * kWarpgroup * kVectorBytes;
    const uint32_t mine = received + (group * kWarpgroup + thread) * kVectorBytes;
    if (group == 0 && thread == 0) mbarrier_arrive_expect_bytes(landed, (kCtas - 1) * kSlice / 4 * kRowBytes);
#pragma unroll
    for (uint32_t cta = 0; cta < kCtas; ++cta) {
        if (cta == rank) {
#pragma unroll
            for (uint32_t i = 0; i < kSlice; ++i) slice[i] = sum[cta * kSlice + i];
        } else {
            const uint32_t there = remote_address(mine + rank * (kSlice / 4) * kRowBytes, cta);
            const uint32_t barrier = remote_address(landed, cta);
#pragma unroll
            for (uint32_t i = 0; i < kSlice; i += 4)
                store_remote_vector(there + i / 4 * kRowBytes, barrier, &sum[cta * kSlice + i]);
        }
    }
    mbarrier_wait_cluster(landed, 0);
    float total[kSlice] = {};
#pragma unroll
    for (uint32_t cta = 0; cta < kCtas; ++cta) {
#pragma unroll
        for (uint32_t i = 0; i < kSlice; i += 4) {
            float v[4] = {slice[i], slice[i + 1], slice[i + 2], slice[i + 3]};
            if (cta != rank) load_shared_vector(mine + (cta * (kSlice / 4) + i / 4) * kRowBytes, v);
#pragma unroll
            for (uint32_t j = 0; j < 4; ++j) total[i + j] += v[j];
        }
    }
#pragma unroll
    for (uint32_t i = 0; i < kSlice; ++i) slice[i] = total[i];
}

}  // namespace barrow
