// Adds up the rows that the experts of a token have made, weighted, in the order of its top_k. Each product
// and each sum is rounded, so that the CPU implementation gives the same bits.
#include "params_experts.h"
#include "ptx/convert.cuh"
#include "quantize.cuh"

using namespace barrow;

namespace {

// kWhole: eight columns at a time, which lie at multiples of 16 bytes.
template <bool kWhole>
__device__ __forceinline__ void unpermute(const UnpermuteParams& params) {
    // Rows of a token that are loaded before the first is added, as registers allow.
    constexpr uint32_t kRowsAtOnce = kWhole ? 8 : 2;
    const uint32_t strips = params.n / kExpertColumns + (params.n % kExpertColumns != 0);
    const uint32_t first = blockIdx.x % strips * kExpertColumns + threadIdx.x * 8;
    const uint32_t valid = valid_of_eight<kWhole>(first, params.n);
    const auto* y = static_cast<const bf16*>(params.y) + first;
    for (uint32_t token = blockIdx.x / strips; token < params.tokens; token += gridDim.x / strips) {
        const int32_t* positions = params.positions + token * params.position_stride_t;
        const float* weights = params.weights + token * params.weight_stride_t;
        float sum[8]{};
        for (uint32_t place = 0; place < params.top_k; place += kRowsAtOnce) {
            uint32_t row[kRowsAtOnce];
            float weight[kRowsAtOnce];
            bf16 raw[kRowsAtOnce][8];
#pragma unroll
            for (uint32_t i = 0; i < kRowsAtOnce; ++i) {
                const bool exists = place + i < params.top_k;
                row[i] = exists ? positions[(place + i) * params.position_stride_j] : params.rows;
                weight[i] = exists ? weights[(place + i) * params.weight_stride_j] : 0.0f;
            }
#pragma unroll
            for (uint32_t i = 0; i < kRowsAtOnce; ++i)
                load_raw(y + row[i] * params.y_stride_r, row[i] < params.rows ? valid : 0, kWhole, raw[i]);
#pragma unroll
            for (uint32_t i = 0; i < kRowsAtOnce; ++i) {
                if (row[i] >= params.rows) continue;  // -1 too
#pragma unroll
                for (uint32_t j = 0; j < 8; ++j)
                    sum[j] = __fadd_rn(sum[j], __fmul_rn(weight[i], to_float(raw[i][j])));
            }
        }
        uint16_t* out = static_cast<uint16_t*>(params.out) + uint64_t{token} * params.n + first;
        if (kWhole && valid > 0) {
            *reinterpret_cast<uint4*>(out) = make_uint4(pack_bf16(sum[0], sum[1]), pack_bf16(sum[2], sum[3]),
                                                        pack_bf16(sum[4], sum[5]), pack_bf16(sum[6], sum[7]));
        } else {
#pragma unroll
            for (uint32_t j = 0; j < 8; ++j)
                if (j < valid) out[j] = static_cast<uint16_t>(pack_bf16(sum[j], 0.0f));
        }
    }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kExpertThreads, kUnpermuteBlocksPerSm)
    KERNEL_NAME(const __grid_constant__ UnpermuteParams params) {
    launch_dependents();
    wait_for_predecessors();
    if (params.n % 8 == 0 && vector_rows<bf16>(params.y, params.y_stride_r)) {
        unpermute<true>(params);
    } else {
        unpermute<false>(params);
    }
}
