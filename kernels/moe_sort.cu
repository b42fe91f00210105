// Gives each row of each token its place among the rows of its expert, ordered by expert and then as they
// come. One block: a grid would have to meet between counting and placing. Warps take consecutive parts of
// the ids, count the rows of each expert in theirs, and after a scan over experts and warps walk them once
// more. Ranks within a warp come from the lanes' order, so that nothing depends on which thread was first.
#include "params_experts.h"
#include "ptx/sync.cuh"

using namespace barrow;

namespace {

// Ids that a lane has under way at once.
constexpr uint32_t kSteps = 4;

// The expert of id i, params.experts where there is none.
__device__ __forceinline__ uint32_t expert_of(const SortParams& params, uint32_t i) {
    const int64_t gaps = params.id_gap == 0 ? 0 : i / params.top_k * params.id_gap;
    const int64_t id = static_cast<const ID_TYPE*>(params.ids)[i * params.id_stride + gaps];
    return static_cast<uint64_t>(id) < params.experts ? static_cast<uint32_t>(id) : params.experts;
}

// Experts of this lane's next ids, a warp apart, that lie before `end`.
__device__ __forceinline__ void load_experts(const SortParams& params, uint32_t first, uint32_t end,
                                             uint32_t (&experts)[kSteps]) {
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
        const uint32_t i = first + step * kWarp;
        experts[step] = i < end ? expert_of(params, i) : params.experts;
    }
}

// Turns the rows that each warp has counted for an expert into those of the warps before it. Returns their
// sum.
__device__ __forceinline__ uint32_t sum_of_warps(const SortParams& params, uint32_t* of_expert) {
    // Read in batches, since the compiler cannot tell that no write is to what is read next.
    constexpr uint32_t kBatch = 8;
    uint32_t sum = 0;
    for (uint32_t first = 0; first < params.warps; first += kBatch) {
        uint32_t rows[kBatch];
#pragma unroll
        for (uint32_t i = 0; i < kBatch; ++i)
            rows[i] = first + i < params.warps ? of_expert[(first + i) * params.experts] : 0;
#pragma unroll
        for (uint32_t i = 0; i < kBatch; ++i) {
            if (first + i < params.warps) of_expert[(first + i) * params.experts] = sum;
            sum += rows[i];
        }
    }
    return sum;
}

// Sum of `value` over all threads up to and with this one.
__device__ __forceinline__ uint32_t inclusive_sum(uint32_t value, uint32_t (&of_warps)[kWarp]) {
    const uint32_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
#pragma unroll
    for (uint32_t offset = 1; offset < kWarp; offset *= 2) {
        const uint32_t below = __shfl_up_sync(0xffffffff, value, offset);
        if (lane >= offset) value += below;
    }
    if (lane == kWarp - 1) of_warps[warp] = value;
    __syncthreads();
    return value + __reduce_add_sync(0xffffffff, lane < warp ? of_warps[lane] : 0);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kSortMaxExperts)
    KERNEL_NAME(const __grid_constant__ SortParams params) {
    __shared__ uint32_t
        counters[kSortCounters];  // of each warp a row: rows of each expert, later those before
    __shared__ uint32_t firsts[kSortMaxExperts];  // the first row of each expert
    __shared__ uint32_t sums[kWarp];
    launch_dependents();
    const uint32_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    for (uint32_t i = threadIdx.x; i < params.warps * params.experts; i += blockDim.x) counters[i] = 0;
    __syncthreads();
    wait_for_predecessors();

    // Whole warps of ids; the last warps may have fewer, or none.
    const uint32_t in_warps = params.count / kWarp + (params.count % kWarp != 0);
    const uint32_t part = (in_warps + params.warps - 1) / params.warps * kWarp;
    const uint32_t begin = warp < params.warps ? min(warp * part, params.count) : params.count;
    const uint32_t end = params.count - begin > part ? begin + part : params.count;
    uint32_t* mine = counters + warp * params.experts;
    uint32_t experts[kSteps];
    for (uint32_t first = begin; first < end; first += kSteps * kWarp) {
        load_experts(params, first + lane, end, experts);
#pragma unroll
        for (uint32_t step = 0; step < kSteps; ++step)
            if (experts[step] < params.experts) atomicAdd(mine + experts[step], 1);
    }
    __syncthreads();

    const uint32_t expert = threadIdx.x;
    uint32_t rows = 0;
    if (expert < params.experts) rows = sum_of_warps(params, counters + expert);
    const uint32_t row_end = inclusive_sum(rows, sums);
    if (expert < params.experts) {
        params.groups[expert] = static_cast<int32_t>(params.slabs ? rows : row_end);
        firsts[expert] = params.slabs ? expert * params.max_m : row_end - rows;
    }
    __syncthreads();

    const uint32_t limit = params.slabs ? params.max_m : params.count;
    for (uint32_t first = begin; first < end; first += kSteps * kWarp) {
        load_experts(params, first + lane, end, experts);
#pragma unroll
        for (uint32_t step = 0; step < kSteps; ++step) {
            const uint32_t i = first + step * kWarp + lane;
            if (i - lane >= end) break;
            const bool placed = experts[step] < params.experts;
            const uint32_t peers = __match_any_sync(0xffffffff, experts[step]);
            const uint32_t leader = __ffs(peers) - 1;
            uint32_t rank = 0;
            if (placed && lane == leader) rank = atomicAdd(mine + experts[step], __popc(peers));
            rank = __shfl_sync(0xffffffff, rank, leader) + __popc(peers & ((1u << lane) - 1));
            if (i < end)
                params.positions[i] =
                    placed && rank < limit ? static_cast<int32_t>(firsts[experts[step]] + rank) : -1;
        }
    }
}
