// B of a CTA's first tile, loaded while the kernels in front still run.
#pragma once

#include "gemm/access.cuh"
#include "gemm/held.cuh"

namespace barrow {

// Loads of B ahead that are on their way at once. An SM's copy engine works through its loads in their order,
// so A waits for all that were asked for before it: up to 3 us where they filled the stages. With few rows
// most often it is A of the kernel in front, whose CTA shares the SM.
constexpr uint32_t kAtOnce = AT_ONCE;

// Blocks of K of a first tile of `k_blocks` whose B is loaded into the stages, where the caller has said that
// the kernels in front do not write it: as many as those have room for beside what math threads hold, or as
// may be on their way where no warp waits for some to ask for more.
__device__ __forceinline__ uint32_t blocks_ahead(const GemmParams& params, uint32_t k_blocks) {
    constexpr uint32_t kMost = kAheadWarp ? kStages : kAtOnce;
    return params.prefetch_b ? min(kMost, k_blocks - held_blocks(params, k_blocks)) : 0;
}

// A thread of that warp: first what is held, then the others.
__device__ __forceinline__ void load_ahead(const Shared& shared, const OperandMap& b_map,
                                           const Params& params, uint32_t rank) {
    Scheduler scheduler(params);
    Tile tile;
    if (!scheduler.next(tile)) return;
    const uint32_t k_blocks = Access::k_blocks(params, tile.group, k_blocks_of(params.k, rank));
    const uint32_t held = held_blocks(params, k_blocks), loads = held + blocks_ahead(params, k_blocks);
    const uint32_t others = full_arrivals(params.a_scale_box_rows == 0) - 1;
    static_assert(kAtOnce <= kStages);  // a held block's stage is free before another is loaded there

    // Where the next load goes, and where the first one on its way.
    StageRing next, first;
    for (uint32_t load = 0; load < loads; ++load, next.advance()) {
        if (load >= kAtOnce) {
            const uint32_t stage = first.stage;
            first.advance();
            if (load - kAtOnce < held) {
                // The math threads have it, so the stage is free again.
                mbarrier_wait(shared.empty_at(stage), 0);
            } else {
                mbarrier_wait(shared.b_full_at(stage), 0);
                mbarrier_arrive(shared.full_at(stage));
            }
        }
        const uint32_t stage = next.stage, full = shared.full_at(stage);
        // Only what another load waits for has to tell this warp that it has landed.
        const bool holds = load < held, last = load + kAtOnce >= loads;
        const uint32_t barrier = holds || last ? full : shared.b_full_at(stage);
        mbarrier_arrive_expect_bytes(barrier, kTileBytesB);
        Access::load_b(shared.b + stage * kTileBytesB, &b_map, barrier,
                       rank + (holds ? k_blocks - held + load : load - held) * kClusterK, tile);
        if (holds) mbarrier_arrive(full, others);  // which do not come with it
    }
}

}  // namespace barrow
