// From accumulators to D: through shared memory and the copy engine where it can address D, else from
// registers.
#pragma once

#include "gemm/access.cuh"
#include "ptx/convert.cuh"

namespace barrow {

__device__ __forceinline__ void store_matrices(uint32_t address, uint32_t a, uint32_t b, uint32_t c,
                                               uint32_t d) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(a),
                 "r"(b), "r"(c), "r"(d)
                 : "memory");
}

// The same transposed: what a thread holds of a row goes to a column.
__device__ __forceinline__ void store_transposed(uint32_t address, uint32_t a, uint32_t b) {
    asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(address), "r"(a),
                 "r"(b)
                 : "memory");
}

// The swizzle of D's map: in a box of kStoreColumns of bfloat16, 16-byte piece i of a row lies in place
// i ^ swizzle_of(row), so that eight rows of one matrix fall into eight banks. A template, since kernels that
// store from registers have no box to divide by.
template <uint32_t kWidth = kStoreColumns>
__device__ __forceinline__ uint32_t swizzle_of(uint32_t row) {
    constexpr uint32_t kRowBytes = kWidth * 2;
    return row * kRowBytes / 128 % (kRowBytes / 16);
}

// Writes one warpgroup's 64 rows to `smem` as boxes of 64 rows.
template <uint32_t kBlockN>
__device__ __forceinline__ void stage_bf16(uint32_t smem, const float (&sum)[kBlockN / 2], uint32_t thread) {
    constexpr uint32_t kRowBytes = kStoreColumns * 2;
    const uint32_t lane = thread % kWarp;
    const uint32_t row = thread / kWarp * 16 + lane % 16;  // the row whose address this lane gives
    const uint32_t swizzle = swizzle_of(row);
    const uint32_t base = smem + row * kRowBytes;
#pragma unroll
    for (uint32_t j = 0; j < kBlockN / 8; j += 2) {
        const uint32_t column = (j + lane / 16) * 8;
        const uint32_t piece = (column % kStoreColumns / 8) ^ swizzle;
        store_matrices(base + column / kStoreColumns * (kWgmmaM * kRowBytes) + piece * 16,
                       pack_bf16(sum[4 * j], sum[4 * j + 1]), pack_bf16(sum[4 * j + 2], sum[4 * j + 3]),
                       pack_bf16(sum[4 * j + 4], sum[4 * j + 5]), pack_bf16(sum[4 * j + 6], sum[4 * j + 7]));
    }
}

// Writes kStoreColumns of them in float32, from `first` on, as one box without a swizzle. Rows begin at the
// same bank, and half a warp writes pairs of four rows at once, so each of the four takes another eight
// columns of 32.
template <uint32_t kBlockN>
__device__ __forceinline__ void stage_f32(uint32_t smem, const float (&sum)[kBlockN / 2], uint32_t first,
                                          uint32_t thread) {
    static_assert(kStoreColumns % 32 == 0);
    const uint32_t lane = thread % kWarp;
    const uint32_t row = thread / kWarp * 16 + lane / 4;  // and the one eight below
    const uint32_t base = smem + (row * kStoreColumns + lane % 4 * 2) * 4;
    const bool odd = row % 2 != 0, high = row % 4 >= 2;
#pragma unroll
    for (uint32_t j = 0; j < kStoreColumns / 8; ++j) {
        const uint32_t at = first / 8 + j, address = base + (j ^ row % 4) * 8 * 4;
        // Chosen, not indexed: an array indexed at run time would live in memory.
        const auto of = [&](uint32_t i) {
            const float even_rows = high ? sum[4 * (at ^ 2) + i] : sum[4 * at + i];
            const float odd_rows = high ? sum[4 * (at ^ 3) + i] : sum[4 * (at ^ 1) + i];
            return odd ? odd_rows : even_rows;
        };
        store_shared_pair(address, of(0), of(1));
        store_shared_pair(address + 8 * kStoreColumns * 4, of(2), of(3));
    }
}

// Hands staged boxes of D to the copy engine; call from one thread, after the warpgroup has written them.
template <uint32_t kColumns>
__device__ __forceinline__ void store_staged(const Params& params, uint32_t smem, const CUtensorMap* map,
                                             uint32_t row, uint32_t column, const Tile& tile) {
#pragma unroll
    for (uint32_t c = 0; c < kColumns; c += kStoreColumns)
        if (column + c < params.n)
            Access::store_box(params, smem + c * kWgmmaM * kOutBytes, map, column + c, row, tile);
    tma_store_commit();
}

// Copies the rows of `target` from staged boxes to D, 16 bytes a thread: where others' rows lie beside them,
// and the copy engine would write those too. A warp takes whole rows, so that addresses are found once and
// rows outside of the target take no time; several loads are under way before the first store.
template <uint32_t kRows, uint32_t kColumns>
__device__ __forceinline__ void copy_staged(const GemmParams& params, const Target& target, uint32_t smem,
                                            uint32_t row, uint32_t column, uint32_t thread) {
    constexpr uint32_t kPieces = kColumns / 8, kAtOnce = kWarp / kPieces;
    const uint32_t lane = thread % kWarp, c = lane % kPieces * 8;
    if (lane >= kAtOnce * kPieces || column + c >= params.n) return;
    const uint32_t begin = max(target.first, row) - row, end = min(target.end, row + kRows) - row;
    const uint32_t box = smem + c / kStoreColumns * kRows * kStoreColumns * 2;
    auto* d = static_cast<uint16_t*>(target.d) + int64_t{row} * params.d_stride_m + column + c;
#pragma unroll 4
    for (uint32_t r = begin + thread / kWarp * kAtOnce + lane / kPieces; r < end;
         r += kWarpgroup / kWarp * kAtOnce) {
        float eight[4];
        const uint32_t piece = c % kStoreColumns / 8 ^ swizzle_of(r);
        load_shared_vector(box + r * kStoreColumns * 2 + piece * 16, eight);
        *reinterpret_cast<float4*>(d + int64_t{r} * params.d_stride_m) =
            make_float4(eight[0], eight[1], eight[2], eight[3]);
    }
}

// Writes one warpgroup's 64 columns of D and kTokens rows to `smem` as one box; the accumulators hold it
// transposed.
template <uint32_t kTokens>
__device__ __forceinline__ void stage_bf16_transposed(uint32_t smem, const float (&sum)[kTokens / 2],
                                                      uint32_t thread) {
    const uint32_t lane = thread % kWarp;
    // The row of eight whose address this lane gives, and its 16-byte piece of 64 columns.
    const uint32_t row = lane % 8, piece = thread / kWarp * 2 + lane / 8 % 2;
    const uint32_t base = smem + row * (kWgmmaM * 2) + (piece ^ swizzle_of(row)) * 16;
#pragma unroll
    for (uint32_t j = 0; j < kTokens / 8; ++j)
        store_transposed(base + j * 8 * (kWgmmaM * 2), pack_bf16(sum[4 * j], sum[4 * j + 1]),
                         pack_bf16(sum[4 * j + 2], sum[4 * j + 3]));
}

// Stores a float32 element of D, or adds to it. The one addition to an element gives the same bits whenever
// it comes, and in memory it costs the thread no register and no wait.
__device__ __forceinline__ void put(float* place, float value, bool accumulate) {
    if (accumulate)
        asm volatile("red.relaxed.gpu.global.add.f32 [%0], %1;" ::"l"(place), "f"(value) : "memory");
    else
        *place = value;
}

// The same for two neighbours, the first at a multiple of 8 bytes.
__device__ __forceinline__ void put_pair(float* place, float low, float high, bool accumulate) {
    if (accumulate)
        asm volatile("red.relaxed.gpu.global.add.v2.f32 [%0], {%1, %2};" ::"l"(place), "f"(low), "f"(high)
                     : "memory");
    else
        *reinterpret_cast<float2*>(place) = make_float2(low, high);
}

// Writes one warpgroup's 64 columns of D and kTokens rows straight to D.
template <bool kBf16, uint32_t kTokens>
__device__ __forceinline__ void store_registers_transposed(const GemmParams& params, const Target& target,
                                                           const float (&sum)[kTokens / 2], uint32_t row,
                                                           uint32_t column, uint32_t thread) {
    const uint32_t lane = thread % kWarp;
    const uint32_t first_row = row + lane % 4 * 2;
    const uint32_t first_column = column + thread / kWarp * 16 + lane / 4;
#pragma unroll
    for (uint32_t i = 0; i < kTokens / 2; ++i) {
        const uint32_t r = first_row + i / 4 * 8 + i % 2, c = first_column + i % 4 / 2 * 8;
        if (r < target.first || r >= target.end || c >= params.n) continue;
        const int64_t place = int64_t{r} * params.d_stride_m + c;
        if constexpr (kBf16)
            static_cast<uint16_t*>(target.d)[place] = static_cast<uint16_t>(pack_bf16(sum[i], 0.0f));
        else
            put(static_cast<float*>(target.d) + place, sum[i], params.accumulate);
    }
}

// Writes one warpgroup's 64 rows straight to D, element by element at the edges.
template <bool kBf16, uint32_t kBlockN>
__device__ __forceinline__ void store_registers(const GemmParams& params, const Target& target,
                                                const float (&sum)[kBlockN / 2], uint32_t row,
                                                uint32_t column, uint32_t thread) {
    constexpr uint32_t kBytes = kBf16 ? 2 : 4;
    const uint32_t lane = thread % kWarp;
    const uint32_t first_row = row + thread / kWarp * 16 + lane / 4;
    const uint32_t first_column = column + lane % 4 * 2;
    // Pairs start at even columns, so that one test covers every pair of the tile.
    const bool pairs = params.d_stride_m % 2 == 0 && reinterpret_cast<uint64_t>(target.d) % (2 * kBytes) == 0;
#pragma unroll
    for (uint32_t half = 0; half < 2; ++half) {
        const uint32_t r = first_row + half * 8;
        if (r < target.first || r >= target.end) continue;
        uint8_t* line = static_cast<uint8_t*>(target.d) + int64_t{r} * params.d_stride_m * kBytes;
#pragma unroll
        for (uint32_t j = 0; j < kBlockN / 8; ++j) {
            const uint32_t c = first_column + j * 8;
            const float low = sum[4 * j + 2 * half], high = sum[4 * j + 2 * half + 1];
            uint8_t* place = line + uint64_t{c} * kBytes;
            if constexpr (kBf16) {
                const uint32_t packed = pack_bf16(low, high);
                if (pairs && c + 1 < params.n) {
                    *reinterpret_cast<uint32_t*>(place) = packed;
                } else {
                    auto* elements = reinterpret_cast<uint16_t*>(place);
                    if (c < params.n) elements[0] = static_cast<uint16_t>(packed);
                    if (c + 1 < params.n) elements[1] = static_cast<uint16_t>(packed >> 16);
                }
            } else {
                auto* elements = reinterpret_cast<float*>(place);
                if (pairs && c + 1 < params.n) {
                    put_pair(elements, low, high, params.accumulate);
                } else {
                    if (c < params.n) put(elements, low, params.accumulate);
                    if (c + 1 < params.n) put(elements + 1, high, params.accumulate);
                }
            }
        }
    }
}

}  // namespace barrow
