// The producer warpgroup: tiles and A's scales into the ring of stages.
#pragma once

#include "gemm/tile.cuh"
#include "ptx/cp_async.cuh"
#include "ptx/tma.cuh"

namespace barrow {

// The thread that loads B. It waits for nobody: a kernel is launched to overlap the ones in front only where
// they do not write B, and its first stages are then full of B when they end.
__device__ __forceinline__ void produce_b(const Shared& shared, const CUtensorMap& b_map,
                                          const GemmParams& params, uint32_t rank) {
    const uint32_t k_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    StageRing ring;
    for (Tile tile; scheduler.next(tile);) {
        uint32_t k = rank * kScaleBlock;
        for (uint32_t i = 0; i < k_blocks; ++i, k += kClusterK * kScaleBlock, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, kTileBytesB);
            tma_load(shared.b + ring.stage * kTileBytesB, &b_map, full, k, tile.n);
        }
    }
}

// The thread that loads A and its scales.
__device__ __forceinline__ void produce_a(const Shared& shared, const CUtensorMap& a_map,
                                          const CUtensorMap& a_scale_map, const GemmParams& params,
                                          uint32_t rank) {
    const uint32_t bytes = params.a_box_rows * kScaleBlock + params.a_scale_box_rows * 4;
    const uint32_t k_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    StageRing ring;
    wait_for_predecessors();
    for (Tile tile; scheduler.next(tile);) {
        for (uint32_t i = 0, kb = rank; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, bytes);
            tma_load(shared.a + ring.stage * kTileBytesA, &a_map, full, kb * kScaleBlock, tile.m);
            tma_load(shared.scale_a + ring.stage * kScaleBytesA, &a_scale_map, full, tile.m, kb);
        }
    }
}

// The warp that does both where the copy engine cannot address A's scales, which it copies one by one. Rows
// beyond D get zero.
__device__ __forceinline__ void produce_a_copying_scales(const Shared& shared, const CUtensorMap& a_map,
                                                         const GemmParams& params, uint32_t rank,
                                                         uint32_t lane) {
    const uint32_t k_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    StageRing ring;
    wait_for_predecessors();
    for (Tile tile; scheduler.next(tile);) {
        for (uint32_t i = 0, kb = rank; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            const float* column = params.a_scale + kb * params.a_scale_stride_k;
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            if (lane == 0) {
                mbarrier_arrive_expect_bytes(full, params.a_box_rows * kScaleBlock);
                tma_load(shared.a + ring.stage * kTileBytesA, &a_map, full, kb * kScaleBlock, tile.m);
            }
#pragma unroll 4  // of a taller tile's eight, the row addresses would spill
            for (uint32_t row = lane; row < kBlockM; row += kWarp) {
                const bool valid = tile.m + row < params.m;
                const int64_t offset = valid ? (tile.m + row) * params.a_scale_stride_m : 0;
                cp_async_float(shared.scale_a + ring.stage * kScaleBytesA + row * 4, column + offset, valid);
            }
            cp_async_arrive(full);
        }
    }
}

}  // namespace barrow
