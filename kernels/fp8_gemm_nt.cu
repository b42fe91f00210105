// D[M,N] = A[M,K] x B[N,K]^T in FP8 (e4m3) with block scales, for Hopper's wgmma and copy engine.
//
// A CTA is one warpgroup of producers and WARPGROUPS math warpgroups around a ring of stages in shared
// memory, each holding 128 of K: a tile of A with its scales and a tile of B. The producers are one thread
// that drives the copy engine for the tiles and one, or where it cannot address them a warp, for A's scales.
// A math warpgroup multiplies a stage on the tensor cores and promotes the partial sum, times both scales,
// into float32 registers. The grid is persistent over D's tiles.
//
// CTAs of a cluster work together in one of two ways: CLUSTER_M x CLUSTER_N of them share tiles of A and B by
// multicast, or CLUSTER_K of them split the K of one tile and add their sums up in a fixed order.
//
// One source, many kernels: the catalogue defines the macros below (src/barrow_build/config).
#include "cluster_reduce.cuh"
#include "epilogue.cuh"
#include "ptx/cp_async.cuh"
#include "tile_scheduler.cuh"

using namespace barrow;

constexpr uint32_t kBlockM = BLOCK_M, kBlockN = BLOCK_N, kStages = STAGES;
constexpr uint32_t kClusterM = CLUSTER_M, kClusterN = CLUSTER_N, kClusterK = CLUSTER_K;
constexpr uint32_t kSharers = kClusterM * kClusterN;  // CTAs that write into each other's stages
constexpr uint32_t kCluster = kSharers * kClusterK;
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
    uint32_t partial;  // float sums that other CTAs of the cluster read
    uint32_t scale_a;  // [kStages][kBlockM] floats
    uint32_t full;     // [kStages] barriers: tiles and scales have landed
    uint32_t empty;    // [kStages] barriers: every reader is done
    uint32_t reduce;   // the two barriers of ClusterReduce

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

// This CTA's place in its cluster.
struct Place {
    uint32_t m, n, k;

    __device__ __forceinline__ explicit Place(uint32_t rank)
        : m(rank % kClusterM), n(rank / kClusterM % kClusterN), k(rank / kSharers) {}
};

// Blocks of K of a tile that this CTA multiplies: every kClusterK-th, from its own place on.
__device__ __forceinline__ uint32_t k_blocks_of(uint32_t k, const Place& place) {
    const uint32_t blocks = k / kScaleBlock + (k % kScaleBlock != 0);
    return (blocks + kClusterK - 1 - place.k) / kClusterK;
}

using Scheduler = TileScheduler<kBlockM, kBlockN, kClusterM, kClusterN, kClusterK>;
using StageRing = Ring<kStages>;

// The thread that feeds the copy engine. Each CTA loads its share of a shared tile and multicasts it.
__device__ __forceinline__ void produce_tiles(const Shared& shared, const CUtensorMap& a_map,
                                              const CUtensorMap& b_map, const GemmParams& params,
                                              const Place& place) {
    constexpr uint32_t kShareB = kBlockN / kClusterM;
    const uint32_t share_a = params.a_box_rows;
    const uint32_t stage_bytes = share_a * kClusterN * kScaleBlock + kTileBytesB;
    uint16_t mask_a = 0, mask_b = 0;
    for (uint32_t i = 0; i < kClusterN; ++i) mask_a |= 1u << (place.m + i * kClusterM);
    for (uint32_t i = 0; i < kClusterM; ++i) mask_b |= 1u << (place.n * kClusterM + i);
    const uint32_t k_blocks = k_blocks_of(params.k, place);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(place.m, place.n, tile);) {
        const uint32_t row_a = tile.m + place.n * share_a, row_b = tile.n + place.m * kShareB;
        uint32_t k = place.k * kScaleBlock;
        for (uint32_t i = 0; i < k_blocks; ++i, k += kClusterK * kScaleBlock, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            const uint32_t a = shared.a + ring.stage * kTileBytesA + place.n * share_a * kScaleBlock;
            const uint32_t b = shared.b + ring.stage * kTileBytesB + place.m * kShareB * kScaleBlock;
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
        }
    }
}

// Brings A's scales through the copy engine; one thread.
__device__ __forceinline__ void produce_scales(const Shared& shared, const CUtensorMap& a_scale_map,
                                               const GemmParams& params, const Place& place) {
    const uint32_t k_blocks = k_blocks_of(params.k, place);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(place.m, place.n, tile);) {
        for (uint32_t i = 0, kb = place.k; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
            const uint32_t full = shared.full_at(ring.stage);
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
            mbarrier_arrive_expect_bytes(full, params.a_scale_box_rows * 4);
            tma_load(shared.scale_a + ring.stage * kScaleBytesA, &a_scale_map, full, tile.m, kb);
        }
    }
}

// Brings A's scales one by one where the copy engine cannot address them; one warp. Rows beyond D get zero.
__device__ __forceinline__ void copy_scales(const Shared& shared, const GemmParams& params,
                                            const Place& place, uint32_t lane) {
    const uint32_t k_blocks = k_blocks_of(params.k, place);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    for (Tile tile; scheduler.next(place.m, place.n, tile);) {
        for (uint32_t i = 0, kb = place.k; i < k_blocks; ++i, kb += kClusterK, ring.advance()) {
            const float* column = params.a_scale + kb * params.a_scale_stride_k;
            mbarrier_wait(shared.empty_at(ring.stage), ring.parity ^ 1);
#pragma unroll 4  // of a taller tile's eight, the row addresses would spill
            for (uint32_t row = lane; row < kBlockM; row += kWarp) {
                const bool valid = tile.m + row < params.m;
                const int64_t offset = valid ? (tile.m + row) * params.a_scale_stride_m : 0;
                cp_async_float(shared.scale_a + ring.stage * kScaleBytesA + row * 4, column + offset, valid);
            }
            cp_async_arrive(shared.full_at(ring.stage));
        }
    }
}

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
                                        const GemmParams& params, const Place& place, uint32_t group,
                                        uint32_t thread) {
    const uint32_t k_blocks = k_blocks_of(params.k, place);
    Scheduler scheduler(params.m, params.n);
    StageRing ring;
    ClusterReduce<kClusterK, kWarpgroups, kSums> reduce(shared.partial, shared.reduce);
    for (Tile tile; scheduler.next(place.m, place.n, tile); ring.skip(k_blocks)) {
        float sum[kWaves][kSums] = {};
        Multiplier math(shared, ring, group, thread);
        ScalesB scales(params, place, tile.n, k_blocks, math.lane);
        if constexpr (kInFlight == 1)
            multiply_in_turn(math, scales, k_blocks, sum);
        else
            multiply_overlapped(math, scales, k_blocks, sum[0]);
        const uint32_t row = tile.m + math.first_row;
        const uint32_t staged = shared.staged + math.first_row * kSliceN * 2;
        if constexpr (kClusterK > 1) {
            float slice[kSliceN / 2];
            reduce.sum_slice(sum[0], slice, place.k, group, thread);
            store<kSliceN>(staged, d_map, params, row, tile.n + place.k * kSliceN, group, thread, slice);
        } else {
#pragma unroll
            for (uint32_t wave = 0; wave < kWaves; ++wave)
                store<kBlockN>(staged + wave * kWgmmaM * kBlockN * 2, d_map, params, row + wave * kWgmmaM,
                               tile.n, group, thread, sum[wave]);
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
    const Place place(kCluster > 1 ? cluster_rank() : 0);

    if (warp == 0 && elect_lane()) {
        tma_prefetch_map(&a_map);
        tma_prefetch_map(&b_map);
        if (kBf16 && params.d_by_tma) tma_prefetch_map(&d_map);
        if (scales_by_tma) tma_prefetch_map(&a_scale_map);
        for (uint32_t stage = 0; stage < kStages; ++stage) {
            // Arrivals: the thread that loads the tiles, and the thread that loads or the warp that copies
            // A's scales.
            mbarrier_init(shared.full_at(stage), 1 + (scales_by_tma ? 1 : kWarp));
            mbarrier_init(shared.empty_at(stage), kMathThreads / kWarp * kSharers);
        }
        if constexpr (kClusterK > 1) cluster_reduce_init(shared.reduce, kClusterK * kMathThreads / kWarp);
        mbarrier_init_fence();
    }
    if constexpr (kCluster > 1)
        cluster_sync();
    else
        __syncthreads();

    if (warp < kMathThreads / kWarp) {
        if constexpr (kExchangeRegisters) registers_take<kMathRegisters>();
        consume(shared, d_map, params, place, warp / (kWarpgroup / kWarp), threadIdx.x % kWarpgroup);
    } else {
        if constexpr (kExchangeRegisters) registers_release<kProducerRegisters>();
        const uint32_t role = warp - kMathThreads / kWarp;
        if (role == 0 && elect_lane()) produce_tiles(shared, a_map, b_map, params, place);
        if (role == 1 && !scales_by_tma) copy_scales(shared, params, place, threadIdx.x % kWarp);
        if (role == 1 && scales_by_tma && elect_lane()) produce_scales(shared, a_scale_map, params, place);
    }
    // A CTA stays while others of its cluster may still touch its shared memory.
    if constexpr (kCluster > 1) {
        __syncwarp();
        cluster_sync();
    }
}
