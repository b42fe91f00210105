// B of a CTA's first tile that waits for A in registers.
//
// A launch that starts early fills its stages with weights and then waits for the kernels in front. What has
// no room there is loaded only once those have ended, against the next launch's first weights; before that
// the memory has nothing to do. Where B lies on wgmma's rows, math threads have registers to spare: they take
// the last blocks of K out of the first stages, which then take others. The order of the sums is the same.
#pragma once

#include "gemm/multiply.cuh"

namespace barrow {

// Blocks of a first tile of `k_blocks` that are held: none where the stages have room for all, or where B has
// to wait as long as A, which a first round for B alone would only keep waiting (1 us with K = 7168).
__device__ __forceinline__ uint32_t held_blocks(const GemmParams& params, uint32_t k_blocks) {
    return params.prefetch_b && k_blocks > kStages ? kHeld : 0;
}

template <uint32_t kBlocks, uint32_t kN = kWgmmaN>
struct HeldB {
    static_assert(kBlocks <= kStages);

    uint32_t blocks = 0;  // kBlocks from take to multiply, or none
    uint32_t b[kBlocks][kSteps][4];

    // Takes the last blocks of the first tile, of `k_blocks`, out of the first stages.
    __device__ __forceinline__ void take(Multiplier& math, const GemmParams& params, uint32_t k_blocks,
                                         uint32_t thread) {
        blocks = held_blocks(params, k_blocks);
        if (blocks == 0) return;
        // The row of this warp's 16 that this lane addresses, and the left or right half of a step.
        const uint32_t row = math.first_row + thread / kWarp * 16 + math.lane % 16, half = math.lane / 16;
        const uint32_t rows = math.shared.b + row * kScaleBlock;
#pragma unroll
        for (uint32_t block = 0; block < kBlocks; ++block) {
            math.wait_full();
            const uint32_t stage = math.ring.stage;
#pragma unroll
            for (uint32_t step = 0; step < kSteps; ++step)  // 16 bytes lie where the swizzle of 128 puts them
                load_matrices(rows + stage * kTileBytesB + ((step * 2 + half) ^ row % 8) * 16,
                              b[block][step]);
            // The copy engine writes there next, and an arrival does not wait for what has only been sent
            // for: behind a cluster's sums, which the same queue takes, reads came too late.
            fence_smem_to_tma();
            math.release(stage);
            math.ring.advance();
        }
    }

    // Adds them up, the tile's blocks from `first` on, as A comes through the stages. One partial sum is
    // promoted while the next one is multiplied.
    __device__ __forceinline__ void multiply(Multiplier& math, ScalesB& scales, uint32_t first,
                                             float (&sum)[kSums]) {
        if (blocks == 0) return;
        blocks = 0;
        Partial parts[2];
        uint32_t stages[2];
        const auto issue = [&](uint32_t block) {
            Partial& part = parts[block % 2];
            math.wait_full();
            stages[block % 2] = math.ring.stage;
            part.scale_a = math.load_scales_a(0);
            const uint32_t a = math.columns + math.ring.stage * (kTileBytesA >> 4);
            wgmma_fence();
#pragma unroll
            for (uint32_t step = 0; step < kSteps; ++step)
                WgmmaFromRegisters<kN>::issue(part.sum, b[block][step], a + step * kWgmmaDescriptorStep,
                                              step > 0);
            wgmma_commit();
            math.ring.advance();
        };
        issue(0);
#pragma unroll
        for (uint32_t block = 0; block < kBlocks; ++block) {
            const bool last = block + 1 == kBlocks;
            if (!last) issue(block + 1);
            const uint32_t in_group = (first + block) % kWarp, stage = stages[block % 2];
            if (in_group == 0) scales.advance();
            const Scaling scaling(parts[block % 2].scale_a, scales.of(in_group, stage));
            if (last)
                wgmma_wait<0>();
            else
                wgmma_wait<1>();
            promote_last(math, stage, scaling, parts[block % 2].sum, sum);
        }
    }
};

template <>
struct HeldB<0> {
    static constexpr uint32_t blocks = 0;

    __device__ __forceinline__ void take(Multiplier&, const GemmParams&, uint32_t, uint32_t) {}
    __device__ __forceinline__ void multiply(Multiplier&, ScalesB&, uint32_t, float (&)[kSums]) {}
};

}  // namespace barrow
