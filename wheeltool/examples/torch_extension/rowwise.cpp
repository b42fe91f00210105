#include "rowwise.h"

namespace rowwise {

void scale(float* values, const float* factors, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t column = 0; column < columns; ++column) values[row * columns + column] *= factors[row];
}

}  // namespace rowwise
