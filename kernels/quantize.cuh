// The arithmetic of both quantizers: input conversion, scale and float8_e4m3fn. Documented in barrow.ops.
#pragma once

#include "ptx/sync.cuh"

namespace barrow {

// The input types, named as the catalogue names them in IN_TYPE; raw bits, because NVRTC needs no CUDA
// headers then.
struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};
struct f32 {
    float value;
};

__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float(uint32_t{x.bits} << 16); }
__device__ __forceinline__ float to_float(f16 x) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
    return value;
}
__device__ __forceinline__ float to_float(f32 x) { return x.value; }

constexpr float kLargestFloat = 3.402823466e+38f;
constexpr float kSmallestNormal = 1.175494351e-38f;
constexpr float kLargestE4m3 = 448.0f;

__device__ __forceinline__ bool is_finite(float x) { return fabsf(x) <= kLargestFloat; }

// amax / 448, on request rounded up to a power of two; a group without a finite nonzero value gets 1.
__device__ __forceinline__ float scale_of(float amax, bool use_ue8m0) {
    if (amax == 0.0f) return 1.0f;
    float scale = amax / kLargestE4m3;
    // Adding the mantissa's all-ones carries into the exponent unless the mantissa is zero: the ceiling of
    // log2.
    if (use_ue8m0) scale = __uint_as_float((__float_as_uint(scale) + 0x7fffff) & 0xff800000);
    return fmaxf(scale, kSmallestNormal);
}

// float8_e4m3fn of low / scale (lower byte) and high / scale. Infinities become NaN: saturating would hide
// them.
__device__ __forceinline__ uint16_t quantize_pair(float low, float high, float scale) {
    const float nan = __uint_as_float(0x7fffffff);
    const float l = is_finite(low) ? low / scale : nan, h = is_finite(high) ? high / scale : nan;
    uint16_t packed;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(packed) : "f"(h), "f"(l));
    return packed;
}

// Eight consecutive values of a row as they lie in memory, the ones from `valid` on zero. `vector` promises
// 16-byte alignment of all eight, which the caller derives from base, stride and column.
template <typename T>
__device__ __forceinline__ void load_raw(const T* source, uint32_t valid, bool vector, T (&raw)[8]) {
    if (vector && valid == 8) {
#pragma unroll
        for (uint32_t i = 0; i < sizeof(raw) / 16; ++i)
            reinterpret_cast<uint4*>(raw)[i] = reinterpret_cast<const uint4*>(source)[i];
    } else {
#pragma unroll
        for (uint32_t i = 0; i < 8; ++i) raw[i] = i < valid ? source[i] : T{};
    }
}

template <typename T>
__device__ __forceinline__ void load_eight(const T* source, uint32_t valid, bool vector, float (&x)[8]) {
    T raw[8];
    load_raw(source, valid, vector, raw);
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) x[i] = to_float(raw[i]);
}

__device__ __forceinline__ float finite_amax(const float (&x)[8]) {
    float amax = 0.0f;
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) amax = is_finite(x[i]) ? fmaxf(amax, fabsf(x[i])) : amax;
    return amax;
}

// Maximum over the lanes that share a group: `lanes` adjacent ones, a power of two.
__device__ __forceinline__ float group_amax(float amax, uint32_t lanes) {
#pragma unroll
    for (uint32_t offset = lanes / 2; offset > 0; offset /= 2)
        amax = fmaxf(amax, __shfl_xor_sync(0xffffffff, amax, offset));
    return amax;
}

// float8_e4m3fn of eight values, the first in the lowest byte.
__device__ __forceinline__ uint2 quantize_eight(const float (&x)[8], float scale) {
    uint32_t pairs[4];
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) pairs[i] = quantize_pair(x[2 * i], x[2 * i + 1], scale);
    return make_uint2(pairs[0] | pairs[1] << 16, pairs[2] | pairs[3] << 16);
}

__device__ __forceinline__ void store_eight(uint8_t* target, uint32_t valid, bool vector, uint2 q) {
    if (vector && valid == 8) {
        *reinterpret_cast<uint2*>(target) = q;
    } else {
#pragma unroll
        for (uint32_t i = 0; i < 8; ++i)
            if (i < valid) target[i] = static_cast<uint8_t>((i < 4 ? q.x : q.y) >> (i % 4 * 8));
    }
}

// How many of the eight columns from `first` on exist. kWhole: of rows that are multiples of eight long.
template <bool kWhole = false>
__device__ __forceinline__ uint32_t valid_of_eight(uint32_t first, uint32_t columns) {
    if (first >= columns) return 0;
    return kWhole ? 8 : min(8u, columns - first);
}

// Whether every eighth column of every row is at a multiple of 16 bytes.
template <typename T>
__device__ __forceinline__ bool vector_rows(const void* base, int64_t row_stride) {
    return reinterpret_cast<uint64_t>(base) % 16 == 0 && row_stride * int64_t{sizeof(T)} % 16 == 0;
}

// How one thread sees eight columns of x and q: how many exist, and whether whole vectors may be used.
struct Columns {
    uint32_t first;
    uint32_t valid;
    bool vector_x;
    bool vector_q;
};

template <typename T>
__device__ __forceinline__ Columns columns_of(const QuantParams& params, uint32_t first) {
    const bool vector_q = reinterpret_cast<uint64_t>(params.q) % 8 == 0 && params.q_stride_m % 8 == 0;
    return {first, valid_of_eight(first, params.k), vector_rows<T>(params.x, params.x_stride_m), vector_q};
}

}  // namespace barrow
