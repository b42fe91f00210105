#include "tuned.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace barrow {
namespace {

// Percent by which a GPU's bandwidth may differ from that of the one that was measured. Models of Hopper with
// one SM count lie 20 % apart, clocks of one model by less than 10 %.
constexpr int64_t kBandwidthTolerance = 10;

// The SM count decides how many rounds the tiles take, so it has to be the same; of GPUs that agree, the one
// with the nearest bandwidth, or, where that is unknown, the first.
const TunedGpu* measured_gpu(const GemmProblem& problem) {
    const TunedGpu* found = nullptr;
    int64_t nearest = 0;
    for (size_t i = 0; i < kTunedGpuCount; ++i) {
        const TunedGpu& gpu = kTunedGpus[i];
        if (gpu.num_sms != problem.num_sms) continue;
        if (problem.memory_gb_s == 0) return &gpu;
        const int64_t off = std::abs(int64_t{gpu.memory_gb_s} - problem.memory_gb_s);
        if (off * 100 > kBandwidthTolerance * gpu.memory_gb_s) continue;
        if (found == nullptr || off < nearest) {
            found = &gpu;
            nearest = off;
        }
    }
    return found;
}

using Key = std::tuple<Dtype, int64_t, int64_t, int64_t, int64_t>;

Key key(const TunedChoice& choice) { return {choice.out, choice.groups, choice.n, choice.k, choice.m}; }

}  // namespace

const GemmKernel* tuned(const GemmProblem& problem) {
    const int* edges_end = kTunedMs + kTunedMCount;
    const int* edge = std::lower_bound(kTunedMs, edges_end, mean_rows(problem));
    if (edge == edges_end) return nullptr;
    const TunedGpu* gpu = measured_gpu(problem);
    if (gpu == nullptr) return nullptr;

    const TunedChoice* first = kTunedChoices + gpu->first;
    const TunedChoice* last = first + gpu->count;
    const Key wanted{problem.out, problem.groups, problem.n, problem.k, *edge};
    const TunedChoice* choice = std::lower_bound(
        first, last, wanted, [](const TunedChoice& row, const Key& sought) { return key(row) < sought; });
    if (choice == last || key(*choice) != wanted) return nullptr;
    const GemmKernel& kernel = kGemmKernels[choice->kernel];
    return can_run(kernel, problem) ? &kernel : nullptr;
}

}  // namespace barrow
