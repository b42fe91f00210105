// The table of kernels in this build. The build generates the definitions from the catalogue of specs, so
// that tiles, shared memory and costs are written once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace barrow {

enum class Dtype : int { bf16, f16, f32 };

// Where a cubin lies in kernels.pack. `crc32` is zlib's, of the cubin's bytes.
struct Image {
    uint64_t offset;
    uint64_t size;
    uint32_t crc32;
};

// Coefficients of the microseconds of one launch, as predict_us in choice.cpp puts them together; `memory`,
// `idle` and `again` are multiples of a time at the memory's peak, `throttle` is a share.
struct CostModel {
    float fixed_us;
    float tile_us;
    float k_block_us;
    float load_us;
    float memory;
    float idle;
    float again;
    float throttle;
};

// The symbol inside a cubin is the kernel's name.
struct GemmKernel {
    const char* name;
    int arch;  // compute capability, major * 10 + minor
    Dtype out;
    int block_m;
    int block_n;
    int stages;
    int row_scales_b;  // 1 where each row of B has a scale of its own
    int grouped;       // 1 where groups of rows of A have matrices of their own
    int k_groups;      // 1 where a launch takes products that differ in K
    int cluster_k;     // CTAs that split the K of a tile
    int cluster_n;     // CTAs that have tiles beside each other along N
    int blocks_ahead;  // blocks of K of B that a CTA loads while it waits for the kernels in front
    int alternates;    // 1 where every other tile goes through K from its end
    int part_rows;     // rows of a tile of A that one load brings
    int warpgroups;
    int threads;
    int smem_bytes;  // dynamic
    int ctas_per_sm;
    int store_rows;     // of the box that one bulk store of D covers
    int store_columns;  // 0: D goes from registers
    CostModel cost;
    Image image;
};

// CTAs of a cluster, and the columns of D that their tiles cover.
inline int cluster_size(const GemmKernel& kernel) { return kernel.cluster_k * kernel.cluster_n; }
inline int cluster_columns(const GemmKernel& kernel) { return kernel.block_n * kernel.cluster_n; }

struct AuxKernel {
    const char* name;
    const char* symbol;
    Image image;
};

// A GPU whose shapes were measured: what it is known by, and its rows of kTunedChoices.
struct TunedGpu {
    const char* name;
    int num_sms;
    int memory_gb_s;
    size_t first;
    size_t count;
};

// The fastest kernel, as an index into kGemmKernels, for a bucket of M that ends at `m`, or of the mean M of
// `groups`; 0 for a plain product. The rows of a GPU are sorted by out, groups, n, k, m.
struct TunedChoice {
    Dtype out;
    int groups;
    int n;
    int k;
    int m;
    int kernel;
};

extern const GemmKernel kGemmKernels[];
extern const size_t kGemmKernelCount;
extern const AuxKernel kAuxKernels[];
extern const size_t kAuxKernelCount;
extern const TunedGpu kTunedGpus[];
extern const size_t kTunedGpuCount;
extern const TunedChoice kTunedChoices[];
extern const size_t kTunedChoiceCount;

// Upper ends of the buckets of M, ascending.
extern const int kTunedMs[];
extern const size_t kTunedMCount;

// Bytes of kernels.pack; 0 when this build carries no kernels.
extern const uint64_t kPackSize;

}  // namespace barrow
