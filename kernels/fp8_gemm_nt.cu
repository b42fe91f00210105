// D[M,N] = A[M,K] x B[N,K]^T in FP8 (e4m3) with block scales, for Hopper's wgmma and copy engine.
//
// A CTA is one warpgroup of producers and WARPGROUPS_M x WARPGROUPS_K math warpgroups around a ring of stages
// in shared memory, each holding 128 of K: a tile of A, a tile of B and their scales. One producer thread
// drives the copy engine for the tiles; one producer warp copies the scales, whose strides are free, element
// by element. A math warpgroup multiplies a stage on the tensor cores and promotes the partial sum, times
// both scales, into float32 registers. CTAs of a cluster share tiles by multicast. The grid is persistent
// over D's tiles.
//
// One source, many kernels: the catalogue defines the macros below (src/barrow_build/config).
#include "epilogue.cuh"
#include "ptx/cp_async.cuh"
#include "tile_scheduler.cuh"

using namespace barrow;

constexpr uint32_t kBlockM = BLOCK_M, kBlockN = BLOCK_N, kStages = STAGES;
constexpr uint32_t kClusterM = CLUSTER_M, kClusterN = CLUSTER_N, kCluster = kClusterM * kClusterN;
constexpr uint32_t kGroupsM = WARPGROUPS_M, kGroupsK = WARPGROUPS_K;
constexpr bool kBf16 = OUT_BF16;

constexpr uint32_t kMathThreads = kGroupsM * kGroupsK * kWarpgroup;
constexpr uint32_t kThreads = kMathThreads + kWarpgroup;
constexpr uint32_t kWaves = kBlockM / (kGroupsM * kWgmmaM);  // wgmmas a math warpgroup needs for its rows
constexpr uint32_t kSums = kBlockN / 2;                      // accumulators a thread holds for one of them

// Columns of a tile that share a scale of B wherever the tile starts: the boundary stays at a compile-time
// place.
constexpr uint32_t kScaleWidth = kBlockN % 128 == 0  ? 128
                                 : kBlockN % 64 == 0 ? 64
                                 : kBlockN % 32 == 0 ? 32
                                                     : 16;
constexpr uint32_t kScalesB = kBlockN / kScaleWidth;
constexpr uint32_t kScales = (kBlockM + kScalesB + 3) / 4 * 4;

constexpr uint32_t kTileBytesA = kBlockM * kScaleBlock, kTileBytesB = kBlockN * kScaleBlock;
constexpr uint32_t kStagedBytes = kBf16 ? kBlockM * kBlockN * 2 : 0;

// The producers hand registers over to the math warpgroups, of the 65,536 an SM has; a lone one needs none.
constexpr bool kExchangeRegisters = kMathThreads >= 2 * kWarpgroup;
constexpr uint32_t kProducerRegisters = 56;
constexpr uint32_t kEntryRegisters = 65536 / kThreads / 8 * 8;
constexpr uint32_t kMathRegisters =
    (kEntryRegisters * kThreads - kProducerRegisters * kWarpgroup) / kMathThreads / 8 * 8;

// Shared memory, as 32-bit addresses.
struct Shared {
    uint32_t a;        // [kStages] tiles, 128-byte swizzle
    uint32_t b;        // [kStages] tiles, 128-byte swizzle
    uint32_t staged;   // the tile of D on its way out
    uint32_t partial;  // float sums of math warpgroups 1.. along K
    uint32_t scales;   // [kStages][kScales] floats: rows of A, then kScalesB of B
    uint32_t full;     // [kStages] barriers: tiles and scales have landed
    uint32_t empty;    // [kStages] barriers: every reader in the cluster is done

    __device__ __forceinline__ explicit Shared(uint32_t base)
        : a(base),
          b(a + kStages * kTileBytesA),
          staged(b + kStages * kTileBytesB),
          partial(staged + kStagedBytes),
          scales(partial + (kGroupsK - 1) * kBlockM * kBlockN * 4),
          full(scales + kStages * kScales * 4),
          empty(full + kStages * 8) {}

    __device__ __forceinline__ uint32_t full_at(uint32_t stage) const { return full + stage * 8; }
    __device__ __forceinline__ uint32_t empty_at(uint32_t stage) const { return empty + stage * 8; }
};

__device__ __forceinline__ uint32_t blocks_of(uint32_t k) { return k / kScaleBlock + (k % kScaleBlock != 0); }

using Scheduler = TileScheduler<kBlockM, kBlockN, kClusterM, kClusterN>;
using StageRing = Ring<kStages>;

// The thread that feeds the copy engine. Each CTA loads its share of a shared tile and multicasts it.
__device__ __forceinline__ void produce_tiles(const Shared& shared, const CUtensorMap& a_map,
                                              const CUtensorMap& b_map, const GemmParams& params,
                                              uint32_t cluster_m, uint32_t cluster_n) {
    constexpr uint32_t kShareB = kBlockN / kClusterM;
    const uint32_t share_a = params.a_box_rows;
    const uint32_t stage_bytes = share_a * kClusterN * kScaleBlock + kTileBytesB;
    uint16_t mask_a = 0, mask_b = 0;
    for (uint32_t i = 0; i < kClusterN; ++i) mask_a |= 1u << (cluster_m + i * kClusterM);
    for (uint32_t i = 0; i < kClusterM; ++i) mask_b |= 1u << (cluster_n * kClusterM + i);
    const uint32_t k_blocks = blocks_of(params.k);
    Scheduler scheduler(params.m, params.n, k_blocks);
    StageRing ring;
    for (Tile tile; scheduler.next(cluster_m, cluster_n, tile);) {
        const uint32_t row_a = tile.m + cluster_n * share_a, row_b = tile.n + cluster_m * kShareB;
        uint32_t kb = tile.first_kb;
        for (uint32_t i = 0; i < k_blocks; ++i, ring.advance()) {
            const uint32_t k = kb * kScaleBlock, full = shared.full_at(ring.stage);
            const uint32_t a = shared.a + ring.stage * kTileBytesA + cluster_n * share_a * kScaleBlock;
            const uint32_t b = shared.b + ring.stage * kTileBytesB + cluster_m * kShareB * kScaleBlock;
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, stage_bytes);
            if constexpr (kClusterM > 1)
                tma_load_multicast(b, &b_map, full, k, row_b, mask_b);
            else
                tma_load(b, &b_map, full, k, row_b);
            if constexpr (kClusterN > 1)
                tma_load_multicast(a, &a_map, full, k, row_a, mask_a);
            else
                tma_load(a, &a_map, full, k, row_a);
            kb = kb + 1 < k_blocks ? kb + 1 : 0;
        }
    }
}

// The warp that copies scales. Rows and columns beyond D get scale zero, so that nothing of them can be NaN.
__device__ __forceinline__ void produce_scales(const Shared& shared, const GemmParams& params,
                                               uint32_t cluster_m, uint32_t cluster_n, uint32_t lane) {
    const uint32_t k_blocks = blocks_of(params.k);
    Scheduler scheduler(params.m, params.n, k_blocks);
    StageRing ring;
    for (Tile tile; scheduler.next(cluster_m, cluster_n, tile);) {
        const uint32_t column = tile.n + lane * kScaleWidth;
        const bool has_b = lane < kScalesB && column < params.n;
        const float* b_row = params.b_scale + (has_b ? column / kScaleBlock * params.b_scale_stride_n : 0);
        uint32_t kb = tile.first_kb;
        for (uint32_t i = 0; i < k_blocks; ++i, ring.advance()) {
            const uint32_t scales = shared.scales + ring.stage * (kScales * 4);
            const float* a = params.a_scale + kb * params.a_scale_stride_k;
            const float* b = b_row + kb * params.b_scale_stride_k;
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
#pragma unroll 4  // of a taller tile's eight, the row addresses would spill
            for (uint32_t row = lane; row < kBlockM; row += kWarp) {
                const bool valid = tile.m + row < params.m;
                const int64_t offset = valid ? (tile.m + row) * params.a_scale_stride_m : 0;
                cp_async_float(scales + row * 4, a + offset, valid);
            }
            if (lane < kScalesB) cp_async_float(scales + (kBlockM + lane) * 4, b, has_b);
            cp_async_arrive(shared.full_at(ring.stage));
            kb = kb + 1 < k_blocks ? kb + 1 : 0;
        }
    }
}

// Multiplies this warpgroup's K blocks of one tile into `sum`.
__device__ __forceinline__ void multiply(const Shared& shared, StageRing ring, uint32_t k_blocks,
                                         uint32_t group_m, uint32_t group_k, uint32_t thread,
                                         float (&sum)[kWaves][kSums]) {
    const uint32_t lane = thread % kWarp;
    const uint32_t row = group_m * kWaves * kWgmmaM + thread / kWarp * 16 + lane / 4;
    ring.skip(group_k);
    for (uint32_t kb = group_k; kb < k_blocks; kb += kGroupsK, ring.advance(kGroupsK)) {
        const uint32_t scales = shared.scales + ring.stage * (kScales * 4);
        const uint32_t a_tile =
            shared.a + ring.stage * kTileBytesA + group_m * kWaves * kWgmmaM * kScaleBlock;
        const uint64_t b = wgmma_descriptor(shared.b + ring.stage * kTileBytesB);
        mbarrier_wait(shared.full_at(ring.stage), ring.parity);
        float scale_b[kScalesB];
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) scale_b[c] = load_shared(scales + (kBlockM + c) * 4);
#pragma unroll
        for (uint32_t wave = 0; wave < kWaves; ++wave) {
            const uint32_t row_scale = scales + (row + wave * kWgmmaM) * 4;
            const float scale_a[2] = {load_shared(row_scale), load_shared(row_scale + 8 * 4)};
            const uint64_t a = wgmma_descriptor(a_tile + wave * kWgmmaM * kScaleBlock);
            float part[kSums];
            wgmma_fence();
#pragma unroll
            for (uint32_t step = 0; step < kScaleBlock / kWgmmaK; ++step)
                Wgmma<kBlockN>::issue(part, a + step * kWgmmaDescriptorStep, b + step * kWgmmaDescriptorStep,
                                      step > 0);
            wgmma_commit();
            wgmma_wait_all();
            if (wave == kWaves - 1) {
                // The stage has been read to the end by this warp: tell every CTA that writes into it.
                __syncwarp();
                if constexpr (kCluster > 1) {
                    if (lane < kCluster) mbarrier_arrive_remote(shared.empty_at(ring.stage), lane);
                } else {
                    if (lane == 0) mbarrier_arrive(shared.empty_at(ring.stage));
                }
            }
#pragma unroll
            for (uint32_t c = 0; c < kScalesB; ++c) {
                const float upper = scale_a[0] * scale_b[c], lower = scale_a[1] * scale_b[c];
#pragma unroll
                for (uint32_t i = c * kScaleWidth / 2; i < (c + 1) * kScaleWidth / 2; i += 4) {
                    sum[wave][i] += upper * part[i];
                    sum[wave][i + 1] += upper * part[i + 1];
                    sum[wave][i + 2] += lower * part[i + 2];
                    sum[wave][i + 3] += lower * part[i + 3];
                }
            }
        }
    }
}

// Adds the sums of all warpgroups along K into the first one's, always in the same order.
__device__ __forceinline__ void reduce_groups(uint32_t partial, uint32_t group_m, uint32_t group_k,
                                              uint32_t thread, float (&sum)[kWaves][kSums]) {
    constexpr uint32_t kBarrier = 1 + kGroupsM;
    // Thread-major, so that a warp touches 32 neighbours.
    constexpr uint32_t kValueBytes = kWarpgroup * 4, kGroupBytes = kWaves * kSums * kValueBytes;
    const uint32_t first = partial + group_m * kGroupBytes + thread * 4;
    if (group_k > 0) {
        const uint32_t mine = first + (group_k - 1) * kGroupsM * kGroupBytes;
#pragma unroll
        for (uint32_t i = 0; i < kWaves * kSums; ++i)
            store_shared(mine + i * kValueBytes, sum[i / kSums][i % kSums]);
    }
    named_barrier_sync(kBarrier, kMathThreads);
    if (group_k == 0) {
#pragma unroll
        for (uint32_t i = 0; i < kWaves * kSums; ++i)
#pragma unroll
            for (uint32_t g = 0; g + 1 < kGroupsK; ++g)
                sum[i / kSums][i % kSums] +=
                    load_shared(first + g * kGroupsM * kGroupBytes + i * kValueBytes);
    }
    named_barrier_sync(kBarrier, kMathThreads);
}

__device__ __forceinline__ void store(const Shared& shared, const CUtensorMap& d_map,
                                      const GemmParams& params, const Tile& tile, uint32_t group_m,
                                      uint32_t thread, const float (&sum)[kWaves][kSums]) {
    const uint32_t group_row = group_m * kWaves * kWgmmaM;
    if constexpr (kBf16) {
        if (params.d_by_tma) {
            const uint32_t staged = shared.staged + group_row * kBlockN * 2;
            const uint32_t barrier = 1 + group_m;
            if (thread == 0) tma_store_wait_read();
            named_barrier_sync(barrier, kWarpgroup);
#pragma unroll
            for (uint32_t wave = 0; wave < kWaves; ++wave)
                stage_bf16<kBlockN>(staged + wave * kWgmmaM * kBlockN * 2, sum[wave], thread);
            fence_smem_to_tma();
            named_barrier_sync(barrier, kWarpgroup);
            if (thread == 0) {
#pragma unroll
                for (uint32_t wave = 0; wave < kWaves; ++wave) {
                    const uint32_t row = tile.m + group_row + wave * kWgmmaM;
                    if (row < params.m)
                        store_staged<kBlockN>(staged + wave * kWgmmaM * kBlockN * 2, &d_map, row, tile.n,
                                              params.n);
                }
            }
            return;
        }
    }
#pragma unroll
    for (uint32_t wave = 0; wave < kWaves; ++wave)
        store_registers<kBf16, kBlockN>(params, sum[wave], tile.m + group_row + wave * kWgmmaM, tile.n,
                                        thread);
}

__device__ __forceinline__ void consume(const Shared& shared, const CUtensorMap& d_map,
                                        const GemmParams& params, uint32_t cluster_m, uint32_t cluster_n,
                                        uint32_t group, uint32_t thread) {
    const uint32_t group_m = group % kGroupsM, group_k = group / kGroupsM;
    const uint32_t k_blocks = blocks_of(params.k);
    Scheduler scheduler(params.m, params.n, k_blocks);
    StageRing ring;
    for (Tile tile; scheduler.next(cluster_m, cluster_n, tile); ring.skip(k_blocks)) {
        float sum[kWaves][kSums] = {};
        multiply(shared, ring, k_blocks, group_m, group_k, thread, sum);
        if constexpr (kGroupsK > 1) reduce_groups(shared.partial, group_m, group_k, thread, sum);
        if (group_k == 0) store(shared, d_map, params, tile, group_m, thread, sum);
    }
    if (kBf16 && group_k == 0 && thread == 0) tma_store_wait_read();  // before shared memory goes away
}

extern "C" __global__ void __launch_bounds__(kThreads, 1)
    KERNEL_NAME(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap b_map,
                const __grid_constant__ CUtensorMap d_map, const __grid_constant__ GemmParams params) {
    extern __shared__ __align__(1024) uint8_t smem[];
    const Shared shared(smem_address(smem));
    // Uniform over the warp, and known to be so by the compiler: roles branch without divergence.
    const uint32_t warp = __shfl_sync(0xffffffff, threadIdx.x / kWarp, 0);
    const uint32_t lane = threadIdx.x % kWarp;
    const uint32_t rank = kCluster > 1 ? cluster_rank() : 0;
    const uint32_t cluster_m = rank % kClusterM, cluster_n = rank / kClusterM;

    if (warp == 0 && elect_lane()) {
        tma_prefetch_map(&a_map);
        tma_prefetch_map(&b_map);
        if (kBf16 && params.d_by_tma) tma_prefetch_map(&d_map);
        for (uint32_t stage = 0; stage < kStages; ++stage) {
            mbarrier_init(shared.full_at(stage), 1 + kWarp);
            mbarrier_init(shared.empty_at(stage), kGroupsM * (kWarpgroup / kWarp) * kCluster);
        }
        mbarrier_init_fence();
    }
    if constexpr (kCluster > 1)
        cluster_sync();
    else
        __syncthreads();

    if (warp < kMathThreads / kWarp) {
        if constexpr (kExchangeRegisters) registers_take<kMathRegisters>();
        consume(shared, d_map, params, cluster_m, cluster_n, warp / (kWarpgroup / kWarp),
                threadIdx.x % kWarpgroup);
    } else {
        if constexpr (kExchangeRegisters) registers_release<kProducerRegisters>();
        const uint32_t role = warp - kMathThreads / kWarp;
        if (role == 0 && elect_lane()) produce_tiles(shared, a_map, b_map, params, cluster_m, cluster_n);
        if (role == 1) produce_scales(shared, params, cluster_m, cluster_n, lane);
    }
    // A CTA stays while others of its cluster may still write into its stages or arrive at its barriers.
    if constexpr (kCluster > 1) {
        __syncwarp();
        cluster_sync();
    }
}
