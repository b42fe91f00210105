// The walk of a persistent cluster over the output's tiles. Every role of a CTA computes the same walk.
#pragma once

#include "ptx/sync.cuh"

namespace barrow {

struct Tile {
    uint32_t m;  // first row of D of this CTA's tile
    uint32_t n;  // first column
};

// Tiles are visited in bands of kBand rows of tiles, down a band before along it: clusters that run at the
// same time then share rows of A and of B in L2 instead of each reading its own.
template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kClusterM, uint32_t kClusterN, uint32_t kClusterK>
class TileScheduler {
    static constexpr uint32_t kBand = kBandRows / (kBlockM * kClusterM);
    static constexpr uint32_t kCluster = kClusterM * kClusterN * kClusterK;

public:
    __device__ __forceinline__ TileScheduler(uint32_t m, uint32_t n)
        : rows_(ceil_div(m, kBlockM * kClusterM)),
          columns_(ceil_div(n, kBlockN * kClusterN)),
          next_(blockIdx.x / kCluster) {}

    // Moves to this cluster's next tile; false when there is none.
    __device__ __forceinline__ bool next(uint32_t cluster_m, uint32_t cluster_n, Tile& tile) {
        if (next_ >= rows_ * columns_) return false;
        const uint32_t band = next_ / (kBand * columns_);
        const uint32_t in_band = next_ - band * kBand * columns_;
        const uint32_t height = min(kBand, rows_ - band * kBand);
        tile.m = ((band * kBand + in_band % height) * kClusterM + cluster_m) * kBlockM;
        tile.n = (in_band / height * kClusterN + cluster_n) * kBlockN;
        next_ += gridDim.x / kCluster;
        return true;
    }

private:
    static __device__ __forceinline__ uint32_t ceil_div(uint32_t a, uint32_t b) {
        return a / b + (a % b != 0);
    }

    uint32_t rows_;
    uint32_t columns_;
    uint32_t next_;  // 32 bits hold it: a tile has at least 1,024 elements, and D fits in memory
};

// Where a role stands in the ring of stages, and the parity of the barriers' current phase there.
template <uint32_t kStages>
struct Ring {
    uint32_t stage = 0;
    uint32_t parity = 0;

    // Moves on by `steps` stages, at most a whole round.
    __device__ __forceinline__ void advance(uint32_t steps = 1) {
        stage += steps;
        if (stage >= kStages) {
            stage -= kStages;
            parity ^= 1;
        }
    }

    // Moves on by any number of stages.
    __device__ __forceinline__ void skip(uint32_t steps) {
        parity ^= (steps / kStages) & 1;
        advance(steps % kStages);
    }
};

}  // namespace barrow
