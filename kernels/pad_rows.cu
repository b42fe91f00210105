// Copies rows to a row stride that the copy engine can address, for operands whose own it cannot: bases and
// strides are arbitrary bytes, so the reads are single bytes unless source and target happen to be aligned
// alike.
#include "params.h"

using namespace barrow;

extern "C" __global__ void __launch_bounds__(kPadThreads)
    KERNEL_NAME(const __grid_constant__ PadRowsParams params) {
    const bool words =
        (reinterpret_cast<uint64_t>(params.src) | static_cast<uint64_t>(params.src_stride)) % 4 == 0;
    for (uint32_t row = blockIdx.x; row < params.rows; row += gridDim.x) {
        const uint8_t* src = params.src + row * params.src_stride;
        uint8_t* dst = params.dst + row * params.dst_stride;
        const int64_t copied_as_words = words ? params.row_bytes / 4 * 4 : 0;
#pragma unroll 1  // unrolled by the compiler, it spills
        for (int64_t i = int64_t{threadIdx.x} * 4; i < copied_as_words; i += kPadThreads * 4)
            *reinterpret_cast<uint32_t*>(dst + i) = *reinterpret_cast<const uint32_t*>(src + i);
#pragma unroll 1
        for (int64_t i = copied_as_words + threadIdx.x; i < params.row_bytes; i += kPadThreads)
            dst[i] = src[i];
    }
}
