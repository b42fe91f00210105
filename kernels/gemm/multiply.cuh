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
        blocks_ = (n_ - n / kScaleBlock * kScaleBlock - 1) / kScaleBlock + 1;
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

// What a partial sum is multiplied with: A's scale times B's.
struct Factors {
    float upper[kScalesB], lower[kScalesB];

    __device__ __forceinline__ Factors(const float (&scale_a)[2], const float (&scale_b)[kScalesB]) {
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) {
            upper[c] = scale_a[0] * scale_b[c];
            lower[c] = scale_a[1] * scale_b[c];
        }
    }
};

__device__ __forceinline__ void promote(const float (&part)[kSums], const Factors& factors,
                                        float (&sum)[kSums]) {
#pragma unroll
    for (uint32_t i = 0; i < kSums; i += 4) {
        const uint32_t c = i / (kScaleWidth / 2);
        sum[i] += factors.upper[c] * part[i];
        sum[i + 1] += factors.upper[c] * part[i + 1];
        sum[i + 2] += factors.lower[c] * part[i + 2];
        sum[i + 3] += factors.lower[c] * part[i + 3];
    }
}

// One math warpgroup's walk through the stages of a tile.
struct Multiplier {
    const Shared& shared;
    StageRing ring;
    uint32_t lane;
    uint32_t first_row;  // of this warpgroup
    uint32_t a, b;       // descriptors of its rows of A and of B in stage 0
    uint32_t scale_a;    // address of the scale of this thread's upper accumulators in stage 0
    // Whether every lane arrives at a stage's barrier, or one for its warp.
    bool every_lane;
    bool full = false;  // the current stage has been seen full

    __device__ __forceinline__ Multiplier(const Shared& shared, bool every_lane, uint32_t group,
                                          uint32_t thread)
        : shared(shared),
          lane(thread % kWarp),
          first_row(group * kWaves * kWgmmaM),
          a(wgmma_descriptor(shared.a + first_row * kScaleBlock)),
          b(wgmma_descriptor(shared.b)),
          scale_a(shared.scale_a + (first_row + thread / kWarp * 16 + lane / 4) * 4),
          every_lane(every_lane) {}

    __device__ __forceinline__ void wait_full() const {
        if (!full) mbarrier_wait(shared.full_at(ring.stage), ring.parity);
    }

    // Moves on, with a look at whether the stage is full: while the tensor cores work it costs nothing.
    __device__ __forceinline__ void advance() {
        ring.advance();
        full = mbarrier_done(shared.full_at(ring.stage), ring.parity);
    }

    __device__ __forceinline__ void load_scales(uint32_t wave, float (&scale)[2]) const {
        const uint32_t address = scale_a + ring.stage * kScaleBytesA + wave * kWgmmaM * 4;
        scale[0] = load_shared(address);
        scale[1] = load_shared(address + 8 * 4);
    }

    // Sends off one wave of the current stage.
    __device__ __forceinline__ void issue(uint32_t wave, float (&sum)[kSums]) const {
        const uint32_t a_wave = a + ring.stage * wgmma_descriptor_step(kTileBytesA) +
                                wgmma_descriptor_step(wave * kWgmmaM * kScaleBlock);
        const uint32_t b_stage = b + ring.stage * wgmma_descriptor_step(kTileBytesB);
        wgmma_fence();
#pragma unroll
        for (uint32_t k = 0; k < kScaleBlock; k += kWgmmaK)
            Wgmma<kBlockN>::issue(sum, a_wave + wgmma_descriptor_step(k), b_stage + wgmma_descriptor_step(k),
                                  k > 0);
        wgmma_commit();
    }

    // Gives a stage back whose multiplications are done.
    __device__ __forceinline__ void release(uint32_t stage) const {
        __syncwarp();  // all lanes have read their scales
        if (every_lane || lane == 0) mbarrier_arrive(shared.empty_at(stage));
    }
};

// 64 rows of one block of K on their way through the tensor cores: A's scales, and the sum while in flight.
struct Partial {
    float scale_a[2];  // of rows lane / 4 and eight below
    float sum[kSums];
};

// Multiplies a tile's blocks of K into `sum`, a partial sum at a time. While a warpgroup promotes, the tensor
// cores have only the other one's work, which lasts no longer: so all that can be is done before the wait,
// and the loop is unrolled for the next block's addresses to be there in time.
__device__ __forceinline__ void multiply_in_turn(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                 float (&sum)[kWaves][kSums]) {
    float part[kSums];
#pragma unroll 8
    for (uint32_t i = 0; i < k_blocks; ++i) {
        float scale_a[kWaves][2], scale_b[kScalesB];
        math.wait_full();
#pragma unroll
        for (uint32_t wave = 0; wave < kWaves; ++wave) math.load_scales(wave, scale_a[wave]);
        const uint32_t stage = math.ring.stage;
#pragma unroll
        for (uint32_t wave = 0; wave < kWaves; ++wave) {
            math.issue(wave, part);
            if (wave == 0) scales.next(scale_b);
            const Factors factors(scale_a[wave], scale_b);
            if (wave == kWaves - 1) math.advance();
            wgmma_wait<0>();
            if (wave == kWaves - 1) math.release(stage);
            promote(part, factors, sum[wave]);
        }
    }
}

// The same with two partial sums: the tensor cores work on one while the CUDA cores promote the other.
__device__ __forceinline__ void multiply_overlapped(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                    float (&sum)[kSums]) {
    if (k_blocks == 0) return;
    Partial even, odd;
    const auto issue = [&](Partial& part) {
        mbarrier_wait(math.shared.full_at(math.ring.stage), math.ring.parity);
        // First, since the stage may be refilled once the multiplication is done.
        math.load_scales(0, part.scale_a);
        math.issue(0, part.sum);
    };
    const auto issue_then_promote = [&](Partial& next, const Partial& previous) {
        const uint32_t previous_stage = math.ring.stage;
        float scale_b[kScalesB];
        scales.next(scale_b);
        math.ring.advance();
        issue(next);
        wgmma_wait<1>();
        math.release(previous_stage);
        promote(previous.sum, Factors(previous.scale_a, scale_b), sum);
    };
    const auto finish = [&](const Partial& last) {
        float scale_b[kScalesB];
        scales.next(scale_b);
        wgmma_wait<0>();
        math.release(math.ring.stage);
        math.ring.advance();
        promote(last.sum, Factors(last.scale_a, scale_b), sum);
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
