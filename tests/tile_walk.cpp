// The kernels' walk over tiles, run on the host. Reads "block_m block_n cluster_k m n band along clusters"
// lines and writes for each the first row and column of every tile, cluster after cluster.
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

using namespace barrow;

template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kCluster>
void walk(const GemmParams& params, uint32_t clusters) {
    gridDim.x = clusters * kCluster;
    for (uint32_t cluster = 0; cluster < clusters; ++cluster) {
        blockIdx.x = cluster * kCluster + kCluster - 1;
        TileScheduler<kBlockM, kBlockN, kCluster> scheduler(params);
        for (DenseTile tile; scheduler.next(tile);) printf("%u %u ", tile.m, tile.n);
    }
    printf("\n");
}

int main() {
    struct {
        uint32_t block_m, block_n, cluster_k;
        void (*walk)(const GemmParams&, uint32_t);
    } const kWalks[] = {WALKS};
    uint32_t block_m, block_n, cluster_k, clusters;
    GemmParams params{};
    while (scanf("%u %u %u %u %u %u %u %u", &block_m, &block_n, &cluster_k, &params.m, &params.n,
                 &params.band, &params.along, &clusters) == 8) {
        for (const auto& known : kWalks) {
            if (known.block_m == block_m && known.block_n == block_n && known.cluster_k == cluster_k)
                known.walk(params, clusters);
        }
    }
}
