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

struct Shared {
    uint8_t* a;       // [kStages] tiles, 128-byte swizzle
    uint8_t* b;       // [kStages] tiles, 128-byte swizzle
    uint8_t* staged;  // the tile of D on its way out
    float* partial;   // sums of math warpgroups 1.. along K
    float* scales;    // [kStages][kScales]: rows of A, then kScalesB of B
    uint64_t* full;   // [kStages] tiles and scales have landed
    uint64_t* empty;  // [kStages] every reader in the cluster is done

    __device__ __forceinline__ explicit Shared(uint8_t* base) {
        a = base;
        b = a + kStages * kTileBytesA;
        staged = b + kStages * kTileBytesB;
        partial = reinterpret_cast<float*>(staged + kStagedBytes);
        scales = partial + (kGroupsK - 1) * kBlockM * kBlockN;
        full = reinterpret_cast<uint64_t*>(scales + kStages * kScales);
        empty = full + kStages;
    }
};

using Scheduler = TileScheduler<kBlockM, kBlockN, kClusterM, kClusterN>;
using StageRing = Ring<kStages>;

// The thread that feeds the copy engine. Each CTA loads its share of a shared tile and multicasts it.
__device__ __forceinline__ void produce_tiles(const Shared& shared, const CUtensorMap& a_map,
                                              const CUtensorMap& b_map, const GemmParams& params,
                                              uint32_t cluster_m, uint32_t cluster_n) {
    constexpr uint32_t kShareA = kBlockM / kClusterN, kShareB = kBlockN / kClusterM;
    uint16_t mask_a = 0, mask_b = 0;
    for (uint32_t i = 0; i < kClusterN; ++i) mask_a |= 1u << (cluster_m + i * kClusterM);
    for (uint32_t i = 0; i < kClusterM; ++i) mask_b |= 1u << (cluster_n * kClusterM + i);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(cluster_m, cluster_n, tile);) {
        for (uint32_t k = 0; k < params.k; k += kScaleBlock, ring.advance()) {
            uint64_t* full = &shared.full[ring.stage];
            mbarrier_wait(&shared.empty[ring.stage], ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, kTileBytesA + kTileBytesB);
            uint8_t* a = shared.a + ring.stage * kTileBytesA + cluster_n * kShareA * kScaleBlock;
            uint8_t* b = shared.b + ring.stage * kTileBytesB + cluster_m * kShareB * kScaleBlock;
            const uint32_t row_a = tile.m + cluster_n * kShareA, row_b = tile.n + cluster_m * kShareB;
            if constexpr (kClusterM > 1)
                tma_load_multicast(b, &b_map, full, k, row_b, mask_b);
            else
                tma_load(b, &b_map, full, k, row_b);
            if constexpr (kClusterN > 1)
                tma_load_multicast(a, &a_map, full, k, row_a, mask_a);
            else
                tma_load(a, &a_map, full, k, row_a);
        }
    }
}

// The warp that copies scales. Rows and columns beyond D get scale zero, so that nothing of them can be NaN.
__device__ __forceinline__ void produce_scales(const Shared& shared, const GemmParams& params,
                                               uint32_t cluster_m, uint32_t cluster_n, uint32_t lane) {
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(cluster_m, cluster_n, tile);) {
        const uint32_t column = tile.n + lane * kScaleWidth;
        const bool has_b = lane < kScalesB && column < params.n;
        const float* b = params.b_scale + (has_b ? column / kScaleBlock * params.b_scale_stride_n : 0);
        const float* a = params.a_scale;
        for (uint32_t k = 0; k < params.k; k += kScaleBlock, ring.advance()) {
            float* scales = shared.scales + ring.stage * kScales;
            mbarrier_wait(&shared.empty[ring.stage], ring.parity ^ 1);
#pragma unroll
            for (uint32_t i = lane; i < kBlockM; i += kWarp) {
                const bool valid = tile.m + i < params.m;
                const int64_t row = valid ? tile.m + i : 0;
                cp_async_float(scales + i, a + row * params.a_scale_stride_m, valid);
            }
            if (lane < kScalesB) cp_async_float(scales + kBlockM + lane, b, has_b);
            cp_async_arrive(&shared.full[ring.stage]);
            a += params.a_scale_stride_k;
            b += params.b_scale_stride_k;
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
        mbarrier_wait(&shared.full[ring.stage], ring.parity);
        const float* scales = shared.scales + ring.stage * kScales;
        float scale_b[kScalesB];
#pragma unroll
        for (uint32_t c = 0; c < kScalesB; ++c) scale_b[c] = scales[kBlockM + c];
#pragma unroll
        for (uint32_t wave = 0; wave < kWaves; ++wave) {
            const float scale_a[2] = {scales[row + wave * kWgmmaM], scales[row + wave * kWgmmaM + 8]};
            const uint64_t a = wgmma_descriptor(shared.a + ring.stage * kTileBytesA +
                                                (group_m * kWaves + wave) * kWgmmaM * kScaleBlock);
            const uint64_t b = wgmma_descriptor(shared.b + ring.stage * kTileBytesB);
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
                    if (lane < kCluster) mbarrier_arrive_remote(&shared.empty[ring.stage], lane);
                } else {
                    if (lane == 0) mbarrier_arrive(&shared.empty[ring.stage]);
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
__device__ __forceinline__ void reduce_groups(float* partial, uint32_t group_m, uint32_t group_k,
                                              uint32_t thread, float (&sum)[kWaves][kSums]) {
    constexpr uint32_t kGroupFloats = kWaves * kSums * kWarpgroup;
    constexpr uint32_t kBarrier = 1 + kGroupsM;
    float* mine = partial + group_m * kGroupFloats + thread;
    constexpr uint32_t kNext = kGroupsM * kGroupFloats;
    if (group_k > 0) {
#pragma unroll
        for (uint32_t i = 0; i < kWaves * kSums; ++i)
            mine[(group_k - 1) * kNext + i * kWarpgroup] = sum[i / kSums][i % kSums];
    }
    named_barrier_sync(kBarrier, kMathThreads);
    if (group_k == 0) {
#pragma unroll
        for (uint32_t i = 0; i < kWaves * kSums; ++i)
#pragma unroll
            for (uint32_t g = 0; g + 1 < kGroupsK; ++g)
                sum[i / kSums][i % kSums] += mine[g * kNext + i * kWarpgroup];
    }
    named_barrier_sync(kBarrier, kMathThreads);
}

__device__ __forceinline__ void store(const Shared& shared, const CUtensorMap& d_map,
                                      const GemmParams& params, const Tile& tile, uint32_t group_m,
                                      uint32_t thread, const float (&sum)[kWaves][kSums]) {
    const uint32_t group_row = group_m * kWaves * kWgmmaM;
    if constexpr (kBf16) {
        if (params.d_by_tma) {
            uint8_t* staged = shared.staged + group_row * kBlockN * 2;
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
    const uint32_t k_blocks = params.k / kScaleBlock + (params.k % kScaleBlock != 0);
    Scheduler scheduler(params.m, params.n);
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
    const Shared shared(smem);
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
            mbarrier_init(&shared.full[stage], 1 + kWarp);
            mbarrier_init(&shared.empty[stage], kGroupsM * (kWarpgroup / kWarp) * kCluster);
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
