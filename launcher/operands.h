// Operands, scales and results as the copy engine sees them.
#pragma once

#include "../kernels/params.h"
#include "choice.h"
#include "launch.h"
#include "tensor.h"
#include "tma.h"

namespace barrow {

// An operand as the copy engine can address it, and the copy that this took, if any.
struct Operand {
    TmaMatrix matrix;
    Tensor copy;

    // Whether it may be loaded before the kernels in front are done, where `asked` says that they do not
    // write it: a copy is written by the one right in front.
    bool may_come_early(bool asked) const { return asked && copy == nullptr; }
};

// [rows, K], or [slabs, rows, K], whose last stride is 1.
Operand addressable(const TensorView& tensor, const LaunchScope& scope);

// The same for `matrix`, elements of `tensor`.
Operand addressable(const TmaMatrix& matrix, const TensorView& tensor, const LaunchScope& scope);

// Scales of rows: a row of one scale each per block of K, of every slab.
TmaMatrix scale_rows(const TensorView& scale);

// A bfloat16 or float32 result.
TmaMatrix result_rows(const TensorView& d);

// What the copy engine moves for one product, and its maps in the order of the kernels' parameters.
struct GemmMatrices {
    TmaMatrix a;
    TmaMatrix b;
    TmaMatrix d;
    TmaMatrix a_scale;
    TmaMatrix b_scale;  // where each row of B has a scale
};
struct GemmMaps {
    cuda::CUtensorMap a[kMostKGroups];  // of each group of K; one for kernels without
    cuda::CUtensorMap b[kMostKGroups];
    cuda::CUtensorMap d;
    cuda::CUtensorMap a_scale;
    cuda::CUtensorMap b_scale;
};

// Fills in what a kernel is told of any product: scales and result, sizes, and what the copy engine loads and
// stores at once.
void describe(GemmParams& params, const GemmKernel& kernel, const TensorView& a_scale,
              const TensorView& b_scale, const TensorView& d, const GemmMatrices& matrices);

// And how the tiles are walked over, where the host knows how many there are; after the above.
void describe_walk(DenseGemmParams& params, const GemmKernel& kernel, const Walk& walk);

// The maps of A and B of a group of K.
void encode_group(GemmMaps& maps, uint32_t group, const GemmKernel& kernel, const GemmParams& params,
                  const TmaMatrix& a, const TmaMatrix& b);

// The maps for what `params` says, with A and B as those of the first group. Where it says that the copy
// engine is not used, the kernel reads no map.
void encode(GemmMaps& maps, const GemmKernel& kernel, const GemmParams& params, const GemmMatrices& matrices);

// Enqueues a kernel whose tiles are work for so many clusters. `params` are those of its kind; `overlap` is
// LaunchScope's.
void launch(const LaunchScope& scope, const GemmKernel& kernel, int64_t clusters, bool overlap,
            GemmMaps& maps, GemmParams& params);

}  // namespace barrow
