// The math warpgroups: from the ring of stages into float32 sums.
#pragma once

#include "gemm/scales.cuh"

namespace barrow {

// One math warpgroup's walk through the stages of a tile.
struct Multiplier {
    const Shared& shared;
    StageRing ring;
    uint32_t lane;
    uint32_t first_row;  // of this warpgroup's 64, on A or, swapped, on B
    uint32_t rows;       // descriptor of those rows in stage 0, and of the other operand
    uint32_t columns;
    uint32_t scale_a;     // address of the scale of A for this thread's first accumulator in stage 0
    uint32_t peer_empty;  // barriers of the CTA that loads a part of A for this one too
    // Whether every lane arrives at a stage's barrier, or one for its warp.
    bool every_lane;

    __device__ __forceinline__ Multiplier(const Shared& shared, bool every_lane, uint32_t group,
                                          uint32_t thread)
        : shared(shared),
          lane(thread % kWarp),
          first_row(group * kGroupStep),
          rows(wgmma_descriptor((kSwapped ? shared.b : shared.a) + first_row * kScaleBlock)),
          columns(wgmma_descriptor(kSwapped ? shared.a : shared.b)),
          scale_a(shared.scale_a +
                  (kSwapped ? lane % 4 * 2 : first_row + thread / kWarp * 16 + lane / 4) * 4),
          peer_empty(kClusterN > 1 ? remote_address(shared.empty, cluster_rank() ^ 1) : 0),
          every_lane(every_lane) {}

    __device__ __forceinline__ void wait_full() const {
        mbarrier_wait(shared.full_at(ring.stage), ring.parity);
    }

    __device__ __forceinline__ ScalesA load_scales_a(uint32_t wave) const {
        return ScalesA::load(scale_a + ring.stage * kScaleBytesA + wave * kWaveStep * 4);
    }

    // Sends off steps of one wave of the current stage, as a group to wait for.
    template <uint32_t kFirst = 0, uint32_t kEnd = kSteps>
    __device__ __forceinline__ void issue(uint32_t wave, float (&sum)[kSums]) const {
        constexpr uint32_t kRowBytes = kSwapped ? kTileBytesB : kTileBytesA;
        constexpr uint32_t kColumnBytes = kSwapped ? kTileBytesA : kTileBytesB;
        const uint32_t a = rows + (wave * kWaveStep * kScaleBlock >> 4) + ring.stage * (kRowBytes >> 4);
        const uint32_t b = columns + ring.stage * (kColumnBytes >> 4);
        if constexpr (kFirst == 0) wgmma_fence();
#pragma unroll
        for (uint32_t step = kFirst; step < kEnd; ++step)
            Wgmma<kWgmmaN>::issue(sum, a + step * kWgmmaDescriptorStep, b + step * kWgmmaDescriptorStep,
                                  step > 0);
        wgmma_commit();
    }

    // Gives a stage back whose multiplications are done and whose scales have been read.
    __device__ __forceinline__ void release(uint32_t stage) const {
        __syncwarp();
        if (every_lane || lane == 0) mbarrier_arrive(shared.empty_at(stage));
        if constexpr (kClusterN > 1) {
            if (lane == 0) mbarrier_arrive_remote(peer_empty + stage * 8);
        }
    }
};

// Promotes the last partial sum of a stage, and gives the stage back: before, or where scales of B's rows are
// still read from it meanwhile, after.
__device__ __forceinline__ void promote_last(const Multiplier& math, uint32_t stage, const Scaling& scaling,
                                             const float (&part)[kSums], float (&sum)[kSums]) {
    if (!kRowScalesB) math.release(stage);
    scaling.promote(part, sum);
    if (kRowScalesB) math.release(stage);
}

// Multiplies a tile's blocks of K into `sum`, a partial sum at a time. While a warpgroup promotes, the tensor
// cores have only the other one's work, which lasts no longer: so all that can be is done before the wait,
// and the loop is unrolled for the next block's addresses to be there in time, but where scales of B's rows
// take the registers for that. What it does for every 32nd block stands outside of the inner loop, since a
// branch in there costs tens of cycles. Of the waves the first kActive have rows of the tile.
template <uint32_t kActive>
__device__ __forceinline__ void multiply_in_turn(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                 float (&sum)[kWaves][kSums]) {
    // A host compiler does not know what reads it.
    [[maybe_unused]] constexpr uint32_t kUnroll = kRowScalesB ? 1 : 8;
    float part[kSums];
    for (uint32_t first = 0; first < k_blocks; first += kWarp) {
        scales.advance();
        const uint32_t blocks = min(k_blocks - first, kWarp);
#pragma unroll kUnroll
        for (uint32_t block = 0; block < blocks; ++block) {
            math.wait_full();
            const uint32_t stage = math.ring.stage;
            ScalesA scale_a[kActive];
#pragma unroll
            for (uint32_t wave = 0; wave < kActive; ++wave) scale_a[wave] = math.load_scales_a(wave);
            ScalesB::Block scale_b;
#pragma unroll
            for (uint32_t wave = 0; wave < kActive; ++wave) {
                const bool last = wave == kActive - 1;
                math.issue(wave, part);
                if (wave == 0) scale_b = scales.of(block, stage);
                const Scaling scaling(scale_a[wave], scale_b);
                if (last) math.ring.advance();
                wgmma_wait<0>();
                if (last)
                    promote_last(math, stage, scaling, part, sum[wave]);
                else
                    scaling.promote(part, sum[wave]);
            }
        }
    }
}

// Gives back the stages of a tile of which this warpgroup has no rows.
__device__ __forceinline__ void skip(Multiplier& math, uint32_t k_blocks) {
    for (uint32_t block = 0; block < k_blocks; ++block) {
        math.wait_full();
        math.release(math.ring.stage);
        math.ring.advance();
    }
}

// A partial sum in flight, and A's scales for it.
struct Partial {
    ScalesA scale_a;
    float sum[kSums];
};

// Pairs of blocks of K without a branch between them. Two warpgroups on a narrow tile have no time for the
// end of a loop after every pair: with four, 128 x 64 is up to 4 % faster and 128 x 96 up to 3 %. Other tiles
// gain nothing, and those that split K lose.
constexpr uint32_t kPairs = kWarpgroups == 2 && kBlockN <= 96 && kClusterK == 1 ? 4 : 1;

// The same with two partial sums: the tensor cores work on one while the CUDA cores promote the other. A warp
// that sends off a step is held up until the tensor cores take it. Of a narrow tile, whose steps are short,
// only the first one is therefore sent off before the promotion, and the later ones after it: else the warp
// would wait through most of its own multiplication before it promotes.
__device__ __forceinline__ void multiply_overlapped(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                                    float (&sum)[kSums]) {
    if (k_blocks == 0) return;
    constexpr uint32_t kBefore = kWgmmaN <= 64 ? 1 : kSteps;
    Partial even, odd;
    const auto issue_then_promote = [&](Partial& next, const Partial& previous, uint32_t block) {
        const uint32_t stage = math.ring.stage;
        const ScalesB::Block scale_b = scales.of(block, stage);
        math.ring.advance();
        math.wait_full();
        const Scaling scaling(previous.scale_a, scale_b);
        next.scale_a = math.load_scales_a(0);
        math.issue<0, kBefore>(0, next.sum);
        wgmma_wait<1>();
        promote_last(math, stage, scaling, previous.sum, sum);
        if constexpr (kBefore < kSteps) math.issue<kBefore>(0, next.sum);
    };
    const uint32_t last = k_blocks - 1;
    const auto finish = [&](const Partial& part) {
        if (last % kWarp == 0) scales.advance();
        const uint32_t stage = math.ring.stage;
        const Scaling scaling(part.scale_a, scales.of(last % kWarp, stage));
        math.ring.advance();
        wgmma_wait<0>();
        promote_last(math, stage, scaling, part.sum, sum);
    };
    math.wait_full();
    math.issue(0, even.sum);
    even.scale_a = math.load_scales_a(0);
    // Unrolled by hand over the two partial sums: a register array cannot be indexed at run time.
    for (uint32_t first = 0; first < last; first += kWarp) {
        scales.advance();
        const uint32_t blocks = min(last - first, kWarp);
#pragma unroll kPairs
        for (uint32_t block = 0; block + 1 < blocks; block += 2) {
            issue_then_promote(odd, even, block);
            issue_then_promote(even, odd, block + 1);
        }
    }
    // Each end waits for itself: a joint wait makes ptxas serialise every multiplication (its note C7514).
    if (last % 2 != 0) {
        issue_then_promote(odd, even, (last - 1) % kWarp);
        finish(odd);
    } else {
        finish(even);
    }
}

// The same where a warpgroup has two waves of rows, a partial sum for each: while the tensor cores work on
// one wave, the other is promoted.
__device__ __forceinline__ void multiply_waves(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                               float (&sum)[kWaves][kSums]) {
    if (k_blocks == 0) return;
    Partial first, second;
    // Sends off the second wave of the current stage, and promotes the first one meanwhile.
    const auto go_down = [&](const ScalesB::Block& scale_b) {
        const Scaling scaling(first.scale_a, scale_b);
        second.scale_a = math.load_scales_a(1);
        math.issue(1, second.sum);
        wgmma_wait<1>();
        scaling.promote(first.sum, sum[0]);
    };
    const uint32_t last = k_blocks - 1;
    const auto finish = [&] {
        if (last % kWarp == 0) scales.advance();
        const uint32_t stage = math.ring.stage;
        const ScalesB::Block scale_b = scales.of(last % kWarp, stage);
        go_down(scale_b);
        const Scaling scaling(second.scale_a, scale_b);
        math.ring.advance();
        wgmma_wait<0>();
        promote_last(math, stage, scaling, second.sum, sum[1]);
    };
    math.wait_full();
    math.issue(0, first.sum);
    first.scale_a = math.load_scales_a(0);
    for (uint32_t begin = 0; begin < last; begin += kWarp) {
        scales.advance();
        const uint32_t blocks = min(last - begin, kWarp);
        for (uint32_t block = 0; block < blocks; ++block) {
            const uint32_t stage = math.ring.stage;
            const ScalesB::Block scale_b = scales.of(block, stage);
            go_down(scale_b);
            math.ring.advance();
            math.wait_full();
            const Scaling scaling(second.scale_a, scale_b);
            first.scale_a = math.load_scales_a(0);
            math.issue(0, first.sum);
            wgmma_wait<1>();
            promote_last(math, stage, scaling, second.sum, sum[1]);
        }
    }
    // Two ends for ptxas (C7514, see above), though both say the same.
    if (last % 2 != 0)
        finish();
    else
        finish();
}

// Multiplies the waves of a tile that have rows.
__device__ __forceinline__ void multiply(Multiplier& math, ScalesB& scales, uint32_t k_blocks,
                                         uint32_t active, float (&sum)[kWaves][kSums]) {
    if constexpr (kGrouped && !kSwapped) {
        if (active == 0) return skip(math, k_blocks);
        if constexpr (kWaves > 1) {
            if (active == 1) return multiply_in_turn<1>(math, scales, k_blocks, sum);
        }
    }
    if constexpr (kInFlight == 1)
        multiply_in_turn<kWaves>(math, scales, k_blocks, sum);
    else if constexpr (kWaves == 2)
        multiply_waves(math, scales, k_blocks, sum);
    else
        multiply_overlapped(math, scales, k_blocks, sum[0]);
}

}  // namespace barrow
