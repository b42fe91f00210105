#include "choice.h"

#include <algorithm>

#include "../kernels/params.h"
#include "tuned.h"

namespace barrow {
namespace {

// 32-bit: this runs for every kernel of the catalogue at every call, and a 64-bit division costs several
// times more.
uint32_t ceil_div(uint32_t value, uint32_t divisor) { return (value + divisor - 1) / divisor; }

// What of A and B, in bytes, the tiles that run at once can keep in L2 without evicting each other: about
// half of the 50 MB of an H100, whose two partitions both hold what both halves of the chip read.
constexpr double kL2Bytes = 25 << 20;

// An operand of at most this size stays in L2 while the other one streams by.
constexpr int64_t kResidentBytes = 16 << 20;

// fixed_us + waves * (tile_us + k_blocks * k_block_us) + load * (load_us + overflow * overflow_us), where
//   waves     rounds that the resident clusters need for all tiles
//   k_blocks  blocks of K that one CTA multiplies for a tile
//   load      stages an SM loads on average over the GPU, counted whole; less where A has fewer rows than
//             a tile
//   overflow  by how much what the running tiles read exceeds the L2 cache, as a multiple of it
double predict_us(const GemmKernel& kernel, const GemmProblem& problem) {
    const CostModel& cost = kernel.cost;
    const uint32_t rows = ceil_div(problem.m, kernel.block_m);
    const uint32_t columns = ceil_div(problem.n, kernel.block_n);
    const int64_t clusters = int64_t{rows} * columns;
    const int64_t resident = resident_clusters(kernel, problem.num_sms);
    const int64_t waves = (clusters + resident - 1) / resident;
    const uint32_t k_blocks = ceil_div(ceil_div(problem.k, kScaleBlock), kernel.cluster_k);

    const double tiles_per_sm = static_cast<double>(clusters * kernel.cluster_k) / problem.num_sms;
    const double stage = static_cast<double>(std::min<int64_t>(problem.m, kernel.block_m) + kernel.block_n) /
                         (kernel.block_m + kernel.block_n);
    const double load = tiles_per_sm * k_blocks * stage;

    const uint32_t band = std::min(rows, band_tiles(kernel, problem.m, problem.n, problem.k));
    const uint32_t running = static_cast<uint32_t>(std::min(clusters, resident));
    const uint32_t run_columns = std::min(columns, ceil_div(running, band));
    const double read =
        (double{1} * band * kernel.block_m + double{1} * run_columns * kernel.block_n) * problem.k;
    const double overflow = std::max(0.0, read / kL2Bytes - 1);
    return cost.fixed_us + waves * (cost.tile_us + k_blocks * double{cost.k_block_us}) +
           load * (cost.load_us + overflow * cost.overflow_us);
}

}  // namespace

int64_t tiles(const GemmKernel& kernel, int64_t m, int64_t n) {
    return int64_t{ceil_div(m, kernel.block_m)} * ceil_div(n, kernel.block_n);
}

// A cluster lives within one GPC, whose SMs larger clusters do not fill: an H100 was seen to run 66 clusters
// of 2 at once on its 132 SMs, but 30 of 4.
int resident_clusters(const GemmKernel& kernel, int num_sms) {
    const int size = kernel.cluster_k;
    return (size > 2 ? num_sms * 10 / 11 : num_sms) * kernel.ctas_per_sm / size;
}

// The operand that fits stays in L2 and the other is read once: A with one band of all rows, B with bands so
// low that their rows of A are soon done. Where neither fits, about as tall as the tiles that run at once are
// wide, so that they share the most of both.
uint32_t band_tiles(const GemmKernel& kernel, int64_t m, int64_t n, int64_t k) {
    if (m * k <= kResidentBytes) return ceil_div(m, kernel.block_m);
    return (n * k <= kResidentBytes ? 512 : 2048) / kernel.block_m;
}

bool can_run(const GemmKernel& kernel, const GemmProblem& problem) {
    return kernel.out == problem.out && kernel.arch == problem.arch &&
           resident_clusters(kernel, problem.num_sms) > 0;
}

size_t rank(const GemmProblem& problem, Candidate* candidates) {
    const GemmKernel* measured = tuned(problem);
    size_t count = 0;
    for (size_t i = 0; i < kGemmKernelCount; ++i) {
        const GemmKernel& kernel = kGemmKernels[i];
        if (!can_run(kernel, problem)) continue;
        candidates[count++] = {&kernel, predict_us(kernel, problem), &kernel == measured};
    }
    std::sort(candidates, candidates + count, [](const Candidate& a, const Candidate& b) {
        if (a.measured != b.measured) return a.measured;
        return a.predicted_us != b.predicted_us ? a.predicted_us < b.predicted_us : a.kernel < b.kernel;
    });
    return count;
}

const GemmKernel* best(const GemmProblem& problem) {
    if (const GemmKernel* measured = tuned(problem)) return measured;
    const GemmKernel* chosen = nullptr;
    double chosen_us = 0;
    for (size_t i = 0; i < kGemmKernelCount; ++i) {
        const GemmKernel& kernel = kGemmKernels[i];
        if (!can_run(kernel, problem)) continue;
        const double us = predict_us(kernel, problem);
        if (chosen == nullptr || us < chosen_us) {
            chosen = &kernel;
            chosen_us = us;
        }
    }
    return chosen;
}

}  // namespace barrow
