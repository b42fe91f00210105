// What the kernels calculate, in plain loops.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "../../../kernels/params.h"

namespace fake {

using namespace barrow;

// What the fake keeps in the opaque words of a tensor map.
struct Map {
    char* address;
    uint64_t cols, rows, stride;
    uint32_t box_cols, box_rows;
    int element_bytes, swizzle;
    uint64_t slabs, slab_stride;  // 0 slabs: two dimensions
};

inline Map read_map(const void* parameter) {
    Map map;
    memcpy(&map, parameter, sizeof(map));
    return map;
}

inline float e4m3(uint8_t bits) {
    static const auto values = [] {
        std::array<float, 256> all;
        for (int code = 0; code < 256; ++code) {
            const int exponent = code >> 3 & 15, mantissa = code & 7;
            const float magnitude =
                exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
            all[code] = code & 0x80 ? -magnitude : magnitude;
        }
        return all;
    }();
    return values[bits];
}

inline uint16_t bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

inline float by_map(const Map& map, int64_t row, int64_t block) {
    return reinterpret_cast<float*>(map.address + block * map.stride)[row];
}

inline float scale_of_a(const Map& map, const GemmParams& p, int64_t m, int64_t block) {
    if (p.a_scale_box_rows > 0) return by_map(map, m, block);
    return p.a_scale[m * p.a_scale_stride_m + block * p.a_scale_stride_k];
}

// One scale covers `rows` rows of B.
inline float scale_of_b(const Map& map, const GemmParams& p, int64_t n, int64_t block, int64_t rows) {
    if (p.b_scale_box_rows > 0) return by_map(map, n, block);
    return p.b_scale[n / rows * p.b_scale_stride_n + block * p.b_scale_stride_k];
}

inline void run_gemm(const std::string& name, const Map& a, const Map& b, const Map& d, const Map& a_scale,
                     const Map& b_scale, const GemmParams& p) {
    const int64_t rows_of_b_scale = name.find("_rows") != std::string::npos ? 1 : 128;
    const bool is_bf16 = name.find("_bf16_") != std::string::npos;
    const int64_t bytes = is_bf16 ? 2 : 4;
    for (int64_t m = 0; m < p.m; ++m) {
        for (int64_t n = 0; n < p.n; ++n) {
            float sum = 0;
            for (int64_t k = 0; k < p.k; ++k) {
                sum += e4m3(a.address[m * a.stride + k]) * e4m3(b.address[n * b.stride + k]) *
                       scale_of_a(a_scale, p, m, k / 128) *
                       scale_of_b(b_scale, p, n, k / 128, rows_of_b_scale);
            }
            void* place =
                (p.d_by_tma ? d.address + m * d.stride : static_cast<char*>(p.d) + m * p.d_stride_m * bytes) +
                n * bytes;
            if (is_bf16) {
                *static_cast<uint16_t*>(place) = bf16(sum);
            } else {
                float& element = *static_cast<float*>(place);
                element = p.accumulate ? element + sum : sum;
            }
        }
        // As measured on an H100: a bulk store that ends inside 16 bytes zeroes the rest of them.
        const int64_t end = p.n * bytes;
        if (p.d_by_tma) memset(d.address + m * d.stride + end, 0, (16 - end % 16) % 16);
    }
}

// Calls body(group, slab, row) for every row of a group.
template <typename Body>
void for_each_row(const GroupedGemmParams& p, Body body) {
    const auto clamp = [&](int64_t end) { return std::min<int64_t>(std::max<int64_t>(end, 0), p.m); };
    int64_t end = 0;
    for (int64_t g = 0; g < p.groups && p.kind != GroupLayout::indices; ++g) {
        const bool slabs = p.kind == GroupLayout::counts;
        const int64_t first = slabs ? 0 : (end + p.alignment - 1) / p.alignment * p.alignment;
        end = clamp(p.layout[g]);
        for (int64_t row = first; row < end; ++row) body(g, slabs ? g : 0, row);
    }
    for (int64_t row = 0; row < p.m && p.kind == GroupLayout::indices; ++row) {
        const int64_t g = p.layout[row / p.alignment * p.alignment];
        if (g >= 0 && g < p.groups) body(g, int64_t{0}, row);
    }
}

inline void run_grouped_gemm(const Map& a, const Map& b, const Map& d, const Map& a_scale,
                             const GroupedGemmParams& p) {
    for_each_row(p, [&](int64_t g, int64_t slab, int64_t row) {
        for (int64_t n = 0; n < p.n; ++n) {
            float sum = 0;
            for (int64_t k = 0; k < p.k; ++k) {
                const float of_a =
                    p.a_scale_box_rows > 0
                        ? reinterpret_cast<float*>(a_scale.address + slab * a_scale.slab_stride +
                                                   k / 128 * a_scale.stride)[row]
                        : p.a_scale[slab * p.a_scale_stride_slab + row * p.a_scale_stride_m +
                                    k / 128 * p.a_scale_stride_k];
                const float of_b = p.b_scale[g * p.b_scale_stride_group + n / 128 * p.b_scale_stride_n +
                                             k / 128 * p.b_scale_stride_k];
                sum += e4m3(a.address[slab * a.slab_stride + row * a.stride + k]) *
                       e4m3(b.address[g * b.slab_stride + n * b.stride + k]) * of_a * of_b;
            }
            if (p.d_by_tma)
                reinterpret_cast<uint16_t*>(d.address + slab * d.slab_stride + row * d.stride)[n] = bf16(sum);
            else
                static_cast<uint16_t*>(p.d)[slab * p.d_stride_slab + row * p.d_stride_m + n] = bf16(sum);
        }
        for (int64_t n = p.n; p.d_by_tma && n % 8 != 0; ++n)
            reinterpret_cast<uint16_t*>(d.address + slab * d.slab_stride + row * d.stride)[n] = 0;
    });
}

// One group of K after the other, each added to its slab or, a plain product, maybe stored to it.
inline void run_k_grouped_gemm(const Map* a, const Map* b, const Map& d, const Map& a_scale,
                               const Map& b_scale, const KGroupedGemmParams& p) {
    for (uint32_t g = 0; g < p.groups; ++g) {
        const auto [k_blocks, first_block, slab] = p.group[g];
        for (int64_t m = 0; m < p.m; ++m) {
            float* row = p.d_by_tma
                             ? reinterpret_cast<float*>(d.address + slab * d.slab_stride + m * d.stride)
                             : static_cast<float*>(p.d) + slab * p.d_stride_slab + m * p.d_stride_m;
            for (int64_t n = 0; n < p.n; ++n) {
                float sum = 0;
                for (int64_t k = 0; k < k_blocks * int64_t{128}; ++k) {
                    // Beyond the matrix the copy engine brings zeros.
                    if (k >= static_cast<int64_t>(a[g].cols)) break;
                    sum += e4m3(a[g].address[m * a[g].stride + k]) * e4m3(b[g].address[n * b[g].stride + k]) *
                           scale_of_a(a_scale, p, m, first_block + k / 128) *
                           scale_of_b(b_scale, p, n, first_block + k / 128, 1);
                }
                row[n] = p.accumulate ? row[n] + sum : sum;
            }
        }
    }
}

inline void pad_rows(const PadRowsParams& p) {
    for (int64_t row = 0; row < p.rows; ++row) {
        memcpy(p.dst + row * p.dst_stride, p.src + row * p.src_stride, p.row_bytes);
    }
}

inline uint8_t to_e4m3(float value) {
    if (std::isnan(value)) return 0x7f;
    const float magnitude = std::fmin(std::fabs(value), 448.0f);
    // Subnormals are as far apart as the smallest normals; rounded up to the next exponent, the code carries.
    const int exponent = std::fmax(-6.0f, std::logb(magnitude));
    const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 3 - exponent)));
    return (std::signbit(value) ? 0x80 : 0) | ((exponent + 6) * 8 + units);
}

inline float f16(uint16_t bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const float magnitude = exponent == 31  ? (mantissa == 0 ? INFINITY : NAN)
                            : exponent == 0 ? std::ldexp(mantissa, -24)
                                            : std::ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

// An element of x, of the type that the kernel's name tells; bfloat16 if it tells none.
inline float input(const std::string& name, const void* x, int64_t place) {
    if (name.find("_f32_") != std::string::npos) return static_cast<const float*>(x)[place];
    const uint16_t bits = static_cast<const uint16_t*>(x)[place];
    if (name.find("_f16_") != std::string::npos) return f16(bits);
    const uint32_t wide = uint32_t{bits} << 16;
    float value;
    memcpy(&value, &wide, sizeof(value));
    return value;
}

inline float scale_of(float amax, bool use_ue8m0) {
    if (amax == 0) return 1;
    const float scale = std::fmax(amax / 448.0f, std::ldexp(1.0f, -126));
    if (!use_ue8m0) return scale;
    int exponent;
    const float fraction = std::frexp(scale, &exponent);
    return std::ldexp(1.0f, fraction == 0.5f ? exponent - 1 : exponent);
}

inline void quantize(const std::string& name, const QuantParams& p) {
    const int64_t group_rows = name.rfind("per_block", 0) == 0 ? 128 : 1;
    const auto for_each = [&](int64_t first_row, int64_t first_column, auto body) {
        for (int64_t row = first_row; row < std::min<int64_t>(first_row + group_rows, p.m); ++row) {
            for (int64_t column = first_column; column < std::min<int64_t>(first_column + 128, p.k); ++column)
                body(row, column, input(name, p.x, row * p.x_stride_m + column));
        }
    };
    for (int64_t row = 0; row < p.m; row += group_rows) {
        for (int64_t column = 0; column < p.k; column += 128) {
            float amax = 0;
            for_each(row, column, [&](int64_t, int64_t, float x) {
                if (std::isfinite(x)) amax = std::fmax(amax, std::fabs(x));
            });
            const float scale = scale_of(amax, p.use_ue8m0);
            p.scale[row / group_rows * p.scale_stride_m + column / 128 * p.scale_stride_k] = scale;
            for_each(row, column, [&](int64_t i, int64_t j, float x) {
                p.q[i * p.q_stride_m + j] = to_e4m3(std::isinf(x) ? NAN : x / scale);
            });
        }
    }
}

}  // namespace fake
