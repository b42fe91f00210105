// How kernels deal out tiles (kernels/gemm/deal.cuh), with a thread for every warp: what they share is
// emulated here. Reads lines of "clusters warps launches seed n groups" and that many ends of groups, and
// writes for every launch and cluster a line of its tiles, "m n" each, as all its warps have seen them.
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "warp.h"

namespace {

// Barriers and words in the shared memory of all CTAs, by address: 16 a CTA.
constexpr uint32_t kCtaBytes = 16;
std::mutex lock;
std::condition_variable changed;
struct Barrier {
    uint32_t arrivals, pending;
    int32_t bytes;
    uint32_t phases;  // completed
};
std::map<uint32_t, Barrier> barriers;
std::map<uint32_t, std::atomic<uint32_t>> words;
uint32_t cta_of(uint32_t address) { return address / kCtaBytes; }

void settle(Barrier& barrier) {
    if (barrier.pending > 0 || barrier.bytes != 0) return;
    barrier.pending = barrier.arrivals;
    ++barrier.phases;
    changed.notify_all();
}

inline uint32_t cluster_rank() { return blockIdx.x % CLUSTER_N; }
inline uint32_t remote_address(uint32_t address, uint32_t rank) {
    return (cta_of(address) / CLUSTER_N * CLUSTER_N + rank) * kCtaBytes + address % kCtaBytes;
}
void arrive(uint32_t address, int32_t bytes) {
    const std::lock_guard<std::mutex> guard(lock);
    Barrier& barrier = barriers.at(address);
    if (barrier.pending == 0) fail("more arrivals than a phase has");
    --barrier.pending;
    barrier.bytes += bytes;
    settle(barrier);
}
inline void mbarrier_arrive(uint32_t address) { arrive(address, 0); }
inline void mbarrier_arrive_remote(uint32_t address) { arrive(address, 0); }
inline void mbarrier_arrive_expect_bytes(uint32_t address, uint32_t bytes) { arrive(address, bytes); }
void mbarrier_wait(uint32_t address, uint32_t parity) {
    std::unique_lock<std::mutex> guard(lock);
    const Barrier& barrier = barriers.at(address);
    if (!changed.wait_for(guard, std::chrono::seconds(20), [&] { return barrier.phases % 2 != parity; }))
        fail("waited for a phase that does not end");
}
inline void mbarrier_wait_cluster(uint32_t address, uint32_t parity) { mbarrier_wait(address, parity); }
uint32_t load_shared_word(uint32_t address) { return words.at(address); }
inline void store_shared_word(uint32_t address, uint32_t value) { words.at(address) = value; }
inline void store_remote_word(uint32_t address, uint32_t counted, uint32_t value) {
    words.at(address) = value;
    const std::lock_guard<std::mutex> guard(lock);
    Barrier& barrier = barriers.at(counted);
    barrier.bytes -= sizeof(value);
    settle(barrier);
}
uint32_t atomicAdd(uint32_t* place, uint32_t value) {
    return __atomic_fetch_add(place, value, __ATOMIC_RELAXED);
}

}  // namespace

// Its own is of the GPU.
#define cluster_rank cluster_rank_of_gpu
#include "group_scheduler.cuh"
#undef cluster_rank

// What gemm/tile.cuh has of it for a kernel of 64 x 64.
namespace barrow {

constexpr bool kDealt = true;
constexpr uint32_t kClusterN = CLUSTER_N;
enum class Groups { none, rows, k };
constexpr Groups kGroups = Groups::rows;
struct Shared {
    uint32_t number, dealt, told;
};
template <Groups>
struct WalkOf {
    using Scheduler = GroupScheduler<64, 64, CLUSTER_N>;
};
using Params = GroupedGemmParams;
using Tile = GroupTile;

}  // namespace barrow

#include "gemm/deal.cuh"

using namespace barrow;

namespace {

GroupedGemmParams params;
thread_local Shared shared;
thread_local bool producing;
thread_local std::mt19937 dice;
thread_local std::vector<GroupTile> seen[kLanes];

void follow() {
    Tiles tiles(params, shared, producing);
    for (GroupTile tile; tiles.next(tile);) {
        seen[threadIdx.x].push_back(tile);
        if (threadIdx.x == 0 && dice() % 4 == 0)
            std::this_thread::sleep_for(std::chrono::microseconds(dice() % 300));
    }
}

void deal() { Tiles::deal(shared, params); }

bool same(const GroupTile& a, const GroupTile& b) { return a.m == b.m && a.n == b.n && a.group == b.group; }

}  // namespace

int main() {
    uint32_t clusters, warps, launches, seed;
    while (scanf("%u %u %u %u %u %u", &clusters, &warps, &launches, &seed, &params.n, &params.groups) == 6) {
        std::vector<int32_t> ends(params.groups);
        for (int32_t& end : ends)
            if (scanf("%d", &end) != 1) fail("a number is missing");
        params.layout = ends.data();
        params.m = ends.empty() ? 0 : ends.back();
        params.kind = GroupLayout::ends;
        params.alignment = params.band = 1;
        params.blocks = params.groups;
        params.deal = seed % kDeals;
        for (uint32_t launch = 0; launch < launches; ++launch) {
            const uint32_t ctas = clusters * CLUSTER_N;
            std::vector<std::vector<std::vector<GroupTile>>> walks(ctas);
            barriers.clear();
            words.clear();
            for (uint32_t cta = 0; cta < ctas; ++cta) {
                const uint32_t base = cta * kCtaBytes;
                walks[cta].resize(warps);
                words[base] = 0;
                barriers[base + 8] = {1, 1, 0, 0};
                barriers[base + 12] = {CLUSTER_N * warps, CLUSTER_N * warps, 0, 0};
            }
            std::vector<std::thread> threads;
            for (uint32_t cta = 0; cta < ctas; ++cta) {
                for (uint32_t warp = 0; warp <= warps; ++warp) {
                    threads.emplace_back([=, &walks] {
                        blockIdx.x = cta;
                        gridDim.x = ctas;
                        shared = {cta * kCtaBytes, cta * kCtaBytes + 8, cta * kCtaBytes + 12};
                        producing = warp == 0;
                        dice.seed(seed + 100 * launch + 1000 * cta + warp);
                        if (warp == warps) return run_warp(deal);
                        run_warp(follow);
                        for (const auto& other : seen)
                            if (!std::equal(seen[0].begin(), seen[0].end(), other.begin(), other.end(), same))
                                fail("another walk than another lane's");
                        walks[cta][warp] = seen[0];
                    });
                }
            }
            for (std::thread& thread : threads) thread.join();
            for (uint32_t cta = 0; cta < ctas; ++cta) {
                for (const auto& walk : walks[cta])
                    if (!std::equal(walk.begin(), walk.end(), walks[cta][0].begin(), walks[cta][0].end(),
                                    same))
                        fail("another walk than another warp's");
                for (const GroupTile& tile : walks[cta][0]) printf("%u %u ", tile.m, tile.n);
                printf("\n");
            }
            const Deal& left = deals<true>[params.deal];
            if (left.dealt != 0 || left.done != 0) fail("the count is not as it was found");
        }
    }
}
