// Tiles of groups differ, in rows and so in time. So a cluster begins with the tile of its own number, and
// asks for another one while it multiplies: a warp counts in memory and tells the others, in both CTAs of a
// pair.
#pragma once

#include "gemm/tile.cuh"

namespace barrow {

// What a launch counts. Zero before, and again after it.
struct Deal {
    uint32_t dealt;  // tiles, but for each cluster's first
    uint32_t done;   // clusters that will ask no more
};

// One for each launch that may run at once.
template <bool kUsed>
__device__ Deal deals[kUsed ? kDeals : 1];

constexpr uint32_t kNoTile = 0xffffffff;

// The tiles of this CTA's cluster, one after the other, as every warp that walks over them sees them.
template <Groups kOf>
class TilesOf {
public:
    __device__ __forceinline__ TilesOf(const Params& params, const Shared&, bool) : scheduler_(params) {}
    __device__ __forceinline__ bool next(Tile& tile) { return scheduler_.next(tile); }
    static __device__ __forceinline__ void deal(const Shared&, const Params&) {}

private:
    typename WalkOf<kOf>::Scheduler scheduler_;
};

template <>
class TilesOf<Groups::rows> {
public:
    // `arms` in one warp of each CTA, which lets the next number in.
    __device__ __forceinline__ TilesOf(const GroupedGemmParams& params, const Shared& shared, bool arms)
        : scheduler_(params),
          shared_(shared),
          dealt_(kDealt && params.deal != kNoDeal),
          arms_(arms),
          index_(blockIdx.x / kClusterN) {
        if (dealt_ && arms_) arm();
    }

    // Moves to the next tile; false when there is none. All lanes of a warp call it together.
    __device__ __forceinline__ bool next(GroupTile& tile) {
        if (begun_) index_ = dealt_ ? told() : index_ + gridDim.x / kClusterN;
        begun_ = true;
        return index_ != kNoTile && scheduler_.find(index_, tile);
    }

    // Asks for the cluster's tiles, one ahead, and tells all its CTAs; a warp of the first of them.
    static __device__ __forceinline__ void deal(const Shared& shared, const GroupedGemmParams& params) {
        if (params.deal == kNoDeal || (kClusterN > 1 && cluster_rank() != 0)) return;
        const uint32_t clusters = gridDim.x / kClusterN;
        Deal& count = deals<kDealt>[params.deal];
        Walk scheduler(params);
        GroupTile tile;
        uint32_t parity = 0;
        for (bool more = scheduler.find(blockIdx.x / kClusterN, tile); more; parity ^= 1) {
            const uint32_t number = leads() ? clusters + atomicAdd(&count.dealt, 1) : 0;
            const uint32_t index = __shfl_sync(0xffffffff, number, 0);
            more = scheduler.find(index, tile);
            if (leads()) tell(shared, more ? index : kNoTile);
            if (more) wait(shared.told, parity);
        }
        // Whoever is last leaves the count as it was found.
        if (leads() && atomicAdd(&count.done, 1) == clusters - 1) {
            count.dealt = 0;
            count.done = 0;
        }
    }

private:
    using Walk = WalkOf<Groups::rows>::Scheduler;

    static __device__ __forceinline__ bool leads() { return threadIdx.x % kWarp == 0; }

    static __device__ __forceinline__ void wait(uint32_t barrier, uint32_t parity) {
        if constexpr (kClusterN > 1)
            mbarrier_wait_cluster(barrier, parity);
        else
            mbarrier_wait(barrier, parity);
    }

    static __device__ __forceinline__ void tell(const Shared& shared, uint32_t index) {
        if constexpr (kClusterN > 1) {
            for (uint32_t cta = 0; cta < kClusterN; ++cta)
                store_remote_word(remote_address(shared.number, cta), remote_address(shared.dealt, cta),
                                  index);
        } else {
            store_shared_word(shared.number, index);
            mbarrier_arrive(shared.dealt);
        }
    }

    // What another CTA sends is counted in bytes, which have to be announced.
    __device__ __forceinline__ void arm() const {
        if (kClusterN > 1 && leads()) mbarrier_arrive_expect_bytes(shared_.dealt, sizeof(uint32_t));
    }

    __device__ __forceinline__ uint32_t told() {
        wait(shared_.dealt, parity_);
        parity_ ^= 1;
        // One lane reads it and hands it on, so that it has been read when that lane says so.
        const uint32_t number = leads() ? load_shared_word(shared_.number) : 0;
        const uint32_t index = __shfl_sync(0xffffffff, number, 0);
        if (arms_) arm();
        if (leads()) {
            if constexpr (kClusterN > 1)
                mbarrier_arrive_remote(remote_address(shared_.told, 0));
            else
                mbarrier_arrive(shared_.told);
        }
        return index;
    }

    Walk scheduler_;
    const Shared& shared_;
    bool dealt_;
    bool arms_;
    bool begun_ = false;
    uint32_t parity_ = 0;
    uint32_t index_;
};
using Tiles = TilesOf<kGroups>;

}  // namespace barrow
