// Quantizes x[M,K] to float8_e4m3fn with one scale per row and 128 of K, the activations of a block-scaled
// GEMM. Sixteen lanes take one group, eight values each; a block covers kTokenGroupRows rows of one group of
// K, so that the scales, stored with rows adjacent as the GEMM reads them, leave in whole sectors.
#include "quantize.cuh"

using namespace barrow;

constexpr uint32_t kLanes = kScaleBlock / 8;
constexpr uint32_t kRowsAtOnce = kQuantThreads / kLanes;

extern "C" __global__ void __launch_bounds__(kQuantThreads)
    KERNEL_NAME(const __grid_constant__ QuantParams params) {
    const uint32_t groups = params.k / kScaleBlock + (params.k % kScaleBlock != 0);
    const uint32_t group = blockIdx.x % groups;
    const uint32_t first_row = blockIdx.x / groups * kTokenGroupRows;
    const uint32_t lane = threadIdx.x % kLanes;
    const Columns columns = columns_of<IN_TYPE>(params, group * kScaleBlock + lane * 8);
    const auto* x = static_cast<const IN_TYPE*>(params.x) + columns.first;

    constexpr uint32_t kSteps = kTokenGroupRows / kRowsAtOnce;
    float values[kSteps][8];
    // A GEMM that follows may load its weights from now on: whatever wrote them is done.
    wait_for_predecessors();
    launch_dependents();
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
        const uint32_t row = first_row + step * kRowsAtOnce + threadIdx.x / kLanes;
        const uint32_t valid = row < params.m ? columns.valid : 0;
        load_eight(x + int64_t{row} * params.x_stride_m, valid, columns.vector_x, values[step]);
    }
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
        const uint32_t row = first_row + step * kRowsAtOnce + threadIdx.x / kLanes;
        const float amax = group_amax(finite_amax(values[step]), kLanes);
        if (row >= params.m) continue;
        const float scale = scale_of(amax, params.use_ue8m0);
        store_eight(params.q + int64_t{row} * params.q_stride_m + columns.first, columns.valid,
                    columns.vector_q, quantize_eight(values[step], scale));
        if (lane == 0) params.scale[row * params.scale_stride_m + group * params.scale_stride_k] = scale;
    }
}
