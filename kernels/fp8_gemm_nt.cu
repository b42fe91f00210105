// D[M,N] = A[M,K] x B[N,K]^T in FP8 (e4m3) with block scales, for Hopper's wgmma and copy engine.
//
// A CTA is one warpgroup of producers and WARPGROUPS math warpgroups around a ring of stages in shared
// memory, each holding 128 of K: a tile of A with its scales and a tile of B. The producers are one thread
// that drives the copy engine for the tiles and one, or where it cannot address them a warp, for A's scales.
// A math warpgroup multiplies a stage on the tensor cores and promotes the partial sum, times both scales,
// into float32 registers. The grid is persistent over D's tiles.
//
// The CLUSTER_K CTAs of a cluster split the K of one tile and add their sums up in a fixed order.
//
// One source, many kernels: the catalogue defines the macros that gemm/tile.cuh reads
// (src/barrow_build/config).
#include "cluster_reduce.cuh"
#include "epilogue.cuh"
#include "gemm/multiply.cuh"
#include "gemm/produce.cuh"

using namespace barrow;

// Stores `kColumns` columns of one warpgroup's 64 rows, from D's (row, column) on.
template <uint32_t kColumns>
__device__ __forceinline__ void store(uint32_t staged, const CUtensorMap& d_map, const GemmParams& params,
                                      uint32_t row, uint32_t column, uint32_t group, uint32_t thread,
                                      const float (&sum)[kColumns / 2]) {
    if constexpr (kBf16) {
        if (params.d_by_tma) {
            const uint32_t barrier = 1 + group;
            if (thread == 0) tma_store_wait_read();
            named_barrier_sync(barrier, kWarpgroup);
            stage_bf16<kColumns>(staged, sum, thread);
            fence_smem_to_tma();
            named_barrier_sync(barrier, kWarpgroup);
            if (thread == 0 && row < params.m) store_staged<kColumns>(staged, &d_map, row, column, params.n);
            return;
        }
    }
    store_registers<kBf16, kColumns>(params, sum, row, column, thread);
}

__device__ __forceinline__ void consume(const Shared& shared, const CUtensorMap& d_map,
                                        const GemmParams& params, uint32_t rank, uint32_t group,
                                        uint32_t thread) {
    const uint32_t k_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    Multiplier math(shared, params.a_scale_box_rows == 0, group, thread);
    ScalesB scales(params, rank, k_blocks, math.lane);
    Tile tile;
    bool more = scheduler.next(tile);
    if (more) scales.begin(tile.n);
    while (more) {
        float sum[kWaves][kSums] = {};
        if constexpr (kInFlight == 1)
            multiply_in_turn(math, scales, k_blocks, sum);
        else
            multiply_overlapped(math, scales, k_blocks, sum[0]);
        const uint32_t row = tile.m + math.first_row, column = tile.n;
        // The next tile's scales travel while this one is stored.
        more = scheduler.next(tile);
        if (more) scales.begin(tile.n);
        const uint32_t staged = shared.staged + math.first_row * kSliceN * 2;
        if constexpr (kClusterK > 1) {
            float slice[kSliceN / 2];
            cluster_reduce<kClusterK, kWarpgroups>(sum[0], slice, shared.partial, shared.reduce, rank, group,
                                                   thread);
            store<kSliceN>(staged, d_map, params, row, column + rank * kSliceN, group, thread, slice);
        } else {
#pragma unroll
            for (uint32_t wave = 0; wave < kWaves; ++wave)
                store<kBlockN>(staged + wave * kWgmmaM * kBlockN * 2, d_map, params, row + wave * kWgmmaM,
                               column, group, thread, sum[wave]);
        }
    }
    if (kBf16 && thread == 0) tma_store_wait_read();  // before shared memory goes away
}

extern "C" __global__ void __launch_bounds__(kThreads, 1)
    KERNEL_NAME(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap b_map,
                const __grid_constant__ CUtensorMap d_map, const __grid_constant__ CUtensorMap a_scale_map,
                const __grid_constant__ GemmParams params) {
    extern __shared__ __align__(1024) uint8_t smem[];
    const Shared shared(smem_address(smem));
    // Uniform over the warp, and known to be so by the compiler: roles branch without divergence.
    const uint32_t warp = __shfl_sync(0xffffffff, threadIdx.x / kWarp, 0);
    const bool scales_by_tma = params.a_scale_box_rows > 0;
    const uint32_t rank = kClusterK > 1 ? cluster_rank() : 0;

    if (warp == 0 && elect_lane()) {
        tma_prefetch_map(&a_map);
        tma_prefetch_map(&b_map);
        if (kBf16 && params.d_by_tma) tma_prefetch_map(&d_map);
        if (scales_by_tma) tma_prefetch_map(&a_scale_map);
        for (uint32_t stage = 0; stage < kStages; ++stage) {
            // Arrivals: the thread that loads the tiles, and the thread that loads or the warp that copies
            // A's scales.
            mbarrier_init(shared.full_at(stage), 1 + (scales_by_tma ? 1 : kWarp));
            // Copied scales are written by threads, so every thread that reads them tells so itself.
            mbarrier_init(shared.empty_at(stage), scales_by_tma ? kMathThreads / kWarp : kMathThreads);
        }
        if constexpr (kClusterK > 1) mbarrier_init(shared.reduce, 1);
        mbarrier_init_fence();
    }
    if constexpr (kClusterK > 1)
        cluster_sync();
    else
        __syncthreads();

    if (warp < kMathThreads / kWarp) {
        if constexpr (kExchangeRegisters) registers_take<kMathRegisters>();
        consume(shared, d_map, params, rank, warp / (kWarpgroup / kWarp), threadIdx.x % kWarpgroup);
    } else {
        if constexpr (kExchangeRegisters) registers_release<kProducerRegisters>();
        const uint32_t role = warp - kMathThreads / kWarp;
        if (role == 0 && elect_lane()) produce_tiles(shared, a_map, b_map, params, rank);
        if (role == 1 && !scales_by_tma) copy_scales(shared, params, rank, threadIdx.x % kWarp);
        if (role == 1 && scales_by_tma && elect_lane()) produce_scales(shared, a_scale_map, params, rank);
    }
}
