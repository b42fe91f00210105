// What the kernels' headers take from CUDA, for a program of the host that includes them.
#pragma once

#include <algorithm>
#include <cstdint>

#define __device__
#define __forceinline__ inline

struct Dimension {
    uint32_t x;
};
[[maybe_unused]] static Dimension blockIdx, gridDim, threadIdx;
inline int __ffs(uint32_t bits) { return __builtin_ffs(static_cast<int>(bits)); }
inline uint32_t __popc(uint32_t bits) { return __builtin_popcount(bits); }
template <typename T>
inline T __ldcg(const T* address) {
    return *address;
}
using std::max;
using std::min;
