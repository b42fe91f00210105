// What the launcher hands to the kernels around a grouped GEMM for experts, and the geometry of their
// launches. They run with little to do, so that what counts is how soon they start: each may be launched to
// overlap the kernels in front, and so each waits for those, or a later one could not rely on the earliest.
#pragma once

#include "params.h"

namespace barrow {

// Strides are in elements.
struct SortParams {
    const void* ids;
    int32_t* groups;
    int32_t* positions;
    int64_t id_stride;  // within a token's top_k
    int64_t
        id_gap;  // what a token's first id is further than a stride behind the last one of the token before
    uint32_t count;  // of ids
    uint32_t top_k;
    uint32_t experts;
    uint32_t warps;  // that count and place ids; the block may have more
    // 0: experts lie one after another. Otherwise each has so many rows, from a multiple of them on.
    uint32_t slabs;
    uint32_t max_m;
};

// One block. Each of its warps counts the rows of its part of the ids apart: `warps` x `experts` counters. A
// thread adds up those of one expert, so there are as many threads as experts at least.
constexpr uint32_t kSortMaxExperts = 1024;
constexpr uint32_t kSortMaxWarps = 32;
constexpr uint32_t kSortCounters = 10240;

struct PermuteQuantParams {
    const void* x;
    const int32_t* positions;
    uint8_t* q;
    float* scale;
    int64_t x_stride_t;
    int64_t position_stride_t;
    int64_t position_stride_j;
    int64_t scale_stride_k;
    uint32_t tokens;
    uint32_t top_k;
    uint32_t k;
    uint32_t rows;  // of q
    uint32_t use_ue8m0;
};

struct SiluMulQuantParams {
    const void* x;          // bfloat16, `columns` gates and as many values a row
    const int32_t* counts;  // of the rows of each slab that are read and written; null for all
    uint8_t* q;
    float* scale;
    int64_t x_stride_slab;
    int64_t x_stride_m;
    int64_t count_stride;
    int64_t scale_stride_slab;
    int64_t scale_stride_k;
    uint32_t slabs;
    uint32_t rows;  // of a slab
    uint32_t columns;
    uint32_t use_ue8m0;
};

struct UnpermuteParams {
    const void* y;  // bfloat16, as is `out`
    const int32_t* positions;
    const float* weights;
    void* out;
    int64_t y_stride_r;
    int64_t position_stride_t;
    int64_t position_stride_j;
    int64_t weight_stride_t;
    int64_t weight_stride_j;
    uint32_t tokens;
    uint32_t top_k;
    uint32_t n;
    uint32_t rows;  // of y
};

// Threads of a block of the last three, which take eight columns each. A block of permute and of unpermute
// has one strip of columns of one token, a block of silu one group of columns of several rows; the grid is a
// multiple of the strips or groups, and each block goes on as many tokens or rows behind as the grid covers.
constexpr uint32_t kExpertThreads = 128;
constexpr uint32_t kExpertColumns = 8 * kExpertThreads;
constexpr uint32_t kSiluRows = kExpertColumns / kScaleBlock;
// Of which an SM holds so many at once; unpermute keeps eight rows in registers.
constexpr uint32_t kExpertBlocksPerSm = 10;
constexpr uint32_t kUnpermuteBlocksPerSm = 8;
// The most blocks of a grid for each SM: a few rounds, which even out, and no block for rows that no expert
// has.
constexpr uint32_t kExpertMaxBlocksPerSm = 40;

}  // namespace barrow
