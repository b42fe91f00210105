// The math warpgroups: from the ring of stages into float32 sums.
#pragma once

#include "gemm/tile.cuh"

namespace barrow {

// B's scales for one tile, the same for all rows. Each lane of a math warp holds those of one block of K,
// fetched 32 blocks ahead.
class ScalesB {
public:
    __device__ __forceinline__ ScalesB(const GemmParams& params, uint32_t rank, uint32_t k_blocks,
                                       uint32_t lane)
        : first_(params.b_scale + (rank + lane * kClusterK) * params.b_scale_stride_k),
          stride_(params.b_scale_stride_n),
          step_(kWarp * kClusterK * params.b_scale_stride_k),
          n_(params.n),
          held_from_(static_cast<int32_t>(k_blocks - lane)) {}

    // Fetches what the tile from column `n` on needs first.
    __device__ __forceinline__ void begin(uint32_t n) {
        column_ = first_ + n / kScaleBlock * stride_;
        // None where a warpgroup's part of the tile lies beyond N.
        blocks_ = n < n_ ? (n_ - n / kScaleBlock * kScaleBlock - 1) / kScaleBlock + 1 : 0;
        offset_ = n % kScaleBlock;
        left_ = held_from_;
        lane_ = 0;
        fetch();
    }

    // To be called for one block of K after the other.
    __device__ __forceinline__ void next(float (&scale)[kScalesB]) {
        if (lane_ == 0) {
#pragma unroll
            for (uint32_t j = 0; j < kBlocksB; ++j) held_[j] = fetched_[j];
            fetch();
        }
        float of_block[kBlocksB];
#pragma unroll
        for (uint32_t j = 0; j < kBlocksB; ++j) of_block[j] = __shfl_sync(0xffffffff, held_[j], lane_);
        // Chosen, not indexed: an array indexed at run time would live in memory.
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) {
            scale[c] = of_block[0];
#pragma unroll
            for (uint32_t j = 1; j < kBlocksB; ++j)
                if (offset_ + c * kScaleWidth >= j * kScaleBlock) scale[c] = of_block[j];
        }
        lane_ = (lane_ + 1) % kWarp;
    }

private:
    __device__ __forceinline__ void fetch() {
        if (left_ > 0) {
#pragma unroll
            for (uint32_t j = 0; j < kBlocksB; ++j)
                if (j < blocks_) fetched_[j] = column_[j * stride_];
        }
        left_ -= kWarp;
        column_ += step_;
    }

    const float* first_;
    int64_t stride_;
    int64_t step_;
    uint32_t n_;
    int32_t held_from_;  // blocks of K from this lane's first on
    const float* column_;
    uint32_t blocks_;  // scale blocks of B from the tile on
    uint32_t offset_;
    int32_t left_;
    uint32_t lane_;  // that holds the next block of K's
    float held_[kBlocksB];
    float fetched_[kBlocksB];
};

// One math warpgroup's walk through the stages of a tile.
struct Multiplier {
    const Shared& shared;
    StageRing ring;
    uint32_t lane;
    uint32_t first_row;  // of this warpgroup's 64, on A or, swapped, on B
    uint32_t rows;       // address of those rows in stage 0, and of the other operand
    uint32_t columns;
    uint32_t scale_a;  // address of the scale of A for this thread's first accumulator in stage 0
    // Whether every lane arrives at a stage's barrier, or one for its warp.
    bool every_lane;
    bool full = false;  // the current stage has been seen full

    __device__ __forceinline__ Multiplier(const Shared& shared, bool every_lane, uint32_t group,
                                          uint32_t thread)
        : shared(shared),
          lane(thread % kWarp),
          first_row(group * kWaves * kWgmmaM),
          rows((kSwapped ? shared.b : shared.a) + first_row * kScaleBlock),
          columns(kSwapped ? shared.a : shared.b),
          scale_a(shared.scale_a +
                  (kSwapped ? lane % 4 * 2 : first_row + thread / kWarp * 16 + lane / 4) * 4),
          every_lane(every_lane) {}

    __device__ __forceinline__ void wait_full() const {
        if (!full) mbarrier_wait(shared.full_at(ring.stage), ring.parity);
    }

    // Moves on, with a look at whether the stage is full: while the tensor cores work it costs nothing.
    __device__ __forceinline__ void advance() {
        ring.advance();
        full = mbarrier_done(shared.full_at(ring.stage), ring.parity);
    }

    // Sends off one wave of the current stage.
    __device__ __forceinline__ void issue(uint32_t wave, float (&sum)[kSums]) const {
        constexpr uint32_t kRowBytes = kSwapped ? kTileBytesB : kTileBytesA;
        constexpr uint32_t kColumnBytes = kSwapped ? kTileBytesA : kTileBytesB;
        // Added to a descriptor and not to an address: what is left to do between two multiplications counts.
        const uint64_t a =
            wgmma_descriptor(rows + wave * kWgmmaM * kScaleBlock) + ring.stage * (kRowBytes >> 4);
        const uint64_t b = wgmma_descriptor(columns) + ring.stage * (kColumnBytes >> 4);
        wgmma_fence();
#pragma unroll
        for (uint32_t step = 0; step < kScaleBlock / kWgmmaK; ++step)
            Wgmma<kWgmmaN>::issue(sum, a + step * kWgmmaDescriptorStep, b + step * kWgmmaDescriptorStep,
                                  step > 0);
        wgmma_commit();
    }

    // Gives a stage back whose multiplications are done and whose scales have been read.
    __device__ __forceinline__ void release(uint32_t stage) const {
        __syncwarp();
        if (every_lane || lane == 0) mbarrier_arrive(shared.empty_at(stage));
    }
};

// A's scales that a thread needs for one block of K, and what its partial sum is multiplied with: those times
// B's. With A on the rows that is a scale for each of two rows, times B's of each group of columns.
template <bool kSwap>
struct ScalingOf {
    struct ScalesA {
        float upper, lower;
    };
    float upper[kScalesB], lower[kScalesB];

    static __device__ __forceinline__ ScalesA load(uint32_t address) {
        return {load_shared(address), load_shared(address + 8 * 4)};
    }

    __device__ __forceinline__ ScalingOf(const ScalesA& scale_a, const float (&scale_b)[kScalesB]) {
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) {
            upper[c] = scale_a.upper * scale_b[c];
            lower[c] = scale_a.lower * scale_b[c];
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

// With B on the rows it is a scale for each column, times B's only one.
template <>
struct ScalingOf<true> {
    struct ScalesA {
        float column[kSums / 2];
    };
    float column[kSums / 2];

    static __device__ __forceinline__ ScalesA load(uint32_t address) {
        ScalesA scales;
#pragma unroll
        for (uint32_t i = 0; i < kSums / 2; i += 2)
            load_shared_pair(address + i * 4 * 4, scales.column[i], scales.column[i + 1]);
        return scales;
    }

    __device__ __forceinline__ ScalingOf(const ScalesA& scale_a, const float (&scale_b)[kScalesB]) {
#pragma unroll
        for (uint32_t i = 0; i < kSums / 2; ++i) column[i] = scale_a.column[i] * scale_b[0];
    }

    __device__ __forceinline__ void promote(const float (&part)[kSums], float (&sum)[kSums]) const {
#pragma unroll
        for (uint32_t i = 0; i < kSums; ++i) sum[i] += column[i / 4 * 2 + i % 2] * part[i];
    }
};
using Scaling = ScalingOf<kSwapped>;

// Multiplies a tile's blocks of K into `sum`, a partial sum at a time. While a warpgroup promotes, the tensor
// cores have only the other one's work, which lasts no longer: so all that can be is done before the wait,
// and the loop is unrolled for the next block's addresses to be there in time.
__device__ __forceinline__ void multiply_in_turn(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                 float (&sum)[kWaves][kSums]) {
    float part[kSums];
#pragma unroll 8
    for (uint32_t i = 0; i < k_blocks; ++i) {
        float scale_b[kScalesB];
        math.wait_full();
        const uint32_t stage = math.ring.stage;
        Scaling::ScalesA scale_a[kWaves];
#pragma unroll
        for (uint32_t wave = 0; wave < kWaves; ++wave)
            scale_a[wave] = Scaling::load(math.scale_a + stage * kScaleBytesA + wave * kWgmmaM * 4);
#pragma unroll
        for (uint32_t wave = 0; wave < kWaves; ++wave) {
            math.issue(wave, part);
            if (wave == 0) scales.next(scale_b);
            const Scaling scaling(scale_a[wave], scale_b);
            if (wave == kWaves - 1) math.advance();
            wgmma_wait<0>();
            if (wave == kWaves - 1) math.release(stage);
            scaling.promote(part, sum[wave]);
        }
    }
}

// A partial sum in flight, and A's scales for it.
struct Partial {
    Scaling::ScalesA scale_a;
    float sum[kSums];
};

// The same with two partial sums: the tensor cores work on one while the CUDA cores promote the other.
__device__ __forceinline__ void multiply_overlapped(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                    float (&sum)[kSums]) {
    if (k_blocks == 0) return;
    Partial even, odd;
    const auto issue = [&](Partial& part) {
        mbarrier_wait(math.shared.full_at(math.ring.stage), math.ring.parity);
        math.issue(0, part.sum);
        // Now, to have them when the sum is there.
        part.scale_a = Scaling::load(math.scale_a + math.ring.stage * kScaleBytesA);
    };
    const auto issue_then_promote = [&](Partial& next, const Partial& previous) {
        const uint32_t stage = math.ring.stage;
        float scale_b[kScalesB];
        scales.next(scale_b);
        math.ring.advance();
        issue(next);
        const Scaling scaling(previous.scale_a, scale_b);
        wgmma_wait<1>();
        math.release(stage);
        scaling.promote(previous.sum, sum);
    };
    const auto finish = [&](const Partial& last) {
        float scale_b[kScalesB];
        scales.next(scale_b);
        const Scaling scaling(last.scale_a, scale_b);
        wgmma_wait<0>();
        math.release(math.ring.stage);
        math.ring.advance();
        scaling.promote(last.sum, sum);
    };
    issue(even);
    uint32_t i = 1;
    // Unrolled by hand over the two partial sums: a register array cannot be indexed at run time.
    for (; i + 1 < k_blocks; i += 2) {
        issue_then_promote(odd, even);
        issue_then_promote(even, odd);
    }
    // Each end waits for itself: a joint wait makes ptxas serialise every multiplication (its note C7514).
    if (i < k_blocks) {
        issue_then_promote(odd, even);
        finish(odd);
    } else {
        finish(even);
    }
}

}  // namespace barrow
