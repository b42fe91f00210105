// Rules that arguments of several operators share. Each throws with the operator, the argument, what it got
// and what it needs.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <initializer_list>

#include "error.h"
#include "tensor.h"

namespace barrow::rules {

inline int64_t ceil_div(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

// `shape` is how the dimensions are called, such as "[M, K]".
void check_rank(const char* op, const TensorView& tensor, int64_t rank, const char* shape,
                const char* advice);
void check_dtype(const char* op, const TensorView& tensor, int32_t dtype, const char* advice);
void check_device(const char* op, const TensorView& tensor, const TensorView& a);

// Dimension `i`, called `name`, can be addressed.
void check_dim(const char* op, const TensorView& tensor, int i, const char* name);

void check_last_stride(const char* op, const TensorView& tensor, const char* advice);
void check_alignment(const char* op, const TensorView& tensor);

// What is written, [rows, N] or [slabs, rows, N], has contiguous rows that share no memory with one another
// nor with an input.
void check_written(const char* op, const TensorView& out, std::initializer_list<const TensorView*> inputs);

}  // namespace barrow::rules
