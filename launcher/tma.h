#pragma once

#include <cstdint>

#include "cuda_driver.h"

namespace barrow {

// Address and row stride granularity of a tensor map, in bytes.
constexpr int64_t kTmaAlignment = 16;

inline bool tma_aligned(const void* address) {
    return reinterpret_cast<uintptr_t>(address) % kTmaAlignment == 0;
}
inline bool tma_aligned(int64_t bytes) { return bytes % kTmaAlignment == 0; }
inline int64_t tma_round_up(int64_t bytes) {
    return (bytes + kTmaAlignment - 1) / kTmaAlignment * kTmaAlignment;
}

// A row-major matrix of `rows` x `cols` elements in global memory, or, with `slabs`, so many of them, whose
// map has three dimensions.
struct TmaMatrix {
    const void* address;
    int64_t rows;
    int64_t cols;
    int64_t row_stride_bytes;
    int64_t slabs;
    int64_t slab_stride_bytes;
};

enum class TmaElement { fp8, bf16, f32 };

// Makes `map` the tensor map over `matrix` for boxes of `box_rows` x `box_cols` in one slab; out-of-bounds
// elements read as zero and are not written. float32, which threads read and write themselves, lies in shared
// memory as it is; the others have the swizzle whose span is the box's row. `name` is the argument that an
// error names. Not returned: the driver wants a map at a multiple of 64 bytes, and GCC 12 has temporaries of
// such types at any 16.
void encode(cuda::CUtensorMap& map, TmaElement element, const TmaMatrix& matrix, int box_rows, int box_cols,
            const char* name);

}  // namespace barrow
