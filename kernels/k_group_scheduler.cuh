// The walk of a persistent CTA over the tiles of groups that differ in K: all of one group, then on to the
// next, so that no CTA waits for the others where a group ends.
#pragma once

#include "tile_scheduler.cuh"

namespace barrow {

struct KGroupTile : DenseTile {
    uint32_t group;
};

template <uint32_t kBlockM, uint32_t kBlockN>
class KGroupScheduler : TileScheduler<kBlockM, kBlockN, 1, false> {
    using OfOne = TileScheduler<kBlockM, kBlockN, 1, false>;

public:
    using Tile = KGroupTile;

    __device__ __forceinline__ explicit KGroupScheduler(const KGroupedGemmParams& params)
        : OfOne(params), groups_(params.groups) {}

    // Moves to this CTA's next tile; false when there is none. Every group has the same tiles.
    __device__ __forceinline__ bool next(KGroupTile& tile) {
        while (OfOne::next_ >= OfOne::tiles()) {
            if (++group_ >= groups_) return false;
            OfOne::next_ -= OfOne::tiles();
        }
        OfOne::take(tile);
        tile.group = group_;
        return true;
    }

private:
    uint32_t groups_;
    uint32_t group_ = 0;
};

}  // namespace barrow
