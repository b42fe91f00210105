// What a partial sum is multiplied with: the scales of A and B for one block of K.
#pragma once

#include "gemm/tile.cuh"

namespace barrow {

// B's scales for one block of K, where 128 rows share one: of each group of a thread's columns.
struct SharedScales {
    float scale[kScalesB];
};

// And where each row has its own: a pair for two neighbouring columns of a thread. The first ones are read
// while the tensor cores work, so that the promotion begins at once. All would take the registers of a second
// partial sum, so the others are read as they are needed.
class ColumnScales {
public:
    ColumnScales() = default;
    __device__ __forceinline__ explicit ColumnScales(uint32_t smem) : smem_(smem) {
#pragma unroll
        for (uint32_t i = 0; i < kHeld; ++i) read(i, held_[i]);
    }

    __device__ __forceinline__ void load_pair(uint32_t index, float (&scale)[2]) const {
        if (index < kHeld)
            scale[0] = held_[index][0], scale[1] = held_[index][1];
        else
            read(index, scale);
    }

private:
    static constexpr uint32_t kHeld = 4;

    __device__ __forceinline__ void read(uint32_t index, float (&scale)[2]) const {
        load_shared_pair(smem_ + index * 8 * 4, scale[0], scale[1]);
    }

    uint32_t smem_;
    float held_[kHeld][2];
};

// B's scales where one covers 128 rows of B: the same for all rows of a tile. Each lane of a math warp holds
// those of one block of K, fetched 32 blocks ahead.
template <bool kRowScales>
class ScalesBOf {
public:
    using Block = SharedScales;

    __device__ __forceinline__ ScalesBOf(const Shared&, const GemmParams& params, uint32_t rank,
                                         uint32_t k_blocks, uint32_t lane)
        : first_(params.b_scale + (rank + lane * kClusterK) * params.b_scale_stride_k),
          last_(params.b_scale + (int64_t{k_blocks} - 1 - lane) * params.b_scale_stride_k),
          stride_(params.b_scale_stride_n),
          step_(kWarp * kClusterK * params.b_scale_stride_k),
          n_(params.n),
          held_from_(static_cast<int32_t>(k_blocks - lane)) {}

    // Fetches what the tile from column `n` on needs first, of the matrix that begins at `offset`; from the
    // end of K on where that goes `backward`.
    __device__ __forceinline__ void begin(uint32_t n, int64_t offset, bool backward) {
        column_ = (backward ? last_ : first_) + offset + n / kScaleBlock * stride_;
        backward_ = backward;
        // None where a warpgroup's part of the tile lies beyond N.
        blocks_ = n < n_ ? (n_ - n / kScaleBlock * kScaleBlock - 1) / kScaleBlock + 1 : 0;
        offset_ = n % kScaleBlock;
        left_ = held_from_;
        fetch();
    }

    // Moves on to the next 32 blocks of K, and fetches those after them.
    __device__ __forceinline__ void advance() {
#pragma unroll
        for (uint32_t j = 0; j < kBlocksB; ++j) held_[j] = fetched_[j];
        fetch();
    }

    // Those of one of the 32 blocks, which lies in `stage`.
    __device__ __forceinline__ Block of(uint32_t block, uint32_t /*stage*/) const {
        Block result;
        float of_block[kBlocksB];
#pragma unroll
        for (uint32_t j = 0; j < kBlocksB; ++j) of_block[j] = __shfl_sync(0xffffffff, held_[j], block);
        // Chosen, not indexed: an array indexed at run time would live in memory.
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) {
            result.scale[c] = of_block[0];
#pragma unroll
            for (uint32_t j = 1; j < kBlocksB; ++j)
                if (offset_ + c * kScaleWidth >= j * kScaleBlock) result.scale[c] = of_block[j];
        }
        return result;
    }

private:
    __device__ __forceinline__ void fetch() {
        if (left_ > 0) {
#pragma unroll
            for (uint32_t j = 0; j < kBlocksB; ++j)
                if (j < blocks_) fetched_[j] = column_[j * stride_];
        }
        left_ -= kWarp;
        column_ += backward_ ? -step_ : step_;
    }

    const float* first_;  // of this lane's first block of K, and of that counted from the end
    const float* last_;
    int64_t stride_;
    int64_t step_;
    uint32_t n_;
    int32_t held_from_;  // blocks of K from this lane's first on
    const float* column_;
    uint32_t blocks_;  // scale blocks of B from the tile on
    bool backward_;
    uint32_t offset_;
    int32_t left_;
    float held_[kBlocksB];
    float fetched_[kBlocksB];
};

// B's scales where each row of B has its own: they come with the stages.
template <>
class ScalesBOf<true> {
public:
    using Block = ColumnScales;

    __device__ __forceinline__ ScalesBOf(const Shared& shared, const GemmParams&, uint32_t, uint32_t,
                                         uint32_t lane)
        : scale_b_(shared.scale_b + lane % 4 * 2 * 4) {}

    __device__ __forceinline__ void begin(uint32_t, int64_t, bool) {}
    __device__ __forceinline__ void advance() {}

    __device__ __forceinline__ Block of(uint32_t, uint32_t stage) const {
        return Block(scale_b_ + stage * kScaleBytesB);
    }

private:
    uint32_t scale_b_;
};
using ScalesB = ScalesBOf<kRowScalesB>;

// A's scales that a thread needs for one block of K, and what its partial sum is multiplied with: those times
// B's.
enum class Layout { block_scales, row_scales, swapped };

// With A on the rows of wgmma that is a scale for each of two rows.
struct TwoRows {
    float upper, lower;

    static __device__ __forceinline__ TwoRows load(uint32_t address) {
        return {load_shared(address), load_shared(address + 8 * 4)};
    }
};

// Times B's of each group of columns.
template <Layout kLayout>
struct ScalingOf {
    using ScalesA = TwoRows;
    float upper[kScalesB], lower[kScalesB];

    __device__ __forceinline__ ScalingOf(const ScalesA& scale_a, const SharedScales& scale_b) {
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) {
            upper[c] = scale_a.upper * scale_b.scale[c];
            lower[c] = scale_a.lower * scale_b.scale[c];
        }
    }

    __device__ __forceinline__ void promote(const float (&part)[kSums], float (&sum)[kSums]) const {
#pragma unroll
        for (uint32_t i = 0; i < kSums; i += 4) {
            const uint32_t c = i / (kScaleWidth / 2);
            sum[i] += upper[c] * part[i];
            sum[i + 1] += upper[c] * part[i + 1];
            sum[i + 2] += lower[c] * part[i + 2];
            sum[i + 3] += lower[c] * part[i + 3];
        }
    }
};

// Or times B's of each column: products of their own for every accumulator, made as they are needed.
template <>
struct ScalingOf<Layout::row_scales> {
    using ScalesA = TwoRows;
    TwoRows row;
    ColumnScales columns;

    __device__ __forceinline__ ScalingOf(const ScalesA& scale_a, const ColumnScales& scale_b)
        : row(scale_a), columns(scale_b) {}

    __device__ __forceinline__ void promote(const float (&part)[kSums], float (&sum)[kSums]) const {
#pragma unroll
        for (uint32_t i = 0; i < kSums; i += 4) {
            float column[2];
            columns.load_pair(i / 4, column);
#pragma unroll
            for (uint32_t j = 0; j < 4; ++j)
                sum[i + j] += (j < 2 ? row.upper : row.lower) * (column[j % 2] * part[i + j]);
        }
    }
};

// With B on the rows it is a scale of A for each column, times B's only one.
template <>
struct ScalingOf<Layout::swapped> {
    struct ScalesA {
        float column[kSums / 2];

        static __device__ __forceinline__ ScalesA load(uint32_t address) {
            ScalesA scales;
#pragma unroll
            for (uint32_t i = 0; i < kSums / 2; i += 2)
                load_shared_pair(address + i * 4 * 4, scales.column[i], scales.column[i + 1]);
            return scales;
        }
    };
    float column[kSums / 2];

    __device__ __forceinline__ ScalingOf(const ScalesA& scale_a, const SharedScales& scale_b) {
#pragma unroll
        for (uint32_t i = 0; i < kSums / 2; ++i) column[i] = scale_a.column[i] * scale_b.scale[0];
    }

    __device__ __forceinline__ void promote(const float (&part)[kSums], float (&sum)[kSums]) const {
#pragma unroll
        for (uint32_t i = 0; i < kSums; ++i) sum[i] += column[i / 4 * 2 + i % 2] * part[i];
    }
};

using Scaling = ScalingOf<kSwapped      ? Layout::swapped
                          : kRowScalesB ? Layout::row_scales
                                        : Layout::block_scales>;
using ScalesA = Scaling::ScalesA;

}  // namespace barrow
