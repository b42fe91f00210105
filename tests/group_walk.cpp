// The walk of grouped kernels over the tiles of all groups, run on the host by a warp of 32 fibers. Reads
// lines of "block_m block_n m n band along kind groups alignment ctas count" and that many numbers that tell
// the groups, and writes for every CTA a line of its tiles: "m n group slab first end" each.
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cuda_on_host.h"

namespace {

constexpr uint32_t kLanes = 32;
constexpr size_t kStackBytes = 64 << 10;

struct Lane {
    ucontext_t context;
    char stack[kStackBytes];
    uint32_t operations;  // across the warp, so far
    char kind;            // of the last one
};

Lane lanes[kLanes];
ucontext_t caller;
void (*program)();
// What lanes bring to an operation, and to the next, which one may reach before all others have read.
uint32_t brought[2][kLanes];

[[noreturn]] void fail(const char* what) {
    fprintf(stderr, "lane %u: %s\n", threadIdx.x, what);
    exit(1);
}

// Lanes run in turn, each from one operation to the next, so that all have brought theirs when the first one
// goes on. They have to come to the same operations.
const uint32_t* exchange(char kind, uint32_t mask, uint32_t value) {
    if (mask != 0xffffffff) fail("the operation is not for the whole warp");
    const uint32_t lane = threadIdx.x, turn = lanes[lane].operations++;
    lanes[lane].kind = kind;
    brought[turn % 2][lane] = value;
    threadIdx.x = (lane + 1) % kLanes;
    swapcontext(&lanes[lane].context, &lanes[threadIdx.x].context);
    for (uint32_t other = 0; lane == 0 && other < kLanes; ++other) {
        if (lanes[other].operations != turn + 1 || lanes[other].kind != kind) fail("others are elsewhere");
    }
    return brought[turn % 2];
}

void run_lane() {
    program();
    if (threadIdx.x + 1 == kLanes) return;  // to the caller
    ++threadIdx.x;
    setcontext(&lanes[threadIdx.x].context);
}

// Runs `of_lane` in all lanes of a warp.
void run_warp(void (*of_lane)()) {
    program = of_lane;
    for (Lane& lane : lanes) {
        getcontext(&lane.context);
        lane.context.uc_stack.ss_sp = lane.stack;
        lane.context.uc_stack.ss_size = kStackBytes;
        lane.context.uc_link = &caller;
        lane.operations = 0;
        makecontext(&lane.context, run_lane, 0);
    }
    threadIdx.x = 0;
    swapcontext(&caller, &lanes[0].context);
}

template <typename T>
T __shfl_sync(uint32_t mask, T value, uint32_t from) {
    return static_cast<T>(exchange('s', mask, static_cast<uint32_t>(value))[from]);
}

template <typename T>
T __shfl_up_sync(uint32_t mask, T value, uint32_t step) {
    const uint32_t lane = threadIdx.x;
    const uint32_t* all = exchange('u', mask, static_cast<uint32_t>(value));
    return static_cast<T>(all[lane >= step ? lane - step : lane]);
}

uint32_t __ballot_sync(uint32_t mask, bool yes) {
    const uint32_t* all = exchange('b', mask, yes);
    uint32_t bits = 0;
    for (uint32_t lane = 0; lane < kLanes; ++lane) bits |= all[lane] << lane;
    return bits;
}

}  // namespace

#include "group_scheduler.cuh"

using namespace barrow;

namespace {

GroupedGemmParams params;
std::vector<GroupTile> tiles[kLanes];

template <uint32_t kBlockM, uint32_t kBlockN, uint32_t kPartRows, uint32_t kClusterN>
void walk() {
    std::vector<GroupTile>& mine = tiles[threadIdx.x];
    mine.clear();
    GroupScheduler<kBlockM, kBlockN, kPartRows, kClusterN> scheduler(params);
    for (GroupTile tile; scheduler.next(tile);) mine.push_back(tile);
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
        uint32_t block_m, block_n, part_rows, cluster_n;
        void (*walk)();
    } const kWalks[] = {WALKS};
    uint32_t block_m, block_n, part_rows, cluster_n, kind, count;
    while (scanf("%u %u %u %u %u %u %u %u %u %u %u %u %u", &block_m, &block_n, &part_rows, &cluster_n,
                 &params.m, &params.n, &params.band, &params.along, &kind, &params.groups, &params.alignment,
                 &gridDim.x, &count) == 13) {
        std::vector<int32_t> layout(count);
        for (int32_t& number : layout) {
            if (scanf("%d", &number) != 1) fail("a number is missing");
        }
        params.layout = layout.data();
        params.kind = static_cast<GroupLayout>(kind);
        params.blocks =
            params.kind == GroupLayout::indices ? ceil_div(params.m, params.alignment) : params.groups;
        for (const auto& known : kWalks) {
            if (known.block_m != block_m || known.block_n != block_n || known.part_rows != part_rows ||
                known.cluster_n != cluster_n)
                continue;
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) {
                run_warp(known.walk);
                print_walk();
            }
        }
    }
}
