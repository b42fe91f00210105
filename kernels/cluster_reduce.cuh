// Sums of CTAs that split K, added through distributed shared memory in the order of their ranks, so that the
// result has the same bits every time. Every CTA lays its sums out in its own shared memory; then each adds
// up one slice of columns of all of them, so that the work and the stores are spread as well.
#pragma once

#include "ptx/mbarrier.cuh"
#include "ptx/sync.cuh"

namespace barrow {

// Two barriers: the partial sums of all CTAs are there; all CTAs have read them.
__device__ __forceinline__ void cluster_reduce_init(uint32_t barriers, uint32_t warps) {
    mbarrier_init(barriers, warps);
    mbarrier_init(barriers + 8, warps);
}

template <uint32_t kCtas, uint32_t kGroups, uint32_t kSums>
class ClusterReduce {
    static constexpr uint32_t kSlice = kSums / kCtas;
    static constexpr uint32_t kVectorBytes = 16;  // a thread's four sums, then the next thread's

public:
    __device__ __forceinline__ ClusterReduce(uint32_t partial, uint32_t barriers)
        : partial_(partial), written_(barriers), read_(barriers + 8) {}

    // `slice` = columns of rank `rank`, summed over all CTAs. Called by every math thread of the cluster,
    // tile by tile.
    __device__ __forceinline__ void sum_slice(const float (&sum)[kSums], float (&slice)[kSums / kCtas],
                                              uint32_t rank, uint32_t group, uint32_t thread) {
        const uint32_t mine = partial_ + (group * (kSums / 4) * kWarpgroup + thread) * kVectorBytes;
        // The first wait falls through: nothing has been read before the first tile.
        mbarrier_wait_cluster(read_, parity_ ^ 1);
#pragma unroll
        for (uint32_t i = 0; i < kSums / 4; ++i)
            store_shared_vector(mine + i * kWarpgroup * kVectorBytes, sum[4 * i], sum[4 * i + 1],
                                sum[4 * i + 2], sum[4 * i + 3]);
        arrive_everywhere(written_, thread);
        mbarrier_wait_cluster(written_, parity_);
        const uint32_t first = mine + rank * (kSlice / 4) * kWarpgroup * kVectorBytes;
#pragma unroll
        for (uint32_t i = 0; i < kSlice; ++i) slice[i] = 0.0f;
#pragma unroll
        for (uint32_t cta = 0; cta < kCtas; ++cta) {
            const uint32_t remote = remote_address(first, cta);
#pragma unroll
            for (uint32_t i = 0; i < kSlice / 4; ++i) {
                float v[4];
                load_remote_vector(remote + i * kWarpgroup * kVectorBytes, v);
#pragma unroll
                for (uint32_t j = 0; j < 4; ++j) slice[4 * i + j] += v[j];
            }
        }
        arrive_everywhere(read_, thread);
        parity_ ^= 1;
    }

private:
    static __device__ __forceinline__ void arrive_everywhere(uint32_t barrier, uint32_t thread) {
        __syncwarp();
        if (thread % kWarp < kCtas) mbarrier_arrive_remote_release(barrier, thread % kWarp);
    }

    uint32_t partial_;
    uint32_t written_;
    uint32_t read_;
    uint32_t parity_ = 0;
};

}  // namespace barrow
