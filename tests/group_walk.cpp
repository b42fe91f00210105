// The walk of grouped kernels over the tiles of all groups, run on the host by a warp of 32 fibers. Reads
// lines of "block_m block_n cluster_n m n band along kind groups alignment ctas dealt count" and that many
// numbers that tell the groups, and writes for every CTA a line of its tiles: "m n group slab first end"
// each. Dealt, clusters get tiles beyond their first at random.
#include <vector>

// clang-format off: what stands for CUDA comes first
#include "warp.h"
#include "group_scheduler.cuh"
// clang-format on

using namespace barrow;

namespace {

GroupedGemmParams params;
uint32_t dealt;
std::vector<GroupTile> tiles[kLanes];

template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kClusterN>
void walk() {
    std::vector<GroupTile>& mine = tiles[threadIdx.x];
    mine.clear();
    GroupScheduler<kBlockM, kBlockN, kClusterN> scheduler(params);
    const uint32_t cluster = blockIdx.x / kClusterN, clusters = gridDim.x / kClusterN;
    uint32_t index = cluster;
    for (GroupTile tile; scheduler.find(index, tile);) {
        mine.push_back(tile);
        do index += dealt ? 1 : clusters;
        while (dealt && (index < clusters || index * 2654435761u % 65521 % clusters != cluster));
    }
}

bool same(const GroupTile& a, const GroupTile& b) {
    return a.m == b.m && a.n == b.n && a.group == b.group && a.slab == b.slab && a.first == b.first &&
           a.end == b.end;
}

void print_walk() {
    for (const auto& other : tiles) {
        if (!std::equal(tiles[0].begin(), tiles[0].end(), other.begin(), other.end(), same))
            fail("another walk than another lane's");
    }
    for (const GroupTile& tile : tiles[0])
        printf("%u %u %u %u %u %u ", tile.m, tile.n, tile.group, tile.slab, tile.first, tile.end);
    printf("\n");
}

}  // namespace

int main() {
    struct {
        uint32_t block_m, block_n, cluster_n;
        void (*walk)();
    } const kWalks[] = {WALKS};
    uint32_t block_m, block_n, cluster_n, kind, count;
    while (scanf("%u %u %u %u %u %u %u %u %u %u %u %u %u", &block_m, &block_n, &cluster_n, &params.m,
                 &params.n, &params.band, &params.along, &kind, &params.groups, &params.alignment, &gridDim.x,
                 &dealt, &count) == 13) {
        std::vector<int32_t> layout(count);
        for (int32_t& number : layout) {
            if (scanf("%d", &number) != 1) fail("a number is missing");
        }
        params.layout = layout.data();
        params.kind = static_cast<GroupLayout>(kind);
        params.blocks =
            params.kind == GroupLayout::indices ? ceil_div(params.m, params.alignment) : params.groups;
        for (const auto& known : kWalks) {
            if (known.block_m != block_m || known.block_n != block_n || known.cluster_n != cluster_n)
                continue;
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) {
                run_warp(known.walk);
                print_walk();
            }
        }
    }
}
