// The walk of a persistent cluster over the output's tiles. Every role of a CTA computes the same walk.
#pragma once

#include "ptx/sync.cuh"

namespace barrow {

struct Tile {
    uint32_t m;  // first row of D
    uint32_t n;  // first column
};

// Tiles are visited in bands of rows of tiles, down a band before along it: clusters that run at the
// same time then share rows of A and of B in L2 instead of each reading its own.
template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kCluster>
class TileScheduler {
public:
    __device__ __forceinline__ TileScheduler(const GemmParams& params)
        : band_(params.band),
          rows_(ceil_div(params.m, kBlockM)),
          columns_(ceil_div(params.n, kBlockN)),
          last_row_(params.m > kBlockM ? (params.m - kBlockM + 3) / 4 * 4 : 0),
          next_(blockIdx.x / kCluster) {}

    // Moves to this cluster's next tile; false when there is none.
    __device__ __forceinline__ bool next(Tile& tile) {
        if (next_ >= rows_ * columns_) return false;
        const uint32_t band = next_ / (band_ * columns_);
        const uint32_t in_band = next_ - band * band_ * columns_;
        const uint32_t height = min(band_, rows_ - band * band_);
        // The last tile reaches back into the one before it, which calculates the same bits: a partly empty
        // one took longer than a full one. The first row has to be a multiple of 4, since the copy engine
        // faults (an illegal instruction) on a coordinate along a map's inner dimension, here A's scales,
        // inside 16 bytes.
        tile.m = min((band * band_ + in_band % height) * kBlockM, last_row_);
        tile.n = in_band / height * kBlockN;
        next_ += gridDim.x / kCluster;
        return true;
    }

private:
    static __device__ __forceinline__ uint32_t ceil_div(uint32_t a, uint32_t b) {
        return a / b + (a % b != 0);
    }

    uint32_t band_;  // rows of tiles
    uint32_t rows_;
    uint32_t columns_;
    uint32_t last_row_;  // where the last row of tiles begins
    uint32_t next_;      // 32 bits hold it: a tile has at least 1,024 elements, and D fits in memory
};

// Where a role stands in the ring of stages, and the parity of the barriers' current phase there.
template <uint32_t kStages>
struct Ring {
    uint32_t stage = 0;
    uint32_t parity = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == kStages) {
            stage = 0;
            parity ^= 1;
        }
    }
};

}  // namespace barrow
