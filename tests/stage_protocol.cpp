// Loads and waits of one CTA around its ring of stages, on the host: the producer, the warp that loads ahead
// and the math threads as far as they wait, each a fiber, over a model of barriers and of the copy engine.
// Whose turn it is is drawn, and some are slow. Reads lines of "m n k rank ctas prefetch copies seed". Fails
// where all wait, where a barrier is told more often than it counts, and where a math thread finds another
// block than its own, or one that is being written.
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "cuda_on_host.h"

// What the headers name and no fiber comes to.
template <typename T>
T __shfl_sync(uint32_t, T value, uint32_t) {
    return value;
}
template <typename T>
T __shfl_up_sync(uint32_t, T value, uint32_t) {
    return value;
}
inline uint32_t __ballot_sync(uint32_t, bool) { return 0; }
inline void __syncwarp() {}

#include "ptx/cp_async.cuh"
#include "ptx/sync.cuh"
#include "ptx/tma.cuh"
#include "ptx/wgmma.cuh"

namespace {

constexpr size_t kStackBytes = 64 << 10;

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[kStackBytes]};
    std::function<void()> body;
    std::function<bool()> ready = [] { return true; };
    bool slow = false, done = false;
    uint32_t read = 0;  // matrices of B taken to registers
};

std::mt19937 drawn;
std::vector<std::unique_ptr<Fiber>> fibers;
Fiber* running;
ucontext_t scheduler_context;

[[noreturn]] void fail(const char* what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

void wait_until(std::function<bool()> ready) {
    running->ready = std::move(ready);
    swapcontext(&running->context, &scheduler_context);
}
void give_turn() {
    wait_until([] { return true; });
}

// A phase ends when all have arrived and all announced bytes have come (PTX ISA, "mbarrier").
struct Barrier {
    uint32_t arrivals, pending, phase = 0;
    int64_t bytes = 0;

    void end_phase_if_complete() {
        if (pending > 0 || bytes != 0) return;
        ++phase;
        pending = arrivals;
    }
};
std::map<uint32_t, Barrier> barriers;

void arrive(uint32_t barrier, uint32_t arrivals) {
    Barrier& at = barriers.at(barrier);
    if (arrivals > at.pending) fail("a barrier is told too often");
    at.pending -= arrivals;
    at.end_phase_if_complete();
    give_turn();
}

// What a load brings, by the coordinates that tell boxes apart.
struct Box {
    uint32_t column, row;
    bool operator==(const Box& other) const { return column == other.column && row == other.row; }
};
struct Load {
    uint32_t place, barrier;
    int64_t bytes;
    Box box;
};
std::vector<Load> loads;         // on their way, in any order
std::map<uint32_t, Box> memory;  // by the address where a box begins
std::map<uint32_t, int> being_written;
std::map<const CUtensorMap*, int64_t> box_bytes;
bool predecessors_done;

void complete_load(size_t index) {
    const Load load = loads[index];
    loads.erase(loads.begin() + static_cast<ptrdiff_t>(index));
    memory[load.place] = load.box;
    --being_written[load.place];
    Barrier& at = barriers.at(load.barrier);
    at.bytes -= load.bytes;
    at.end_phase_if_complete();
}

void expect_box(uint32_t place, Box box) {
    if (being_written[place] != 0) fail("a block is read while it is being written");
    if (memory.find(place) == memory.end() || !(memory[place] == box)) fail("another block than expected");
}

}  // namespace

namespace barrow {

inline void model_init(uint32_t barrier, uint32_t arrivals) { barriers[barrier] = {arrivals, arrivals}; }
inline void model_arrive(uint32_t barrier, uint32_t arrivals = 1) { arrive(barrier, arrivals); }
inline void model_expect(uint32_t barrier, uint32_t bytes) { barriers.at(barrier).bytes += bytes; }
inline void model_arrive_expect(uint32_t barrier, uint32_t bytes) {
    model_expect(barrier, bytes);
    arrive(barrier, 1);
}
inline void model_wait(uint32_t barrier, uint32_t parity) {
    wait_until([=] { return barriers.at(barrier).phase % 2 != parity; });
}
inline void model_load(uint32_t place, const CUtensorMap* map, uint32_t barrier, uint32_t column,
                       uint32_t row, uint32_t /*slab*/ = 0) {
    loads.push_back({place, barrier, box_bytes.at(map), {column, row}});
    ++being_written[place];
    give_turn();
}
inline void model_copy(uint32_t, const float*, bool) {}
inline void model_fence() {}
inline void model_wait_for_predecessors() {
    wait_until([] { return predecessors_done; });
}
void model_load_matrices(uint32_t address, uint32_t (&)[4]);

}  // namespace barrow

#define mbarrier_init model_init
#define mbarrier_arrive model_arrive
#define mbarrier_arrive_expect_bytes model_arrive_expect
#define mbarrier_expect_bytes model_expect
#define mbarrier_wait model_wait
#define tma_load model_load
#define wait_for_predecessors model_wait_for_predecessors
#define cp_async_float model_copy
#define cp_async_arrive model_arrive
#define load_matrices model_load_matrices
#define fence_smem_to_tma model_fence
#include "gemm/produce.cuh"

using namespace barrow;

namespace {

const Shared shared(1024);
Params params;
CUtensorMap a_map, b_map, a_scale_map, b_scale_map;
uint32_t rank;

// The walk of math threads over all tiles, without their mathematics.
void consume(uint32_t warp, uint32_t lane) {
    const uint32_t thread = warp % 4 * kWarp + lane;
    const uint32_t all_blocks = k_blocks_of(params.k, rank);
    Scheduler scheduler(params);
    Multiplier math(shared, params.a_scale_box_rows == 0, warp / 4, thread);
    Tile tile;
    if (!scheduler.next(tile)) return;
    HeldB<kHeld> held;
    held.take(math, params, all_blocks, thread);
    uint32_t with_b = all_blocks - held.blocks;
    do {
        for (uint32_t block = 0; block < all_blocks; ++block) {
            math.wait_full();
            const uint32_t stage = math.ring.stage;
            const uint32_t column = k_block_of(tile.backward, all_blocks, rank, block) * kScaleBlock;
            for (int twice = 0; twice < 2; ++twice) {
                expect_box(shared.a + stage * kTileBytesA, {column, tile.m});
                if (block < with_b) expect_box(shared.b + stage * kTileBytesB, {column, tile.n});
                give_turn();
            }
            math.release(stage);
            math.ring.advance();
        }
        with_b = all_blocks;
    } while (kClusterK == 1 && scheduler.next(tile));
}

void start(std::function<void()> body) {
    fibers.push_back(std::make_unique<Fiber>());
    Fiber& fiber = *fibers.back();
    fiber.body = std::move(body);
    fiber.slow = drawn() % 3 == 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &scheduler_context;
    makecontext(
        &fiber.context,
        +[] {
            running->body();
            running->done = true;
        },
        0);
}

void run(bool copies) {
    barriers.clear(), memory.clear(), being_written.clear();
    predecessors_done = false;
    params.a_box_rows = min(params.m, kBlockM);
    params.a_scale_box_rows = copies ? 0 : (params.a_box_rows + 3) / 4 * 4;
    params.b_scale_box_rows = 0;
    box_bytes = {{&a_map, params.a_box_rows * kScaleBlock},
                 {&b_map, kTileBytesB},
                 {&a_scale_map, params.a_scale_box_rows * 4}};
    shared.init_barriers(copies);
    const Maps maps{a_map, b_map, a_scale_map, b_scale_map};
    const uint32_t lanes = copies ? kWarp : 1;
    for (uint32_t lane = 0; lane < lanes; ++lane) {
        for (uint32_t warp = 0; warp < kMathWarps; ++warp) start([=] { consume(warp, lane); });
        start([=] {
            if (!params.prefetch_b) model_wait_for_predecessors();
            if (copies)
                produce<true>(shared, maps, params, rank, lane);
            else
                produce<false>(shared, maps, params, rank, lane);
        });
    }
    if (kAheadWarp && params.prefetch_b) start([] { load_ahead(shared, b_map, params, rank); });
    // The copy engine and the end of the kernels in front take turns too.
    const uint32_t lands = 1 + drawn() % 64, ends = drawn() % 2000;
    std::vector<size_t> able;
    for (uint32_t turn = 0; !fibers.empty(); ++turn) {
        if (turn >= ends) predecessors_done = true;
        able.clear();
        for (size_t index = 0; index < fibers.size(); ++index)
            if (fibers[index]->ready()) able.push_back(index);
        if (!loads.empty() && (able.empty() || drawn() % lands == 0)) {
            complete_load(drawn() % loads.size());
        } else if (!able.empty()) {
            size_t index;
            do {
                index = able[drawn() % able.size()];
                running = fibers[index].get();
            } while (running->slow && drawn() % 64 != 0);
            swapcontext(&scheduler_context, &running->context);
            if (running->done) fibers.erase(fibers.begin() + static_cast<ptrdiff_t>(index));
        } else if (predecessors_done) {
            fail("all wait");
        }
    }
    if (!loads.empty()) fail("a load is left that nobody waited for");
}

}  // namespace

// Every warp takes kSteps of them of each held block, from the tile that has it.
void barrow::model_load_matrices(uint32_t address, uint32_t (&)[4]) {
    const uint32_t all_blocks = k_blocks_of(params.k, rank);
    const uint32_t block = all_blocks - kHeld + running->read++ / kSteps;
    const uint32_t stage = (address - shared.b) / kTileBytesB;
    Scheduler scheduler(params);
    Tile tile{};
    scheduler.next(tile);
    expect_box(shared.b + stage * kTileBytesB, {(rank + block * kClusterK) * kScaleBlock, tile.n});
    give_turn();
}

int main() {
    uint32_t ctas, copies, seed;
    while (scanf("%u %u %u %u %u %u %u %u", &params.m, &params.n, &params.k, &rank, &ctas, &params.prefetch_b,
                 &copies, &seed) == 8) {
        drawn.seed(seed);
        gridDim.x = ctas * kClusterK;
        blockIdx.x = rank;
        params.bands = bands(ceil_div(params.m, kBlockM), ceil_div(params.n, kBlockN), 1, false);
        run(copies != 0);
        printf("done\n");
        fflush(stdout);
    }
}
