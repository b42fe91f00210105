// Divides as the kernels' walk does. Reads "number divisor" lines and writes a quotient for each.
#include <cstdint>
#include <cstdio>

#include "cuda_on_host.h"
#include "tile_scheduler.cuh"

int main() {
    uint32_t number, by;
    while (scanf("%u %u", &number, &by) == 2) printf("%u\n", barrow::quotient(number, barrow::divisor(by)));
}
