// Sums of CTAs that split K, added up through distributed shared memory. Each of the first kSlices CTAs owns
// one slice of columns: it is sent the others' sums of it and adds them up in the order of ranks, so that the
// result has the same bits every time, and work and stores are spread.
#pragma once

#include "ptx/mbarrier.cuh"
#include "ptx/sync.cuh"

namespace barrow {

// `slice` = columns of rank `rank`, summed over all CTAs; false for a CTA that owns none. Called once by
// every math thread of the cluster, with `received` for the others' slices of this warpgroup's 64 rows and
// the barrier `landed` of one arrival for all kGroups of them, both at the same place in all CTAs.
template <uint32_t kCtas, uint32_t kSlices, uint32_t kGroups, uint32_t kSums>
__device__ __forceinline__ bool cluster_reduce(const float (&sum)[kSums], float (&slice)[kSums / kSlices],
                                               uint32_t received, uint32_t landed, uint32_t rank,
                                               uint32_t group, uint32_t thread) {
    constexpr uint32_t kOwned = kSums / kSlices;
    constexpr uint32_t kVectorBytes = 16;  // a thread's four sums, then the next thread's
    constexpr uint32_t kRowBytes = kWarpgroup * kVectorBytes;
    constexpr uint32_t kSliceBytes = kOwned / 4 * kRowBytes;
    const uint32_t mine = received + thread * kVectorBytes;
    // Where CTA `to` receives the slice of `from`.
    const auto place = [](uint32_t from, uint32_t to) { return (from < to ? from : from - 1) * kSliceBytes; };
    if (rank < kSlices && group == 0 && thread == 0)
        mbarrier_arrive_expect_bytes(landed, (kCtas - 1) * kGroups * kSliceBytes);
#pragma unroll
    for (uint32_t owner = 0; owner < kSlices; ++owner) {
        if (owner == rank) {
#pragma unroll
            for (uint32_t i = 0; i < kOwned; ++i) slice[i] = sum[owner * kOwned + i];
        } else {
            const uint32_t there = remote_address(mine + place(rank, owner), owner);
            const uint32_t barrier = remote_address(landed, owner);
#pragma unroll
            for (uint32_t i = 0; i < kOwned; i += 4)
                store_remote_vector(there + i / 4 * kRowBytes, barrier, &sum[owner * kOwned + i]);
        }
    }
    if (rank >= kSlices) return false;
    mbarrier_wait_cluster(landed, 0);
    float total[kOwned] = {};
#pragma unroll
    for (uint32_t cta = 0; cta < kCtas; ++cta) {
#pragma unroll
        for (uint32_t i = 0; i < kOwned; i += 4) {
            float v[4] = {slice[i], slice[i + 1], slice[i + 2], slice[i + 3]};
            if (cta != rank) load_shared_vector(mine + place(cta, rank) + i / 4 * kRowBytes, v);
#pragma unroll
            for (uint32_t j = 0; j < 4; ++j) total[i + j] += v[j];
        }
    }
#pragma unroll
    for (uint32_t i = 0; i < kOwned; ++i) slice[i] = total[i];
    return true;
}

}  // namespace barrow
