// The walk of a persistent cluster over the output's tiles. Every role of a CTA computes the same walk.
#pragma once

#include "ptx/sync.cuh"

namespace barrow {

struct DenseTile {
    uint32_t m;                           // first row of D
    uint32_t n;                           // first column
    uint32_t first;                       // row from which on no tile before this one has been
    static constexpr uint32_t group = 0;  // there is one
    bool backward;                        // whether it goes through K from its end
};

__device__ __forceinline__ uint32_t ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

// A row and a column of tiles.
struct TilePlace {
    uint32_t row;
    uint32_t column;
};

__device__ __forceinline__ uint32_t quotient(uint32_t number, const Divisor& by) {
    // The factor has lost less than one, so this is at most one too small.
    const uint32_t almost = static_cast<uint32_t>(uint64_t{number} * by.reciprocal >> 32);
    return almost + (number - almost * by.value >= by.value);
}

// Which band a tile is in, and how wide that is.
__device__ __forceinline__ uint32_t band_of(const Bands& bands, uint32_t index) {
    return quotient(index, bands.tiles);
}
__device__ __forceinline__ Divisor width_of(const Bands& bands, uint32_t band) {
    return band < bands.whole ? bands.width : bands.last;
}

// Tiles are visited in bands, across a band before on to its next row or column: clusters that run at the
// same time then share rows of A and of B in L2 instead of each reading its own. Neighbours share what is
// across the band, which is merged on its way.
template <typename BandsOfTiles>
__device__ __forceinline__ TilePlace tile_place(uint32_t index, const BandsOfTiles& bands, uint32_t along) {
    const uint32_t band = band_of(bands, index), in_band = index - band * bands.tiles.value;
    const auto width = width_of(bands, band);
    const uint32_t second = quotient(in_band, width);
    const uint32_t first = band * bands.width.value + in_band - second * width.value;
    return along ? TilePlace{second, first} : TilePlace{first, second};
}

// Where the last row of tiles begins. It reaches back into the one before it, which calculates the same bits:
// a partly empty one took longer than a full one. The first row has to be a multiple of 4, since the copy
// engine faults (an illegal instruction) on a coordinate along a map's inner dimension, here A's scales,
// inside 16 bytes.
__device__ __forceinline__ uint32_t last_row(uint32_t rows, uint32_t block) {
    return rows > block ? (rows - block + 3) / 4 * 4 : 0;
}

template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kClusterK, bool kAlternates>
class TileScheduler {
public:
    using Tile = DenseTile;

    __device__ __forceinline__ TileScheduler(const DenseGemmParams& params)
        : params_(params),
          rows_(ceil_div(params.m, kBlockM)),
          columns_(ceil_div(params.n, kBlockN)),
          last_row_(last_row(params.m, kBlockM)),
          next_(blockIdx.x / kClusterK) {}

    // Moves to this cluster's next tile; false when there is none.
    __device__ __forceinline__ bool next(Tile& tile) {
        if (next_ >= tiles()) return false;
        take(tile);
        return true;
    }

protected:
    __device__ __forceinline__ uint32_t tiles() const { return rows_ * columns_; }

    // The tile that next_ counts.
    __device__ __forceinline__ void take(DenseTile& tile) {
        const TilePlace place = tile_place(next_, params_.bands, params_.along);
        tile.first = place.row * kBlockM;
        tile.m = min(tile.first, last_row_);
        tile.n = place.column * kBlockN;
        next_ += gridDim.x / kClusterK;
        // What a round of tiles has read last is what L2 still has, so the next round begins there. Not where
        // the last tile reaches back: rows of both would be summed up in different orders.
        tile.backward =
            kAlternates && round_++ % 2 != 0 && (place.row + 2 < rows_ || rows_ * kBlockM == params_.m);
    }

    const DenseGemmParams& params_;
    uint32_t rows_;
    uint32_t columns_;
    uint32_t last_row_;
    uint32_t round_ = 0;
    uint32_t next_;  // 32 bits hold it: a tile has at least 512 elements, and D fits in memory
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
