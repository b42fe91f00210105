// The producer warpgroup: tiles and A's scales into the ring of stages.
#pragma once

#include "gemm/tile.cuh"
#include "ptx/cp_async.cuh"
#include "ptx/tma.cuh"

namespace barrow {

// The thread that feeds the copy engine. Each CTA loads its share of a shared tile and multicasts it.
__device__ __forceinline__ void produce_tiles(const Shared& shared, const CUtensorMap& a_map,
                                              const CUtensorMap& b_map, const GemmParams& params,
                                              const Place& place) {
    constexpr uint32_t kShareB = kBlockN / kClusterM;
    const uint32_t share_a = params.a_box_rows;
    const uint32_t stage_bytes = share_a * kClusterN * kScaleBlock + kTileBytesB;
    uint16_t mask_a = 0, mask_b = 0;
    for (uint32_t i = 0; i < kClusterN; ++i) mask_a |= 1u << (place.m + i * kClusterM);
    for (uint32_t i = 0; i < kClusterM; ++i) mask_b |= 1u << (place.n * kClusterM + i);
    const uint32_t k_blocks = k_blocks_of(params.k, place);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(place.m, place.n, tile);) {
        const uint32_t row_a = tile.m + place.n * share_a, row_b = tile.n + place.m * kShareB;
        uint32_t k = place.k * kScaleBlock;
        for (uint32_t i = 0; i < k_blocks; ++i, k += kClusterK * kScaleBlock, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            const uint32_t a = shared.a + ring.stage * kTileBytesA + place.n * share_a * kScaleBlock;
            const uint32_t b = shared.b + ring.stage * kTileBytesB + place.m * kShareB * kScaleBlock;
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, stage_bytes);
            if constexpr (kClusterM > 1)
                tma_load_multicast(b, &b_map, full, k, row_b, mask_b);
            else
                tma_load(b, &b_map, full, k, row_b);
            if constexpr (kClusterN > 1)
                tma_load_multicast(a, &a_map, full, k, row_a, mask_a);
            else
                tma_load(a, &a_map, full, k, row_a);
        }
    }
}

// Brings A's scales through the copy engine; one thread.
__device__ __forceinline__ void produce_scales(const Shared& shared, const CUtensorMap& a_scale_map,
                                               const GemmParams& params, const Place& place) {
    const uint32_t k_blocks = k_blocks_of(params.k, place);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(place.m, place.n, tile);) {
        for (uint32_t i = 0, kb = place.k; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, params.a_scale_box_rows * 4);
            tma_load(shared.scale_a + ring.stage * kScaleBytesA, &a_scale_map, full, tile.m, kb);
        }
    }
}

// Brings A's scales one by one where the copy engine cannot address them; one warp. Rows beyond D get zero.
__device__ __forceinline__ void copy_scales(const Shared& shared, const GemmParams& params,
                                            const Place& place, uint32_t lane) {
    const uint32_t k_blocks = k_blocks_of(params.k, place);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(place.m, place.n, tile);) {
        for (uint32_t i = 0, kb = place.k; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
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
