// Quantizes x[M,K] to float8_e4m3fn with one scale per 128 x 128 block, the weights of a block-scaled GEMM.
// One thread block takes one scale block, which stays in registers between finding its maximum and writing
// it.
#include "quantize.cuh"

using namespace barrow;

constexpr uint32_t kLanes = kScaleBlock / 8;
constexpr uint32_t kRowsAtOnce = kQuantThreads / kLanes;
constexpr uint32_t kSteps = kScaleBlock / kRowsAtOnce;

extern "C" __global__ void __launch_bounds__(kQuantThreads)
    KERNEL_NAME(const __grid_constant__ QuantParams params) {
    __shared__ float warp_amax[kQuantThreads / 32];
    const uint32_t groups = params.k / kScaleBlock + (params.k % kScaleBlock != 0);
    const uint32_t group = blockIdx.x % groups, block = blockIdx.x / groups;
    const uint32_t first_row = block * kScaleBlock + threadIdx.x / kLanes;
    const Columns columns = columns_of<IN_TYPE>(params, group * kScaleBlock + threadIdx.x % kLanes * 8);
    const auto* x = static_cast<const IN_TYPE*>(params.x) + columns.first;

    float values[kSteps][8];
    float amax = 0.0f;
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
        const uint32_t row = first_row + step * kRowsAtOnce;
        const uint32_t valid = row < params.m ? columns.valid : 0;
        load_eight(x + int64_t{row} * params.x_stride_m, valid, columns.vector_x, values[step]);
        amax = fmaxf(amax, finite_amax(values[step]));
    }
    amax = group_amax(amax, kWarp);
    if (threadIdx.x % 32 == 0) warp_amax[threadIdx.x / 32] = amax;
    __syncthreads();
#pragma unroll
    for (uint32_t warp = 0; warp < kQuantThreads / 32; ++warp) amax = fmaxf(amax, warp_amax[warp]);

    const float scale = scale_of(amax, params.use_ue8m0);
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
        const uint32_t row = first_row + step * kRowsAtOnce;
        if (row < params.m)
            store_eight(params.q + int64_t{row} * params.q_stride_m + columns.first, columns.valid,
                        columns.vector_q, quantize_eight(values[step], scale));
    }
    if (threadIdx.x == 0) params.scale[block * params.scale_stride_m + group * params.scale_stride_k] = scale;
}
