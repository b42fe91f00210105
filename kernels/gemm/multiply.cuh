// The math warpgroups: from the ring of stages into float32 sums.
#pragma once

#include "gemm/tile.cuh"

namespace barrow {

// B's scales for one tile, the same for all rows. Each lane of a math warp holds those of one block of K,
// fetched 32 blocks ahead.
class ScalesB {
public:
    __device__ __forceinline__ ScalesB(const GemmParams& params, const Place& place, uint32_t n,
                                       uint32_t k_blocks, uint32_t lane)
        : column_(params.b_scale + n / kScaleBlock * params.b_scale_stride_n +
                  (place.k + lane * kClusterK) * params.b_scale_stride_k),
          stride_(params.b_scale_stride_n),
          // None for the tile of a cluster's CTA that lies beyond N altogether.
          blocks_(n < params.n ? (params.n - n / kScaleBlock * kScaleBlock - 1) / kScaleBlock + 1 : 0),
          step_(kWarp * kClusterK * params.b_scale_stride_k),
          offset_(n % kScaleBlock),
          left_(static_cast<int32_t>(k_blocks - lane)) {
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

    const float* column_;
    int64_t stride_;
    uint32_t blocks_;  // scale blocks of B from this tile on
    int64_t step_;
    uint32_t offset_;
    int32_t left_;
    uint32_t lane_ = 0;  // that holds the next block of K's
    float held_[kBlocksB];
    float fetched_[kBlocksB];
};

// 64 rows of one block of K on their way through the tensor cores: A's scales, and the sum while in flight.
struct Partial {
    float scale_a[2];  // of rows lane / 4 and eight below
    float sum[kSums];
};

// One math warpgroup's walk through the stages of a tile.
struct Multiplier {
    const Shared& shared;
    StageRing ring;
    uint32_t lane;
    uint32_t first_row;  // of this warpgroup
    uint32_t row;        // of this thread's upper accumulators

    __device__ __forceinline__ Multiplier(const Shared& shared, StageRing ring, uint32_t group,
                                          uint32_t thread)
        : shared(shared),
          ring(ring),
          lane(thread % kWarp),
          first_row(group * kWaves * kWgmmaM),
          row(first_row + thread / kWarp * 16 + lane / 4) {}

    __device__ __forceinline__ void wait_full() const {
        mbarrier_wait(shared.full_at(ring.stage), ring.parity);
    }

    // Sends off one wave of the current stage. Scales are read first: once the multiplication is done, the
    // stage may be refilled.
    __device__ __forceinline__ void issue(uint32_t wave, Partial& part) const {
        const uint32_t rows = wave * kWgmmaM;
        const uint32_t scale_a = shared.scale_a + ring.stage * kScaleBytesA + (row + rows) * 4;
        const uint64_t a =
            wgmma_descriptor(shared.a + ring.stage * kTileBytesA + (first_row + rows) * kScaleBlock);
        const uint64_t b = wgmma_descriptor(shared.b + ring.stage * kTileBytesB);
        part.scale_a[0] = load_shared(scale_a);
        part.scale_a[1] = load_shared(scale_a + 8 * 4);
        wgmma_fence();
#pragma unroll
        for (uint32_t step = 0; step < kScaleBlock / kWgmmaK; ++step)
            Wgmma<kBlockN>::issue(part.sum, a + step * kWgmmaDescriptorStep, b + step * kWgmmaDescriptorStep,
                                  step > 0);
        wgmma_commit();
    }

    // Gives a stage back whose multiplications are done.
    __device__ __forceinline__ void release(uint32_t stage) const {
        __syncwarp();  // all lanes have read their scales
        if constexpr (kSharers > 1) {
            if (lane < kSharers) mbarrier_arrive_remote(shared.empty_at(stage), lane);
        } else {
            if (lane == 0) mbarrier_arrive(shared.empty_at(stage));
        }
    }

    static __device__ __forceinline__ void promote(const Partial& part, const float (&scale_b)[kScalesB],
                                                   float (&sum)[kSums]) {
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) {
            const float upper = part.scale_a[0] * scale_b[c], lower = part.scale_a[1] * scale_b[c];
#pragma unroll
            for (uint32_t i = c * kScaleWidth / 2; i < (c + 1) * kScaleWidth / 2; i += 4) {
                sum[i] += upper * part.sum[i];
                sum[i + 1] += upper * part.sum[i + 1];
                sum[i + 2] += lower * part.sum[i + 2];
                sum[i + 3] += lower * part.sum[i + 3];
            }
        }
    }
};

// Multiplies the CTA's blocks of K into `sum`, a partial sum at a time; the other warpgroups fill the gaps.
__device__ __forceinline__ void multiply_in_turn(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                 float (&sum)[kWaves][kSums]) {
    Partial part;
    for (uint32_t i = 0; i < k_blocks; ++i, math.ring.advance()) {
        float scale_b[kScalesB];
        scales.next(scale_b);
        math.wait_full();
#pragma unroll
        for (uint32_t wave = 0; wave < kWaves; ++wave) {
            math.issue(wave, part);
            wgmma_wait<0>();
            if (wave == kWaves - 1) math.release(math.ring.stage);
            math.promote(part, scale_b, sum[wave]);
        }
    }
}

// The same with two partial sums: the tensor cores work on one while the CUDA cores promote the other.
__device__ __forceinline__ void multiply_overlapped(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                    float (&sum)[kSums]) {
    if (k_blocks == 0) return;
    Partial even, odd;
    const auto issue_then_promote = [&](Partial& next, const Partial& previous) {
        const uint32_t previous_stage = math.ring.stage;
        float scale_b[kScalesB];
        scales.next(scale_b);
        math.ring.advance();
        math.wait_full();
        math.issue(0, next);
        wgmma_wait<1>();
        math.release(previous_stage);
        math.promote(previous, scale_b, sum);
    };
    const auto finish = [&](const Partial& last) {
        float scale_b[kScalesB];
        scales.next(scale_b);
        wgmma_wait<0>();
        math.release(math.ring.stage);
        math.promote(last, scale_b, sum);
    };
    math.wait_full();
    math.issue(0, even);
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
