// The kernels' walks over tiles, run on the host. Reads "block_m block_n cluster_k alternates m n band along
// groups clusters" lines, 0 groups for the walk over one product, and writes for each the first row, first
// column and group of every tile, and whether it goes through K from its end: of one cluster after another.
#include <cstdint>
#include <cstdio>

#include "cuda_on_host.h"
#include "k_group_scheduler.cuh"

using namespace barrow;

template <typename Scheduler, uint32_t kClusterK>
void walk_by(const KGroupedGemmParams& params, uint32_t clusters) {
    gridDim.x = clusters * kClusterK;
    for (blockIdx.x = kClusterK - 1; blockIdx.x < gridDim.x; blockIdx.x += kClusterK) {
        Scheduler scheduler(params);
        for (typename Scheduler::Tile tile; scheduler.next(tile);)
            printf("%u %u %u %u ", tile.m, tile.n, tile.group, tile.backward);
    }
    printf("\n");
}

template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kClusterK, bool kAlternates>
void walk(const KGroupedGemmParams& params, uint32_t clusters) {
    if (params.groups == 0)
        walk_by<TileScheduler<kBlockM, kBlockN, kClusterK, kAlternates>, kClusterK>(params, clusters);
    else
        walk_by<KGroupScheduler<kBlockM, kBlockN>, 1>(params, clusters);
}

int main() {
    struct {
        uint32_t block_m, block_n, cluster_k, alternates;
        void (*walk)(const KGroupedGemmParams&, uint32_t);
    } const kWalks[] = {WALKS};
    uint32_t block_m, block_n, cluster_k, alternates, clusters, band;
    KGroupedGemmParams params{};
    while (scanf("%u %u %u %u %u %u %u %u %u %u", &block_m, &block_n, &cluster_k, &alternates, &params.m,
                 &params.n, &band, &params.along, &params.groups, &clusters) == 10) {
        params.bands = bands(ceil_div(params.m, block_m), ceil_div(params.n, block_n), band, params.along);
        for (const auto& known : kWalks) {
            if (known.block_m == block_m && known.block_n == block_n && known.cluster_k == cluster_k &&
                known.alternates == alternates)
                known.walk(params, clusters);
        }
    }
}
