// What a GEMM kernel is made of: the macros of its spec as constants, and its shared memory.
#pragma once

#include "ptx/wgmma.cuh"
#include "tile_scheduler.cuh"

namespace barrow {

constexpr uint32_t kBlockM = BLOCK_M, kBlockN = BLOCK_N, kStages = STAGES;
constexpr uint32_t kClusterK = CLUSTER_K;  // CTAs that split the K of a tile
constexpr uint32_t kWarpgroups = WARPGROUPS;
constexpr bool kBf16 = OUT_BF16;

constexpr uint32_t kMathThreads = kWarpgroups * kWarpgroup;
constexpr uint32_t kThreads = kMathThreads + kWarpgroup;
constexpr uint32_t kWaves = kBlockM / (kWarpgroups * kWgmmaM);  // times 64 rows of a math warpgroup
constexpr uint32_t kSums = kBlockN / 2;                         // accumulators of a thread for 64 rows
constexpr uint32_t kSliceN = kBlockN / kClusterK;               // columns of a tile that this CTA stores
constexpr uint32_t kInFlight = IN_FLIGHT;                       // partial sums a thread has registers for

// Columns of a tile that share a scale of B wherever the tile starts: the boundary stays at a compile-time
// place.
constexpr uint32_t kScaleWidth = kBlockN % 128 == 0  ? 128
                                 : kBlockN % 64 == 0 ? 64
                                 : kBlockN % 32 == 0 ? 32
                                                     : 16;
constexpr uint32_t kScalesB = kBlockN / kScaleWidth;
// Scale blocks of B that a tile can touch.
constexpr uint32_t kBlocksB = (kScaleBlock - kScaleWidth + kBlockN - 1) / kScaleBlock + 1;

constexpr uint32_t kTileBytesA = kBlockM * kScaleBlock, kTileBytesB = kBlockN * kScaleBlock;
constexpr uint32_t kScaleBytesA = kBlockM * 4;
constexpr uint32_t kStagedBytes = kBf16 ? kBlockM * kSliceN * 2 : 0;
constexpr uint32_t kPartialBytes = kClusterK > 1 ? kBlockM * kBlockN * 4 : 0;

// Registers of a producer and of a math thread once the producers have handed theirs over; 0: as compiled.
constexpr uint32_t kProducerRegisters = PRODUCER_REGISTERS, kMathRegisters = MATH_REGISTERS;
constexpr bool kExchangeRegisters = kMathRegisters > 0;

// Shared memory, as 32-bit addresses.
struct Shared {
    uint32_t a;        // [kStages] tiles, 128-byte swizzle
    uint32_t b;        // [kStages] tiles, 128-byte swizzle
    uint32_t staged;   // the tile of D on its way out
    uint32_t partial;  // sums that other CTAs of the cluster send
    uint32_t scale_a;  // [kStages][kBlockM] floats
    uint32_t full;     // [kStages] barriers: tiles and scales have landed
    uint32_t empty;    // [kStages] barriers: every reader is done
    uint32_t reduce;   // barrier: the other CTAs' sums have landed

    __device__ __forceinline__ explicit Shared(uint32_t base)
        : a(base),
          b(a + kStages * kTileBytesA),
          staged(b + kStages * kTileBytesB),
          partial(staged + kStagedBytes),
          scale_a(partial + kPartialBytes),
          full(scale_a + kStages * kScaleBytesA),
          empty(full + kStages * 8),
          reduce(empty + kStages * 8) {}

    __device__ __forceinline__ uint32_t full_at(uint32_t stage) const { return full + stage * 8; }
    __device__ __forceinline__ uint32_t empty_at(uint32_t stage) const { return empty + stage * 8; }
};

// Blocks of K of a tile that the CTA of this rank in its cluster multiplies: every kClusterK-th, from its own
// on.
__device__ __forceinline__ uint32_t k_blocks_of(uint32_t k, uint32_t rank) {
    const uint32_t blocks = k / kScaleBlock + (k % kScaleBlock != 0);
    return (blocks + kClusterK - 1 - rank) / kClusterK;
}

using Scheduler = TileScheduler<kBlockM, kBlockN, kClusterK>;
using StageRing = Ring<kStages>;

}  // namespace barrow
