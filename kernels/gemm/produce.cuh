// The producer: tiles and scales into the ring of stages.
#pragma once

#include "gemm/ahead.cuh"
#include "ptx/cp_async.cuh"

namespace barrow {

struct Maps {
    const OperandMap& a;
    const OperandMap& b;
    const CUtensorMap& a_scale;
    const CUtensorMap& b_scale;
};

// Copies the scales of `kRows` rows from `first` on for one block of K; a warp. Rows beyond the operand get
// zero.
template <uint32_t kRows>
__device__ __forceinline__ void copy_scales(uint32_t smem, const float* block, int64_t stride, uint32_t first,
                                            uint32_t rows, uint32_t lane) {
#pragma unroll 4  // of a taller tile's eight, the row addresses would spill
    for (uint32_t row = lane; row < kRows; row += kWarp) {
        const bool valid = first + row < rows;
        cp_async_float(smem + row * 4, block + (valid ? (first + row) * stride : 0), valid);
    }
}

// One thread that feeds the copy engine, or a warp where it has to copy the scales itself or to walk over
// groups.
template <bool kCopiesScales>
__device__ __forceinline__ void produce(const Shared& shared, const Maps& maps, const Params& params,
                                        uint32_t rank, uint32_t lane) {
    const bool leads = !(kCopiesScales || kGrouped) || lane == 0;
    // Of A and of all scales, which may be written by the kernels in front.
    const uint32_t part_bytes = params.a_box_rows * kScaleBlock;
    uint32_t late_bytes = part_bytes;
    if (!kCopiesScales) late_bytes += (params.a_scale_box_rows + params.b_scale_box_rows) * 4;
    const uint32_t all_blocks = k_blocks_of(params.k, rank);
    const auto load_b = [&](uint32_t stage, uint32_t kb, const Tile& tile) {
        Access::load_b(shared.b + stage * kTileBytesB, &maps.b, shared.full_at(stage), kb, tile);
    };

    Scheduler scheduler(params);
    Tile tile;
    if (!scheduler.next(tile)) {
        // PTX lets a launch without tiles be done before those in front, for which the next one then waits no
        // more. An H100 does not: no test can tell.
        wait_for_predecessors();
        return;
    }
    uint32_t k_blocks = Access::k_blocks(params, tile.group, all_blocks);
    // Blocks of K that need B beside A: math threads hold those of the others, which have come through the
    // first stages.
    const uint32_t held = held_blocks(params, k_blocks);
    uint32_t with_b = k_blocks - held, ahead = blocks_ahead(params, k_blocks);
    StageRing ring{held % kStages, held / kStages};
    if constexpr (!kAheadWarp) {
        // At once: with many rows they are soon through, and a warp that waits for some took longer.
        for (uint32_t block = 0; leads && block < ahead; ++block) {
            mbarrier_expect_bytes(shared.full_at(block), kTileBytesB);
            load_b(block, rank + block * kClusterK, tile);
        }
    }
    wait_for_predecessors();

    while (true) {
        const uint32_t parts = Access::parts_a(tile), more_parts = (parts - 1) * part_bytes;
        for (uint32_t block = 0; block < k_blocks; ++block, ring.advance()) {
            const uint32_t stage = ring.stage, full = shared.full_at(stage);
            const uint32_t kb = k_block_of(tile.backward, k_blocks, rank, block);
            const uint32_t scale_a = shared.scale_a + stage * kScaleBytesA;
            const uint32_t scale_b = shared.scale_b + stage * kScaleBytesB;
            const uint32_t scale_block = Access::scale_block(params, tile.group, kb);
            mbarrier_wait(shared.empty_at(stage), ring.parity ^ 1);
            if (leads) {
                Access::load_a(shared.a + stage * kTileBytesA, &maps.a, full, kb, tile, parts);
                if constexpr (!kCopiesScales) {
                    Access::load_scale_a(scale_a, &maps.a_scale, full, scale_block, tile);
                    if constexpr (kRowScalesB) tma_load(scale_b, &maps.b_scale, full, tile.n, scale_block);
                }
                const bool loads_b = block >= ahead && block < with_b;
                if (loads_b) load_b(stage, kb, tile);
                if (kAheadWarp && block >= ahead) mbarrier_arrive(full);
                mbarrier_arrive_expect_bytes(full, late_bytes + more_parts + (loads_b ? kTileBytesB : 0));
            }
            if constexpr (kCopiesScales) {
                copy_scales<kBlockM>(scale_a,
                                     Access::scale_a(params, tile) + scale_block * params.a_scale_stride_k,
                                     params.a_scale_stride_m, tile.m, params.m, lane);
                if constexpr (kRowScalesB)
                    copy_scales<kBlockN>(scale_b, params.b_scale + scale_block * params.b_scale_stride_k,
                                         params.b_scale_stride_n, tile.n, params.n, lane);
                cp_async_arrive(full);
            }
        }
        if (!scheduler.next(tile)) return;
        k_blocks = with_b = Access::k_blocks(params, tile.group, all_blocks);
        ahead = 0;
    }
}

}  // namespace barrow
