// What the kernels around a grouped GEMM for experts calculate, in plain loops over the blocks of their
// grids.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../../../kernels/params_experts.h"
#include "loops.h"

namespace fake {

inline int64_t ceil_div(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

// Nothing is written by a block that is too small for what it is to do.
inline void sort(const std::string& name, const SortParams& p, uint32_t threads) {
    if (p.warps * kWarp > threads || p.experts > threads || p.warps * p.experts > kSortCounters) return;
    std::vector<std::vector<uint32_t>> rows(p.experts);
    for (uint32_t i = 0; i < p.count; ++i) {
        const int64_t place = i * p.id_stride + (p.id_gap == 0 ? 0 : i / p.top_k * p.id_gap);
        const int64_t id = name.find("_i64_") != std::string::npos
                               ? static_cast<const int64_t*>(p.ids)[place]
                               : static_cast<const int32_t*>(p.ids)[place];
        p.positions[i] = -1;
        if (id >= 0 && id < p.experts) rows[id].push_back(i);
    }
    uint32_t end = 0;
    for (uint32_t expert = 0; expert < p.experts; ++expert) {
        const auto count = static_cast<uint32_t>(rows[expert].size());
        const uint32_t first = p.slabs ? expert * p.max_m : end;
        for (uint32_t rank = 0; rank < (p.slabs ? std::min(count, p.max_m) : count); ++rank)
            p.positions[rows[expert][rank]] = static_cast<int32_t>(first + rank);
        end += count;
        p.groups[expert] = static_cast<int32_t>(p.slabs ? count : end);
    }
}

// Writes the group's values to q and returns its scale.
inline float quantize_group(const std::vector<float>& group, bool use_ue8m0, uint8_t* q) {
    float amax = 0;
    for (const float x : group)
        if (std::isfinite(x)) amax = std::fmax(amax, std::fabs(x));
    const float scale = scale_of(amax, use_ue8m0);
    for (size_t i = 0; i < group.size(); ++i) q[i] = to_e4m3(std::isinf(group[i]) ? NAN : group[i] / scale);
    return scale;
}

// Calls body(token, first column, end) for what each block of permute and unpermute has.
template <typename Body>
void for_each_strip(uint32_t grid, uint32_t tokens, uint32_t columns, Body body) {
    const int64_t strips = ceil_div(columns, kExpertColumns);
    for (uint32_t block = 0; block < grid; ++block) {
        const int64_t first = block % strips * kExpertColumns;
        for (int64_t token = block / strips; token < tokens; token += grid / strips)
            body(token, first, std::min<int64_t>(first + kExpertColumns, columns));
    }
}

inline void permute_quant(const std::string& name, const PermuteQuantParams& p, uint32_t grid) {
    for_each_strip(grid, p.tokens, p.k, [&](int64_t token, int64_t begin, int64_t end) {
        for (int64_t first = begin; first < end; first += kScaleBlock) {
            std::vector<float> group;
            for (int64_t column = first; column < std::min<int64_t>(first + kScaleBlock, end); ++column)
                group.push_back(input(name, p.x, token * p.x_stride_t + column));
            for (uint32_t j = 0; j < p.top_k; ++j) {
                const int64_t row = p.positions[token * p.position_stride_t + j * p.position_stride_j];
                if (row < 0 || row >= p.rows) continue;
                p.scale[row + first / kScaleBlock * p.scale_stride_k] =
                    quantize_group(group, p.use_ue8m0, p.q + row * p.k + first);
            }
        }
    });
}

inline void silu_mul_quant(const std::string& name, const SiluMulQuantParams& p, uint32_t grid) {
    const int64_t groups = ceil_div(p.columns, kScaleBlock);
    for (uint32_t block = 0; block < grid; ++block) {
        const int64_t k_block = block % groups, slab = block / groups % p.slabs;
        const int64_t step = grid / groups / p.slabs * kSiluRows;
        const int64_t count = p.counts == nullptr ? p.rows : p.counts[slab * p.count_stride];
        for (int64_t top = block / groups / p.slabs * kSiluRows; top < p.rows; top += step) {
            for (int64_t row = top; row < std::min<int64_t>({top + kSiluRows, p.rows, count}); ++row) {
                std::vector<float> products;
                const int64_t first = k_block * kScaleBlock;
                for (int64_t i = first; i < std::min<int64_t>(first + kScaleBlock, p.columns); ++i) {
                    const int64_t place = slab * p.x_stride_slab + row * p.x_stride_m + i;
                    const float gate = input(name, p.x, place);
                    products.push_back(gate / (1 + std::exp(-gate)) * input(name, p.x, place + p.columns));
                }
                p.scale[slab * p.scale_stride_slab + row + k_block * p.scale_stride_k] =
                    quantize_group(products, p.use_ue8m0, p.q + (slab * p.rows + row) * p.columns + first);
            }
        }
    }
}

inline void unpermute(const std::string& name, const UnpermuteParams& p, uint32_t grid) {
    for_each_strip(grid, p.tokens, p.n, [&](int64_t token, int64_t begin, int64_t end) {
        for (int64_t column = begin; column < end; ++column) {
            float sum = 0;
            for (uint32_t j = 0; j < p.top_k; ++j) {
                const int64_t row = p.positions[token * p.position_stride_t + j * p.position_stride_j];
                if (row < 0 || row >= p.rows) continue;
                // Two statements, or the compiler may fuse them.
                volatile float product = p.weights[token * p.weight_stride_t + j * p.weight_stride_j] *
                                         input(name, p.y, row * p.y_stride_r + column);
                sum += product;
            }
            static_cast<uint16_t*>(p.out)[token * p.n + column] = bf16(sum);
        }
    });
}

}  // namespace fake
