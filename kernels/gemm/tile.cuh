// What a GEMM kernel is made of: the macros of its spec as constants, and its shared memory.
#pragma once

#include "group_scheduler.cuh"
#include "k_group_scheduler.cuh"
#include "ptx/tma.cuh"
#include "ptx/wgmma.cuh"

namespace barrow {

constexpr uint32_t kBlockM = BLOCK_M, kBlockN = BLOCK_N, kStages = STAGES;
constexpr uint32_t kClusterK = CLUSTER_K;  // CTAs that split the K of a tile
// CTAs with tiles beside each other along N, of which each loads a part of their rows of A for all.
constexpr uint32_t kClusterN = CLUSTER_N;
// Whether every other tile goes through K from its end.
constexpr bool kAlternates = ALTERNATES;
// Rows of a tile of A that one load brings, a part, and how many there are.
constexpr uint32_t kPartRows = PART_ROWS, kPartsA = kBlockM / kPartRows;
constexpr uint32_t kWarpgroups = WARPGROUPS;
// Which operand lies on wgmma's 64 rows: A, or, where A has too few, B. The other one is on its narrow side.
constexpr bool kSwapped = SWAPPED;
constexpr bool kBf16 = OUT_BF16;
constexpr uint32_t kOutBytes = kBf16 ? 2 : 4;
// Columns of D of a box that the copy engine stores, or adds; 0 where D goes out from registers only.
constexpr uint32_t kStoreColumns = STORE_COLUMNS;
constexpr bool kStaged = kStoreColumns > 0;
// Whether each row of B has a scale of its own, or 128 rows share one.
constexpr bool kRowScalesB = ROW_SCALES_B;
// Whether rows of A come in groups, each with a matrix of its own in B.
constexpr bool kGrouped = GROUPED;

constexpr uint32_t kMathThreads = kWarpgroups * kWarpgroup, kMathWarps = kMathThreads / kWarp;
constexpr uint32_t kThreads = THREADS;
constexpr uint32_t kWgmmaN = kSwapped ? kBlockM : kBlockN;
constexpr uint32_t kSums = kWgmmaN / 2;  // accumulators of a thread for 64 rows
// What comes in groups: rows of A, or K, with operands and a slab of D for each group.
enum class Groups { none, rows, k };
constexpr Groups kGroups = kGrouped ? Groups::rows : K_GROUPS ? Groups::k : Groups::none;

// Times 64 rows of a math warpgroup.
constexpr uint32_t kWaves = (kSwapped ? kBlockN : kBlockM) / (kWarpgroups * kWgmmaM);
// Rows between a warpgroup's waves, and between the first ones of two warpgroups. Where a tile may be partly
// empty, warpgroups take turns, so that they have about as much to do.
constexpr uint32_t kWaveStep = kGrouped ? kWarpgroups * kWgmmaM : kWgmmaM;
constexpr uint32_t kGroupStep = kGrouped ? kWgmmaM : kWaves * kWgmmaM;
constexpr uint32_t kSteps = kScaleBlock / kWgmmaK;  // wgmmas of a block of K
constexpr uint32_t kInFlight = IN_FLIGHT;           // partial sums a thread has registers for
constexpr uint32_t kHeld = HELD;         // blocks of K of B it has registers for, see gemm/held.cuh
constexpr bool kAheadWarp = AHEAD_WARP;  // whether a warp of its own loads ahead, see gemm/ahead.cuh

// CTAs that split K share the adding up of a tile: the first SLICES take some of wgmma's columns each.
constexpr uint32_t kSlices = SLICES;
constexpr uint32_t kSlice = kWgmmaN / kSlices;

// Columns of a tile that share a scale of B wherever the tile starts: the boundary stays at a compile-time
// place. A warpgroup with B on its 64 rows has one scale.
constexpr uint32_t kScaleWidth = kBlockN % 128 == 0  ? 128
                                 : kBlockN % 64 == 0 ? 64
                                 : kBlockN % 32 == 0 ? 32
                                                     : 16;
// Of a thread and block of K, where 128 rows share one.
constexpr uint32_t kScalesB = kSwapped ? 1 : kBlockN / kScaleWidth;
// Scale blocks of B that a tile can touch.
constexpr uint32_t kBlocksB = kSwapped ? 1 : (kScaleBlock - kScaleWidth + kBlockN - 1) / kScaleBlock + 1;

constexpr uint32_t kTileBytesA = kBlockM * kScaleBlock, kTileBytesB = kBlockN * kScaleBlock;
// The copy engine writes to multiples of 128 bytes.
constexpr uint32_t kScaleBytesA = (kBlockM * 4 + 127) / 128 * 128;
constexpr uint32_t kScaleBytesB = kRowScalesB ? (kBlockN * 4 + 127) / 128 * 128 : 0;
// Of a warpgroup's 64 rows and one slice: on the way out, and as sums that the other CTAs send.
constexpr uint32_t kStagedBytes = kWgmmaM * (kBf16 ? kSlice : kStoreColumns) * kOutBytes;
constexpr uint32_t kReceivedBytes = (kClusterK - 1) * kWgmmaM * kSlice * 4;

// Registers of a producing and of a math thread once the former have handed theirs over; 0: as compiled.
constexpr uint32_t kProducerRegisters = PRODUCER_REGISTERS, kMathRegisters = MATH_REGISTERS;
constexpr bool kExchangeRegisters = kMathRegisters > 0;

// Arrivals that fill a stage: for A, for B where another warp may load it, and of every thread that copies
// scales.
__device__ __forceinline__ uint32_t full_arrivals(bool copies_scales) {
    return 1 + kAheadWarp + (copies_scales ? kWarp : 0);
}

// Shared memory, as 32-bit addresses.
struct Shared {
    uint32_t a;         // [kStages] tiles, 128-byte swizzle
    uint32_t b;         // [kStages] tiles, 128-byte swizzle
    uint32_t staged;    // the tile of D on its way out
    uint32_t received;  // sums that other CTAs of the cluster send
    uint32_t scale_a;   // [kStages][kBlockM] floats
    uint32_t scale_b;   // [kStages][kBlockN] floats, where each row of B has one
    uint32_t full;      // [kStages] barriers: tiles and scales have landed
    uint32_t empty;     // [kStages] barriers: every reader is done
    uint32_t b_full;    // [kStages] barriers, where a warp loads ahead: B has landed
    uint32_t landed;    // barrier: the other CTAs' sums have landed

    __device__ __forceinline__ explicit Shared(uint32_t base)
        : a(base),
          b(a + kStages * kTileBytesA),
          staged(b + kStages * kTileBytesB),
          received(staged + kWaves * kWarpgroups * kStagedBytes),
          scale_a(received + kWarpgroups * kReceivedBytes),
          scale_b(scale_a + kStages * kScaleBytesA),
          full(scale_b + kStages * kScaleBytesB),
          empty(full + kStages * 8),
          b_full(empty + kStages * 8),
          landed(b_full + (kAheadWarp ? kStages * 8 : 0)) {}

    __device__ __forceinline__ uint32_t full_at(uint32_t stage) const { return full + stage * 8; }
    __device__ __forceinline__ uint32_t b_full_at(uint32_t stage) const { return b_full + stage * 8; }
    __device__ __forceinline__ uint32_t empty_at(uint32_t stage) const { return empty + stage * 8; }

    // Those of the stages; from one thread.
    __device__ __forceinline__ void init_barriers(bool copies_scales) const {
        for (uint32_t stage = 0; stage < kStages; ++stage) {
            mbarrier_init(full_at(stage), full_arrivals(copies_scales));
            if constexpr (kAheadWarp) mbarrier_init(b_full_at(stage), 1);
            // Copied scales are written by threads, so every thread that reads them tells so itself.
            // The other CTA's math warps read what is loaded here for both.
            mbarrier_init(empty_at(stage),
                          (copies_scales ? kMathThreads : kMathWarps) + (kClusterN - 1) * kMathWarps);
        }
    }
};

// Blocks of K of a tile that the CTA of this rank in its cluster multiplies: every kClusterK-th, from its own
// on.
__device__ __forceinline__ uint32_t k_blocks_of(uint32_t k, uint32_t rank) {
    const uint32_t blocks = k / kScaleBlock + (k % kScaleBlock != 0);
    return (blocks + kClusterK - 1 - rank) / kClusterK;
}

// The block of K that is loaded and multiplied as the `index`-th of a tile.
__device__ __forceinline__ uint32_t k_block_of(bool backward, uint32_t k_blocks, uint32_t rank,
                                               uint32_t index) {
    return backward ? k_blocks - 1 - index : rank + index * kClusterK;
}

// The tensor maps of one operand of all groups of K.
struct KGroupMaps {
    CUtensorMap of[kMostKGroups];
};

template <Groups kOf>
struct WalkOf {
    using Params = DenseGemmParams;
    using OperandMap = CUtensorMap;
    using Scheduler = TileScheduler<kBlockM, kBlockN, kClusterK, kAlternates>;
};
template <>
struct WalkOf<Groups::rows> {
    using Params = GroupedGemmParams;
    using OperandMap = CUtensorMap;
    using Scheduler = GroupScheduler<kBlockM, kBlockN, kPartRows, kClusterN>;
};
template <>
struct WalkOf<Groups::k> {
    using Params = KGroupedGemmParams;
    using OperandMap = KGroupMaps;
    using Scheduler = KGroupScheduler<kBlockM, kBlockN>;
};
using Params = WalkOf<kGroups>::Params;
using OperandMap = WalkOf<kGroups>::OperandMap;
using Scheduler = WalkOf<kGroups>::Scheduler;
using Tile = Scheduler::Tile;

// All parameters of a kernel, the first of which begins at a multiple of 64 bytes: 48 after where they could.
static_assert(48 + 2 * sizeof(OperandMap) + 3 * sizeof(CUtensorMap) + sizeof(Params) <= 4096);
using StageRing = Ring<kStages>;

}  // namespace barrow
