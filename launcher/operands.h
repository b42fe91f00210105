// Operands, scales and results as the copy engine sees them.
#pragma once

#include "catalogue.h"
#include "launch.h"
#include "tensor.h"
#include "tma.h"

namespace barrow {

// An operand as the copy engine can address it, and the copy that this took, if any.
struct Operand {
    TmaMatrix matrix;
    Tensor copy;
};

// [rows, K], or [slabs, rows, K], whose last stride is 1.
Operand addressable(const TensorView& tensor, const LaunchScope& scope);

// Rows of A that one load brings: of a tile those that one CTA loads, or where A has fewer, no more than that
// takes.
int64_t a_box_rows(const GemmKernel& kernel, int64_t m);

// Scales of rows: a row of one scale each per block of K, of every slab.
TmaMatrix scale_rows(const TensorView& scale);

// Scales that one load brings: those of a tile of `block` rows, or of all rows in whole 16 bytes where there
// are fewer; 0 where the copy engine cannot address them.
int64_t scale_box_rows(const TensorView& scale, const TmaMatrix& rows, int block);

// A bfloat16 or float32 result. The row length counts for whether the copy engine can store it, because that
// writes whole 16 bytes: it zeroes what follows a shorter end.
TmaMatrix result_rows(const TensorView& d);
bool storable_by_tma(const TensorView& d, const TmaMatrix& rows);

}  // namespace barrow
