#pragma once

#include <cstdint>

namespace rowwise {

// values[r, c] *= factors[r] for a dense row-major matrix.
void scale(float* values, const float* factors, std::int64_t rows, std::int64_t columns);

}  // namespace rowwise
