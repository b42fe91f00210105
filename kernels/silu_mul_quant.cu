// silu(gate) * value of what a grouped GEMM has made of gates and values side by side, quantized as
// per_token_group_quant does. Sixteen lanes take one group of 128, eight values each; a block covers
// kSiluRows rows, so that the scales, stored with rows adjacent, leave in a whole sector.
#include "params_experts.h"
#include "quantize.cuh"

using namespace barrow;

namespace {

constexpr uint32_t kLanes = kScaleBlock / 8;

// kWhole: eight columns at a time, which lie at multiples of 16 bytes.
template <bool kWhole>
__device__ __forceinline__ void activate(const SiluMulQuantParams& params) {
    const uint32_t groups = params.columns / kScaleBlock + (params.columns % kScaleBlock != 0);
    const uint32_t group = blockIdx.x % groups, slab = blockIdx.x / groups % params.slabs;
    const uint32_t block = blockIdx.x / groups / params.slabs, blocks = gridDim.x / groups / params.slabs;
    const uint32_t lane = threadIdx.x % kLanes, first = group * kScaleBlock + lane * 8;
    const uint32_t columns = valid_of_eight<kWhole>(first, params.columns);
    const auto* x = static_cast<const bf16*>(params.x) + slab * params.x_stride_slab + first;
    uint8_t* q = params.q + uint64_t{slab} * params.rows * params.columns + first;
    float* scales = params.scale + slab * params.scale_stride_slab + group * params.scale_stride_k;
    uint32_t rows = params.rows;
    if (params.counts != nullptr)
        rows = min(rows, static_cast<uint32_t>(max(0, params.counts[slab * params.count_stride])));
    for (uint32_t top = block * kSiluRows; top < rows; top += blocks * kSiluRows) {
        const uint32_t row = top + threadIdx.x / kLanes;
        const uint32_t valid = row < rows ? columns : 0;
        const bf16* gates = x + row * params.x_stride_m;
        float gate[8], product[8];
        load_eight(gates, valid, kWhole, gate);
        load_eight(gates + params.columns, valid, kWhole, product);
#pragma unroll
        for (uint32_t i = 0; i < 8; ++i) product[i] *= gate[i] / (1.0f + expf(-gate[i]));
        const float scale = scale_of(group_amax(finite_amax(product), kLanes), params.use_ue8m0);
        store_eight(q + uint64_t{row} * params.columns, valid, kWhole, quantize_eight(product, scale));
        if (lane == 0 && valid > 0) scales[row] = scale;
    }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kExpertThreads, kExpertBlocksPerSm)
    KERNEL_NAME(const __grid_constant__ SiluMulQuantParams params) {
    wait_for_predecessors();
    // A GEMM that follows may load the groups and its weights from now on: whatever wrote them is done.
    launch_dependents();
    if (params.columns % 8 == 0 && params.x_stride_slab % 8 == 0 &&
        vector_rows<bf16>(params.x, params.x_stride_m)) {
        activate<true>(params);
    } else {
        activate<false>(params);
    }
}
