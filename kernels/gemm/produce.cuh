// The producer warpgroup: tiles and A's scales into the ring of stages.
#pragma once

#include "gemm/tile.cuh"
#include "ptx/cp_async.cuh"
#include "ptx/tma.cuh"

namespace barrow {

// The thread that feeds the copy engine.
__device__ __forceinline__ void produce_tiles(const Shared& shared, const CUtensorMap& a_map,
                                              const CUtensorMap& b_map, const GemmParams& params,
                                              uint32_t rank) {
    const uint32_t stage_bytes = params.a_box_rows * kScaleBlock + kTileBytesB;
    const uint32_t k_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    StageRing ring;
    for (Tile tile; scheduler.next(tile);) {
        uint32_t k = rank * kScaleBlock;
        for (uint32_t i = 0; i < k_blocks; ++i, k += kClusterK * kScaleBlock, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, stage_bytes);
            tma_load(shared.b + ring.stage * kTileBytesB, &b_map, full, k, tile.n);
            tma_load(shared.a + ring.stage * kTileBytesA, &a_map, full, k, tile.m);
        }
    }
}

// Brings A's scales through the copy engine; one thread.
__device__ __forceinline__ void produce_scales(const Shared& shared, const CUtensorMap& a_scale_map,
                                               const GemmParams& params, uint32_t rank) {
    const uint32_t k_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    StageRing ring;
    for (Tile tile; scheduler.next(tile);) {
        for (uint32_t i = 0, kb = rank; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, params.a_scale_box_rows * 4);
            tma_load(shared.scale_a + ring.stage * kScaleBytesA, &a_scale_map, full, tile.m, kb);
        }
    }
}

// Brings A's scales one by one where the copy engine cannot address them; one warp. Rows beyond D get zero.
__device__ __forceinline__ void copy_scales(const Shared& shared, const GemmParams& params, uint32_t rank,
                                            uint32_t lane) {
    const uint32_t k_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    StageRing ring;
    for (Tile tile; scheduler.next(tile);) {
        for (uint32_t i = 0, kb = rank; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
            const float* column = params.a_scale + kb * params.a_scale_stride_k;
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
#pragma unroll 4  // of a taller tile's eight, the row addresses would spill
            for (uint32_t row = lane; row < kBlockM; row += kWarp) {
                const bool valid = tile.m + row < params.m;
                const int64_t offset = valid ? (tile.m + row) * params.a_scale_stride_m : 0;
                cp_async_float(shared.scale_a + ring.stage * kScaleBytesA + row * 4, column + offset, valid);
            }
            cp_async_arrive(shared.full_at(ring.stage));
        }
    }
}

}  // namespace barrow
