// Divides as the kernels' walk does. Reads "number divisor" lines and writes a quotient for each.
#include <algorithm>
#include <cstdint>
#include <cstdio>

// What the header takes from CUDA.
#define __device__
#define __forceinline__ inline
static struct {
    uint32_t x;
} blockIdx, gridDim;
using std::min;

#include "tile_scheduler.cuh"

int main() {
    uint32_t number, by;
    while (scanf("%u %u", &number, &by) == 2) printf("%u\n", barrow::quotient(number, barrow::divisor(by)));
}
