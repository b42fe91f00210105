// The walk of a persistent CTA over the tiles of all groups of rows. Every role of a CTA computes the same
// walk, a whole warp at a time: its lanes hold 32 groups.
#pragma once

#include "tile_scheduler.cuh"

namespace barrow {

struct GroupTile {
    uint32_t m;      // first row of A, within its slab
    uint32_t n;      // first column of D
    uint32_t group;  // whose matrix in B
    uint32_t slab;   // of A and D
    uint32_t first;  // rows of D that are the group's: from here
    uint32_t end;    // to here; what of the tile is beyond is empty
    static constexpr bool backward = false;
};

// The bands of a group, whose rows only the GPU knows: there are no factors to divide by. Most groups are one
// band, which takes a division less.
struct Number {
    uint32_t value;
};
struct GroupBands {
    Number tiles;
    Number width;
    uint32_t across;
};
__device__ __forceinline__ uint32_t quotient(uint32_t number, Number by) { return number / by.value; }
__device__ __forceinline__ uint32_t band_of(const GroupBands& bands, uint32_t index) {
    return bands.width.value < bands.across ? quotient(index, bands.tiles) : 0;
}
__device__ __forceinline__ Number width_of(const GroupBands& bands, uint32_t band) {
    return {min(bands.width.value, bands.across - band * bands.width.value)};
}

// The place of the set bit that has `below` others below it.
__device__ __forceinline__ uint32_t place_of_bit(uint32_t bits, uint32_t below) {
    uint32_t place = 0;
#pragma unroll
    for (uint32_t half = kWarp / 2; half > 0; half /= 2) {
        const uint32_t lower = __popc(bits >> place & ((1u << half) - 1));
        if (lower <= below) place += half, below -= lower;
    }
    return place;
}

template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kPartRows, uint32_t kClusterN>
class GroupScheduler {
public:
    using Tile = GroupTile;

    __device__ __forceinline__ explicit GroupScheduler(const GroupedGemmParams& params)
        : params_(params),
          columns_(ceil_div(params.n, kBlockN * kClusterN)),
          turn_(blockIdx.x / kClusterN),
          next_(turn_) {
        read(0);
    }

    // Moves to this CTA's next tile; false when there is none. All lanes of a warp call it together.
    __device__ __forceinline__ bool next(GroupTile& tile) {
        while (true) {
            const uint32_t place = kMixes ? mixed(next_) : next_;
            const uint32_t later = __ballot_sync(kAllLanes, place < tiles_);
            if (later != 0) {
                take(__ffs(later) - 1, place, tile);
                advance();
                return true;
            }
            next_ -= __shfl_sync(kAllLanes, tiles_, kWarp - 1);
            if (after_ >= params_.blocks) return false;
            read(after_);
        }
    }

private:
    static constexpr uint32_t kAllLanes = 0xffffffff;

    // A group of one tile keeps the memory busy longer than the tensor cores, and one of several, which share
    // their columns of B, the tensor cores: side by side they take less time than one after the other. With
    // lower tiles all are up to the memory. Of taller ones the walk goes along N first, and the columns that
    // a row of tiles leaves in L2 for the next would make way for those of other groups.
    static constexpr bool kMixes = kBlockM == 128;

    // A tile's rows begin at a multiple of 4, since the copy engine faults on other coordinates along the
    // inner dimension of the map of A's scales: up to three rows of the group in front are multiplied too,
    // and not stored.
    static __device__ __forceinline__ uint32_t origin(uint32_t first) { return first / 4 * 4; }

    // In every round each cluster takes what the one after it took in the round before. Were it always the
    // same place, some would have full tiles only and others the last, partly empty ones of each group: they
    // would run ahead, and no longer load the columns of B that they share at the same time.
    __device__ __forceinline__ void advance() {
        const uint32_t clusters = gridDim.x / kClusterN;
        next_ += clusters + 1;
        if (++turn_ == clusters) {
            turn_ = 0;
            next_ -= clusters;
        }
    }

    // The tile in `place` of the mix. While there are both, a round has `share_` tiles of groups with
    // several, by turns in front of the others and behind them.
    __device__ __forceinline__ uint32_t mixed(uint32_t place) const {
        const uint32_t clusters = gridDim.x / kClusterN, others = clusters - share_;
        const uint32_t round = place / clusters, in_round = place - round * clusters;
        if (round >= rounds_) {
            const uint32_t taken = rounds_ * share_, after = place - rounds_ * clusters;
            return after < several_ - taken ? taken + after : place;
        }
        const bool in_front = round % 2 == 0;
        const uint32_t index = in_front ? in_round : in_round - others;  // below zero is a large number
        if (index < share_) return round * share_ + index;
        return several_ + round * others + (in_front ? in_round - share_ : in_round);
    }

    // Of the tiles held the one at `place`, which is of the group in `lane`.
    __device__ __forceinline__ void take(uint32_t lane, uint32_t place, GroupTile& tile) const {
        tile.first = __shfl_sync(kAllLanes, first_, lane);
        tile.end = __shfl_sync(kAllLanes, end_, lane);
        tile.group = __shfl_sync(kAllLanes, group_, lane);
        tile.slab = params_.kind == GroupLayout::counts ? tile.group : 0;
        const uint32_t begin = origin(tile.first), rows = ceil_div(tile.end - begin, kBlockM);
        const uint32_t index = place + rows * columns_ - __shfl_sync(kAllLanes, tiles_, lane);
        const uint32_t across = params_.along ? columns_ : rows, onward = params_.along ? rows : columns_;
        const uint32_t width = min(params_.band, across);
        const TilePlace at = tile_place(index, GroupBands{{width * onward}, {width}, across}, params_.along);
        // The last tile does not reach back, as it does where there are no groups: what of a tile is empty is
        // neither loaded nor multiplied. So tiles get about as many parts of their rows each: two of three
        // that have two take less time than a full one and one that is nearly empty.
        const uint32_t parts = ceil_div(tile.end - begin, kPartRows);
        const uint32_t each = kPartRows < kBlockM ? parts / rows : 1, more = parts - each * rows;
        tile.m = begin + (at.row * each + min(at.row, more)) * kPartRows;
        tile.end = min(tile.end, tile.m + (each + (at.row < more)) * kPartRows);
        tile.n = (at.column * kClusterN + blockIdx.x % kClusterN) * kBlockN;
    }

    // Lets every lane have the group of one entry from `base` on, and `tiles_` count the tiles up to its
    // last.
    __device__ __forceinline__ void read(uint32_t base) {
        after_ = base + kWarp;
        const uint32_t lane = threadIdx.x % kWarp, entry = base + lane;
        first_ = end_ = group_ = 0;
        if (params_.kind == GroupLayout::indices)
            read_run(entry, lane);
        else if (entry < params_.blocks)
            read_group(entry);
        tiles_ = first_ < end_ ? ceil_div(end_ - origin(first_), kBlockM) * columns_ : 0;
        const uint32_t several = kMixes ? __ballot_sync(kAllLanes, tiles_ > columns_) : 0;
        if constexpr (kMixes) bring_forward(several, lane);
#pragma unroll
        for (uint32_t step = 1; step < kWarp; step *= 2) {
            const uint32_t before = __shfl_up_sync(kAllLanes, tiles_, step);
            if (lane >= step) tiles_ += before;
        }
        if constexpr (kMixes) share_out(__popc(several));
    }

    // Lets the first lanes have the groups of those in `lanes`.
    __device__ __forceinline__ void bring_forward(uint32_t lanes, uint32_t lane) {
        const uint32_t count = __popc(lanes);
        const uint32_t from = lane < count ? place_of_bit(lanes, lane) : place_of_bit(~lanes, lane - count);
        first_ = __shfl_sync(kAllLanes, first_, from);
        end_ = __shfl_sync(kAllLanes, end_, from);
        group_ = __shfl_sync(kAllLanes, group_, from);
        tiles_ = __shfl_sync(kAllLanes, tiles_, from);
    }

    // How to mix what is held, of which the first `count` groups have several tiles.
    __device__ __forceinline__ void share_out(uint32_t count) {
        const uint32_t clusters = gridDim.x / kClusterN;
        const uint32_t all = __shfl_sync(kAllLanes, tiles_, kWarp - 1);
        const uint32_t several = __shfl_sync(kAllLanes, tiles_, (count - 1) % kWarp);
        several_ = count > 0 ? several : 0;
        rounds_ = 0;
        if (several_ == 0 || several_ == all) return;
        // Even, for neighbours to have tiles beside each other.
        share_ = static_cast<uint32_t>(uint64_t{clusters} * several_ / all) / 2 * 2;
        if (share_ > 0) rounds_ = min(several_ / share_, (all - several_) / (clusters - share_));
    }

    __device__ __forceinline__ void read_group(uint32_t group) {
        group_ = group;
        end_ = rows_up_to(told(group));
        if (params_.kind == GroupLayout::ends && group > 0)
            first_ = ceil_div(rows_up_to(told(group - 1)), params_.alignment) * params_.alignment;
    }

    // One of the caller's numbers, from L2: it may have been written while kernels ran whose CTAs, or others
    // of this launch, have left its old value in an SM's own cache.
    __device__ __forceinline__ int32_t told(int64_t entry) const { return __ldcg(params_.layout + entry); }

    // What the caller's numbers say, within the matrix.
    __device__ __forceinline__ uint32_t rows_up_to(int32_t end) const {
        return static_cast<uint32_t>(min(max(end, 0), static_cast<int32_t>(params_.m)));
    }

    // The group of an entry's first row, -1 for none.
    __device__ __forceinline__ int32_t index_of(uint32_t entry) const {
        if (entry >= params_.blocks) return -1;
        const int32_t index = told(int64_t{entry} * params_.alignment);
        return index < static_cast<int32_t>(params_.groups) ? max(index, -1) : -1;
    }

    // Entries of one group that follow each other are one run, which the first of them takes. The last run
    // goes on beyond the 32: cut in two, it would have two partly empty tiles.
    __device__ __forceinline__ void read_run(uint32_t entry, uint32_t lane) {
        const int32_t index = index_of(entry), last = __shfl_sync(kAllLanes, index, kWarp - 1);
        uint32_t more = kWarp;
        while (last >= 0 && more == kWarp) {
            const uint32_t other = __ballot_sync(kAllLanes, index_of(after_ + lane) != last);
            more = other != 0 ? __ffs(other) - 1 : kWarp;
            after_ += more;
        }
        const int32_t before = __shfl_up_sync(kAllLanes, index, 1);
        const bool starts = lane == 0 || index != before;
        const uint32_t later = __ballot_sync(kAllLanes, starts) & ~((2u << lane) - 1);
        if (!starts || index < 0) return;
        group_ = index;
        first_ = entry * params_.alignment;
        const uint32_t to = later != 0 ? entry - lane + __ffs(later) - 1 : after_;
        end_ = min(min(to, params_.blocks) * params_.alignment, params_.m);
    }

    const GroupedGemmParams& params_;
    uint32_t columns_;
    uint32_t turn_;       // of this cluster in the round
    uint32_t next_;       // of the tiles from the first entry held on
    uint32_t after_;      // the first entry after those held
    uint32_t several_;    // of the tiles held, those of groups that have several
    uint32_t share_ = 0;  // of those, what a round takes
    uint32_t rounds_;     // that do
    // Of this lane's entry.
    uint32_t first_;
    uint32_t end_;
    uint32_t group_;
    uint32_t tiles_;
};

}  // namespace barrow
