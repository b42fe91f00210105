// D[M,N] = A[M,K] x B[N,K]^T in FP8 (e4m3) with block scales, for Hopper's wgmma and copy engine.
//
// A CTA is a producer and WARPGROUPS math warpgroups around a ring of stages in shared memory, each holding
// 128 of K: a tile of A with its scales and a tile of B. The producer is a thread, or a warp where the copy
// engine cannot address the scales and they have to be copied. A math warpgroup multiplies a stage on the
// tensor cores and promotes the partial sum, times both scales, into float32 registers. The grid is
// persistent over D's tiles.
//
// The CLUSTER_K CTAs of a cluster split the K of one tile and add their sums up in a fixed order. With few
// rows of A, SWAPPED lays B on wgmma's 64 rows and A on its narrow side, and the sums are D transposed.
// B may be loaded ahead, before the kernels in front have ended: with few rows by a warp of its own
// (gemm/ahead.cuh), and swapped, math threads hold some of it until A is there (gemm/held.cuh).
//
// Beside each other along N, the CLUSTER_N CTAs of a cluster load each tile of A together.
//
// GROUPED, rows of A come in groups, each multiplied by a matrix of its own. What writes float32 with a scale
// for each row of B, for gradients of weights, takes groups of K, each with operands and a result of its own.
// In both only the walk over tiles and where they lie differ.
//
// One source, many kernels: the catalogue defines the macros that gemm/tile.cuh reads
// (src/barrow_build/config).
#include "cluster_reduce.cuh"
#include "epilogue.cuh"
#include "gemm/produce.cuh"

using namespace barrow;

// Lets the warpgroup write to its place in shared memory, and then send that off.
template <typename Stage, typename Send>
__device__ __forceinline__ void through_smem(uint32_t group, uint32_t thread, Stage stage, Send send) {
    const uint32_t barrier = 1 + group;
    if (thread == 0) tma_store_wait_read();
    named_barrier_sync(barrier, kWarpgroup);
    stage();
    fence_smem_to_tma();
    named_barrier_sync(barrier, kWarpgroup);
    send();
}

// Stores `kColumns` of wgmma's columns and one warpgroup's 64 rows of `tile`, from D's (row, column) on.
template <uint32_t kColumns>
__device__ __forceinline__ void store(uint32_t staged, const CUtensorMap& d_map, const Params& params,
                                      const Tile& tile, uint32_t row, uint32_t column, uint32_t group,
                                      uint32_t thread, const float (&sum)[kColumns / 2]) {
    const bool inside = row < params.m;
    if constexpr (kBf16) {
        constexpr uint32_t kRows = kSwapped ? kColumns : kWgmmaM, kWidth = kSwapped ? kWgmmaM : kColumns;
        const auto stage = [&] {
            if constexpr (kSwapped)
                stage_bf16_transposed<kColumns>(staged, sum, thread);
            else
                stage_bf16<kColumns>(staged, sum, thread);
        };
        const auto send = [&] {
            if (kGrouped && !Access::storable(params, tile, row, kRows)) {
                copy_staged<kRows, kWidth>(params, Access::target(params, tile), staged, row, column, thread);
            } else if (thread == 0 && inside) {
                store_staged<kWidth>(params, staged, &d_map, row, column, tile);
            }
        };
        if (params.d_by_tma) return through_smem(group, thread, stage, send);
    } else if constexpr (kStaged) {
        if (params.d_by_tma && Access::storable(params, tile, row, kWgmmaM)) {
            // A box after the other, so that they take little room.
#pragma unroll
            for (uint32_t first = 0; first < kColumns; first += kStoreColumns)
                through_smem(
                    group, thread, [&] { stage_f32<kColumns>(staged, sum, first, thread); },
                    [&] {
                        if (thread != 0) return;
                        if (inside && column + first < params.n)
                            Access::store_box(params, staged, &d_map, column + first, row, tile);
                        tma_store_commit();
                    });
            return;
        }
    }
    const Target target = Access::target(params, tile);
    if constexpr (kSwapped)
        store_registers_transposed<kBf16, kColumns>(params, target, sum, row, column, thread);
    else
        store_registers<kBf16, kColumns>(params, target, sum, row, column, thread);
}

__device__ __forceinline__ void consume(const Shared& shared, const CUtensorMap& d_map, const Params& params,
                                        uint32_t rank, uint32_t group, uint32_t thread) {
    const uint32_t all_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    Multiplier math(shared, params.a_scale_box_rows == 0, group, thread);
    ScalesB scales(shared, params, rank, all_blocks, math.lane);
    // Where this warpgroup's part of a tile begins.
    const uint32_t down = kSwapped ? 0 : math.first_row, along = kSwapped ? math.first_row : 0;
    Tile tile;
    bool more = scheduler.next(tile);
    if (more) scales.begin(tile.n + along, Access::scale_b_offset(params, tile), tile.backward);
    HeldB<kHeld> held;
    if (more) held.take(math, params, Access::k_blocks(params, tile.group, all_blocks), thread);
    while (more) {
        float sum[kWaves][kSums] = {};
        const uint32_t active = Access::active_waves(tile, down);
        const uint32_t k_blocks = Access::k_blocks(params, tile.group, all_blocks) - held.blocks;
        multiply(math, scales, k_blocks, active, sum);
        held.multiply(math, scales, k_blocks, sum[0]);
        const Tile done = tile;
        const uint32_t row = done.m + down, column = done.n + along;
        // The next tile's scales travel while this one is stored. CTAs that split K have one tile.
        more = kClusterK == 1 && scheduler.next(tile);
        if (more) scales.begin(tile.n + along, Access::scale_b_offset(params, tile), tile.backward);
        const uint32_t staged = shared.staged + group * kWaves * kStagedBytes;
        if constexpr (kClusterK > 1) {
            float slice[kSlice / 2];
            const uint32_t first = rank * kSlice;
            if (cluster_reduce<kClusterK, kSlices, kWarpgroups>(sum[0], slice,
                                                                shared.received + group * kReceivedBytes,
                                                                shared.landed, rank, group, thread))
                store<kSlice>(staged, d_map, params, done, row + (kSwapped ? first : 0),
                              column + (kSwapped ? 0 : first), group, thread, slice);
        } else {
#pragma unroll
            for (uint32_t wave = 0; wave < kWaves; ++wave) {
                if (wave >= active) break;  // no rows of the group
                store<kWgmmaN>(staged + wave * kStagedBytes, d_map, params, done, row + wave * kWaveStep,
                               column, group, thread, sum[wave]);
            }
        }
    }
    if (kStaged && thread == 0) tma_store_wait_read();  // before shared memory goes away
}

extern "C" __global__ void __launch_bounds__(kThreads, CTAS_PER_SM)
    KERNEL_NAME(const __grid_constant__ OperandMap a_map, const __grid_constant__ OperandMap b_map,
                const __grid_constant__ CUtensorMap d_map, const __grid_constant__ CUtensorMap a_scale_map,
                const __grid_constant__ CUtensorMap b_scale_map, const __grid_constant__ Params params) {
    extern __shared__ __align__(1024) uint8_t smem[];
    const Shared shared(smem_address(smem));
    // Uniform over the warp, and known to be so by the compiler: roles branch without divergence.
    const uint32_t warp = __shfl_sync(0xffffffff, threadIdx.x / kWarp, 0);
    const bool scales_by_tma = params.a_scale_box_rows > 0;
    const uint32_t rank = kClusterK > 1 ? cluster_rank() : 0;

    if (warp == 0 && elect_lane()) {
        Access::prefetch(a_map, params);
        Access::prefetch(b_map, params);
        if (kStaged && params.d_by_tma) tma_prefetch_map(&d_map);
        if (scales_by_tma) tma_prefetch_map(&a_scale_map);
        if (kRowScalesB && scales_by_tma) tma_prefetch_map(&b_scale_map);
        shared.init_barriers(!scales_by_tma);
        if constexpr (kClusterK > 1) mbarrier_init(shared.landed, 1);
        mbarrier_init_fence();
    }
    // The fence above is what makes the barriers visible.
    if constexpr (kClusterK * kClusterN > 1)
        cluster_meet();
    else
        __syncthreads();

    if (threadIdx.x == 0) launch_dependents();
    // The producer waits for itself before it loads A; this is for B and its scales.
    if (!params.prefetch_b) wait_for_predecessors();

    if (warp < kMathWarps) {
        if constexpr (kExchangeRegisters) registers_take<kMathRegisters>();
        consume(shared, d_map, params, rank, warp / (kWarpgroup / kWarp), threadIdx.x % kWarpgroup);
    } else {
        if constexpr (kExchangeRegisters) registers_release<kProducerRegisters>();
        if (warp == kMathWarps) {
            const Maps maps{a_map, b_map, a_scale_map, b_scale_map};
            if (!scales_by_tma)
                produce<true>(shared, maps, params, rank, threadIdx.x % kWarp);
            else if (kGrouped || elect_lane())
                produce<false>(shared, maps, params, rank, threadIdx.x % kWarp);
        } else if (kAheadWarp && warp == kMathWarps + 1 && params.prefetch_b && elect_lane()) {
            load_ahead(shared, b_map, params, rank);
        }
    }
    // A CTA stays as long as the other one may arrive at its barriers.
    if constexpr (kClusterN > 1) {
        __syncwarp();
        cluster_sync();
    }
}
