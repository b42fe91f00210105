// Where a tile's operands, scales and results lie: in matrices, or in those of its group.
#pragma once

#include "gemm/tile.cuh"

namespace barrow {

// Rows of D that a tile may write, and the matrix they are in.
struct Target {
    void* d;
    uint32_t first;
    uint32_t end;
};

// Where all tiles have the same K, and an operand one map.
struct SameK {
    static __device__ __forceinline__ void prefetch(const CUtensorMap& map, const GemmParams&) {
        tma_prefetch_map(&map);
    }
    // Blocks of K that a CTA multiplies for a tile of the group, where `all` are those of GemmParams::k.
    static __device__ __forceinline__ uint32_t k_blocks(const GemmParams&, uint32_t, uint32_t all) {
        return all;
    }
    // Which of all scales along K are those of block `kb` of the group.
    static __device__ __forceinline__ uint32_t scale_block(const GemmParams&, uint32_t, uint32_t kb) {
        return kb;
    }
};

template <Groups kOf>
struct AccessOf : SameK {
    // Loads of kPartRows rows that bring a tile of A, and those of one block of K.
    static __device__ __forceinline__ uint32_t parts_a(const DenseTile&) { return kPartsA; }
    static __device__ __forceinline__ void load_a(uint32_t smem, const CUtensorMap* map, uint32_t full,
                                                  uint32_t kb, const DenseTile& tile, uint32_t) {
        tma_load(smem, map, full, kb * kScaleBlock, tile.m);
    }
    static __device__ __forceinline__ void load_b(uint32_t smem, const CUtensorMap* map, uint32_t full,
                                                  uint32_t kb, const DenseTile& tile) {
        tma_load(smem, map, full, kb * kScaleBlock, tile.n);
    }
    static __device__ __forceinline__ void load_scale_a(uint32_t smem, const CUtensorMap* map, uint32_t full,
                                                        uint32_t kb, const DenseTile& tile) {
        tma_load(smem, map, full, tile.m, kb);
    }
    static __device__ __forceinline__ const float* scale_a(const GemmParams& params, const DenseTile&) {
        return params.a_scale;
    }
    static __device__ __forceinline__ int64_t scale_b_offset(const GemmParams&, const DenseTile&) {
        return 0;
    }
    // What is added to D must not be added twice, where the last tile reaches back.
    static __device__ __forceinline__ Target target(const GemmParams& params, const DenseTile& tile) {
        return {params.d, !kBf16 && params.accumulate ? tile.first : 0, params.m};
    }
    // Of the waves of a warpgroup whose rows begin `down` the tile, those that have some.
    static __device__ __forceinline__ uint32_t active_waves(const DenseTile&, uint32_t) { return kWaves; }
    // Whether the copy engine may write `rows` rows from `row` on: it clips at M.
    static __device__ __forceinline__ bool storable(const GemmParams& params, const DenseTile& tile,
                                                    uint32_t row, uint32_t) {
        return row >= target(params, tile).first;
    }
    static __device__ __forceinline__ void store_box(const GemmParams&, uint32_t smem, const CUtensorMap* map,
                                                     uint32_t column, uint32_t row, const DenseTile&) {
        tma_store(smem, map, column, row);
    }
};

// Maps have the group, or the slab, for a third dimension.
template <>
struct AccessOf<Groups::rows> : SameK {
    // What lies beyond the group's last row is not loaded, as far as that is a whole part.
    static __device__ __forceinline__ uint32_t parts_a(const GroupTile& tile) {
        return kPartsA > 1 ? min(ceil_div(tile.end - tile.m, kPartRows), kPartsA) : 1;
    }
    static __device__ __forceinline__ void load_a(uint32_t smem, const CUtensorMap* map, uint32_t full,
                                                  uint32_t kb, const GroupTile& tile, uint32_t parts) {
        if constexpr (kClusterN > 1) {
            const uint32_t part = cluster_rank(), first = part * kPartRows;
            if (part < parts)
                tma_load_to_all<kClusterN>(smem + first * kScaleBlock, map, full, kb * kScaleBlock,
                                           tile.m + first, tile.slab);
        } else {
#pragma unroll
            for (uint32_t part = 0; part < kPartsA; ++part) {
                const uint32_t first = part * kPartRows;
                if (part < parts)
                    tma_load(smem + first * kScaleBlock, map, full, kb * kScaleBlock, tile.m + first,
                             tile.slab);
            }
        }
    }
    static __device__ __forceinline__ void load_b(uint32_t smem, const CUtensorMap* map, uint32_t full,
                                                  uint32_t kb, const GroupTile& tile) {
        tma_load(smem, map, full, kb * kScaleBlock, tile.n, tile.group);
    }
    static __device__ __forceinline__ void load_scale_a(uint32_t smem, const CUtensorMap* map, uint32_t full,
                                                        uint32_t kb, const GroupTile& tile) {
        tma_load(smem, map, full, tile.m, kb, tile.slab);
    }
    static __device__ __forceinline__ const float* scale_a(const GroupedGemmParams& params,
                                                           const GroupTile& tile) {
        return params.a_scale + tile.slab * params.a_scale_stride_slab;
    }
    static __device__ __forceinline__ int64_t scale_b_offset(const GroupedGemmParams& params,
                                                             const GroupTile& tile) {
        return tile.group * params.b_scale_stride_group;
    }
    static __device__ __forceinline__ Target target(const GroupedGemmParams& params, const GroupTile& tile) {
        return {static_cast<uint8_t*>(params.d) + tile.slab * params.d_stride_slab * kOutBytes, tile.first,
                tile.end};
    }
    static __device__ __forceinline__ uint32_t active_waves(const GroupTile& tile, uint32_t down) {
        const uint32_t rows = tile.end - tile.m;
        return rows > down ? min((rows - down - 1) / kWaveStep + 1, kWaves) : 0;
    }
    // The copy engine knows nothing of groups: rows of others, and of none, stay as they are.
    static __device__ __forceinline__ bool storable(const GemmParams&, const GroupTile& tile, uint32_t row,
                                                    uint32_t rows) {
        return row >= tile.first && row + rows <= tile.end;
    }
    static __device__ __forceinline__ void store_box(const GemmParams&, uint32_t smem, const CUtensorMap* map,
                                                     uint32_t column, uint32_t row, const GroupTile& tile) {
        tma_store(smem, map, column, row, tile.slab);
    }
};

// A group of K has maps of its own for A and B, and a slab of D; the scales of all groups lie side by side.
template <>
struct AccessOf<Groups::k> : AccessOf<Groups::none> {
    static __device__ __forceinline__ void prefetch(const KGroupMaps& maps,
                                                    const KGroupedGemmParams& params) {
        for (uint32_t group = 0; group < params.groups; ++group) tma_prefetch_map(&maps.of[group]);
    }
    static __device__ __forceinline__ void load_a(uint32_t smem, const KGroupMaps* maps, uint32_t full,
                                                  uint32_t kb, const KGroupTile& tile, uint32_t parts) {
        AccessOf<Groups::none>::load_a(smem, &maps->of[tile.group], full, kb, tile, parts);
    }
    static __device__ __forceinline__ void load_b(uint32_t smem, const KGroupMaps* maps, uint32_t full,
                                                  uint32_t kb, const KGroupTile& tile) {
        AccessOf<Groups::none>::load_b(smem, &maps->of[tile.group], full, kb, tile);
    }
    static __device__ __forceinline__ uint32_t k_blocks(const KGroupedGemmParams& params, uint32_t group,
                                                        uint32_t) {
        return params.group[group].k_blocks;
    }
    static __device__ __forceinline__ uint32_t scale_block(const KGroupedGemmParams& params, uint32_t group,
                                                           uint32_t kb) {
        return params.group[group].first_block + kb;
    }
    static __device__ __forceinline__ uint32_t slab(const KGroupedGemmParams& params,
                                                    const KGroupTile& tile) {
        return params.group[tile.group].slab;
    }
    static __device__ __forceinline__ Target target(const KGroupedGemmParams& params,
                                                    const KGroupTile& tile) {
        Target target = AccessOf<Groups::none>::target(params, tile);
        target.d = static_cast<float*>(params.d) + slab(params, tile) * params.d_stride_slab;
        return target;
    }
    static __device__ __forceinline__ void store_box(const KGroupedGemmParams& params, uint32_t smem,
                                                     const CUtensorMap* map, uint32_t column, uint32_t row,
                                                     const KGroupTile& tile) {
        if (params.accumulate)
            tma_add(smem, map, column, row, slab(params, tile));
        else
            tma_store(smem, map, column, row, slab(params, tile));
    }
};
using Access = AccessOf<kGroups>;

}  // namespace barrow
