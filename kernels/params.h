// What the launcher hands to a kernel: plain structs and the launch geometry both sides must agree on.
// Included by device code and by the launcher, so that neither keeps a copy of its own.
#pragma once

#ifdef __CUDACC_RTC__
// NVRTC brings no standard headers, and these few names are all we need of them.
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
using int64_t = long long;
#else
#include <cstdint>
#endif

namespace barrow {

constexpr uint32_t kWarp = 32;

// Edge of a scale block, and the length of K after which partial sums are promoted to float32.
constexpr uint32_t kScaleBlock = 128;

// A number and the factor that stands for dividing by it, since a division takes a GPU over a hundred cycles.
struct Divisor {
    uint32_t value;
    uint32_t reciprocal;  // 2^32 / value, rounded down; of 1 one less, since 32 bits have to hold it
};

// The tiles of one product in bands, as the persistent walk over D takes them: all of a band before the next.
struct Bands {
    Divisor tiles;   // of a whole band
    Divisor width;   // of a whole band, in tiles
    Divisor last;    // width of what is left after the whole bands
    uint32_t whole;  // how many those are
};

#ifndef __CUDACC_RTC__
constexpr Divisor divisor(uint32_t value) {
    return {value, value == 1 ? UINT32_MAX : static_cast<uint32_t>((uint64_t{1} << 32) / value)};
}

// Those of `rows` x `columns` of tiles, as wide as `width` where there are as many across: rows, or columns
// where the walk goes `along` them.
constexpr Bands bands(uint32_t rows, uint32_t columns, uint32_t width, bool along) {
    const uint32_t across = along ? columns : rows, onward = along ? rows : columns;
    if (width > across) width = across;
    const uint32_t whole = across / width, left = across % width;
    return {divisor(width * onward), divisor(width), divisor(left > 0 ? left : 1), whole};
}
#endif

// What every GEMM kernel is told: D[m,n] = A[m,k] x B[n,k]^T, of one product or of groups. Strides are in
// elements.
struct GemmParams {
    const float* a_scale;  // one per row of A and 128 of K
    const float* b_scale;  // one per 128 rows of B, or per row, and 128 of K
    void* d;
    int64_t a_scale_stride_m;
    int64_t a_scale_stride_k;
    int64_t b_scale_stride_n;
    int64_t b_scale_stride_k;
    int64_t d_stride_m;
    uint32_t m;
    uint32_t n;
    uint32_t k;
    // Rows of A that one load brings: a tile's, or all when A has fewer. The rest of the tile stays as it is
    // in shared memory, since rows of D beyond M are never stored.
    uint32_t a_box_rows;
    // Rows of one load of A's scales, counted like a_box_rows but whole 16 bytes, and of B's where each row
    // of B has one; 0 when the copy engine cannot address them: it wants rows adjacent, and base and stride
    // along K in multiples of 16 bytes. Then threads copy the scales of both.
    uint32_t a_scale_box_rows;
    uint32_t b_scale_box_rows;
    // 1 when B and its scales may be loaded before the kernels in front have ended: they do not write them.
    uint32_t prefetch_b;
    // 1 when the kernel has room to stage D, whose address, row stride and row length are multiples of 16
    // bytes: the copy engine writes whole 16 bytes.
    uint32_t d_by_tma;
    // 1 when bands are made of columns of tiles, and the walk goes along them first; else of rows, and down.
    uint32_t along;
    // 1 when the product is added to D, which is float32 then.
    uint32_t accumulate;
};

// And how the tiles of one product are walked over, or, all alike, those of each group of K.
struct DenseGemmParams : GemmParams {
    Bands bands;
};

// Where the groups of rows of A, each with a matrix of its own in B, are told.
enum class GroupLayout : uint32_t {
    ends,     // group g has the rows from where group g - 1 ends, rounded up to `alignment`, to layout[g]
    indices,  // layout[row] is the group of each row, the same for `alignment` rows; none if it is no group's
    counts,   // A and D have a slab of m rows for each group, which has the first layout[g] of its own
};

// D = A x B[group]^T for every group of rows, of which only the GPU knows how many. Strides are in elements.
struct GroupedGemmParams : GemmParams {
    const int32_t* layout;
    int64_t a_scale_stride_slab;
    int64_t b_scale_stride_group;
    int64_t d_stride_slab;
    GroupLayout kind;
    uint32_t groups;
    uint32_t alignment;
    uint32_t band;    // width of a band, in tiles
    uint32_t blocks;  // entries that the walk reads: groups, or, with indices, runs of `alignment` rows
};

// What one launch takes of groups that differ in K: as many as have room for their tensor maps in the 4 KB
// that a kernel's parameters may take with every driver.
constexpr uint32_t kMostKGroups = 13;

struct KGroup {
    uint32_t k_blocks;     // of 128, the last one possibly partial; at least one
    uint32_t first_block;  // where its scales begin among those of all groups
    uint32_t slab;         // of D
};

// D[slab] = A x B^T for every group, each with a K of its own; one group for a plain product. GemmParams::k
// is not read.
struct KGroupedGemmParams : DenseGemmParams {
    int64_t d_stride_slab;
    uint32_t groups;
    KGroup group[kMostKGroups];
};

// Host and device compilers must agree on it.
static_assert(sizeof(DenseGemmParams) == 136 && sizeof(GroupedGemmParams) == 160 &&
              sizeof(KGroupedGemmParams) == 304);

// One float8_e4m3fn value per input value and one float32 scale per group. Strides are in elements.
struct QuantParams {
    const void* x;
    uint8_t* q;
    float* scale;
    int64_t x_stride_m;
    int64_t q_stride_m;
    int64_t scale_stride_m;
    int64_t scale_stride_k;
    uint32_t m;
    uint32_t k;
    uint32_t use_ue8m0;
};

// Threads of a block, and rows of x that one block of the 1x128 quantizer covers for one group of K.
// Grid: ceil(m / rows) * ceil(k / 128) blocks, the group of K running fastest.
constexpr uint32_t kQuantThreads = 256;
constexpr uint32_t kTokenGroupRows = 32;
// The 128x128 quantizer takes one block per scale block: ceil(m / 128) * ceil(k / 128), K running fastest.

// Copies `rows` rows of `row_bytes` bytes to a row stride that the copy engine can address.
struct PadRowsParams {
    const uint8_t* src;
    uint8_t* dst;
    int64_t src_stride;
    int64_t dst_stride;
    int64_t row_bytes;
    uint32_t rows;
};

// Grid: min(rows, kPadMaxBlocks) blocks of kPadThreads; block i copies rows i, i + grid, ...
constexpr uint32_t kPadThreads = 256;
constexpr uint32_t kPadMaxBlocks = 65535;

}  // namespace barrow
