// Quantizes each token once, as per_token_group_quant does, and stores it to the rows of all its experts.
// Sixteen lanes take one group of 128, eight values each.
#include "params_experts.h"
#include "quantize.cuh"

using namespace barrow;

namespace {

constexpr uint32_t kLanes = kScaleBlock / 8;

// kWhole: eight columns at a time, which lie at multiples of 16 bytes.
template <bool kWhole>
__device__ __forceinline__ void permute(const PermuteQuantParams& params) {
    const uint32_t strips = params.k / kExpertColumns + (params.k % kExpertColumns != 0);
    const uint32_t first = blockIdx.x % strips * kExpertColumns + threadIdx.x * 8;
    const uint32_t valid = valid_of_eight<kWhole>(first, params.k);
    const uint32_t lane = threadIdx.x % kLanes;
    const auto* x = static_cast<const IN_TYPE*>(params.x) + first;
    float* scales = params.scale + first / kScaleBlock * params.scale_stride_k;
    for (uint32_t token = blockIdx.x / strips; token < params.tokens; token += gridDim.x / strips) {
        // Positions come along with the values, one for each lane and the next ones when those are used up.
        const int32_t* positions = params.positions + token * params.position_stride_t;
        int32_t position = lane < params.top_k ? positions[lane * params.position_stride_j] : -1;
        float values[8];
        load_eight(x + token * params.x_stride_t, valid, kWhole, values);
        const float scale = scale_of(group_amax(finite_amax(values), kLanes), params.use_ue8m0);
        const uint2 q = quantize_eight(values, scale);
        for (uint32_t place = 0; place < params.top_k; ++place) {
            if (place > 0 && place % kLanes == 0)
                position =
                    place + lane < params.top_k ? positions[(place + lane) * params.position_stride_j] : -1;
            const auto row = static_cast<uint32_t>(__shfl_sync(0xffffffff, position, place % kLanes, kLanes));
            if (row >= params.rows) continue;  // -1 too
            store_eight(params.q + uint64_t{row} * params.k + first, valid, kWhole, q);
            if (lane == 0 && valid > 0) scales[row] = scale;
        }
    }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kExpertThreads, kExpertBlocksPerSm)
    KERNEL_NAME(const __grid_constant__ PermuteQuantParams params) {
    wait_for_predecessors();
    // A GEMM that follows may load the groups and its weights from now on: whatever wrote them is done.
    launch_dependents();
    if (params.k % 8 == 0 && vector_rows<IN_TYPE>(params.x, params.x_stride_t)) {
        permute<true>(params);
    } else {
        permute<false>(params);
    }
}
