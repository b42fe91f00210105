#include "choice.h"

#include <algorithm>

#include "../kernels/params.h"

namespace barrow {
namespace {

// 32-bit: this runs for every kernel of the catalogue at every call, and a 64-bit division costs several
// times more.
uint32_t ceil_div(uint32_t value, uint32_t divisor) { return (value + divisor - 1) / divisor; }

// fixed_us + waves * (tile_us + k_blocks * k_block_us), where waves = ceil(tile clusters / resident clusters)
// and k_blocks = ceil(ceil(K / 128) / cluster_k), those of one CTA.
double predict_us(const GemmKernel& kernel, const GemmProblem& problem) {
    const int64_t resident = resident_clusters(kernel, problem.num_sms);
    const int64_t waves = (tile_clusters(kernel, problem.m, problem.n) + resident - 1) / resident;
    const uint32_t k_blocks = ceil_div(ceil_div(problem.k, kScaleBlock), kernel.cluster_k);
    return kernel.cost.fixed_us + waves * (kernel.cost.tile_us + k_blocks * double{kernel.cost.k_block_us});
}

}  // namespace

int64_t tile_clusters(const GemmKernel& kernel, int64_t m, int64_t n) {
    return int64_t{ceil_div(m, kernel.block_m * kernel.cluster_m)} *
           ceil_div(n, kernel.block_n * kernel.cluster_n);
}

int cluster_size(const GemmKernel& kernel) { return kernel.cluster_m * kernel.cluster_n * kernel.cluster_k; }

int resident_clusters(const GemmKernel& kernel, int num_sms) { return num_sms / cluster_size(kernel); }

bool can_run(const GemmKernel& kernel, const GemmProblem& problem) {
    return kernel.out == problem.out && kernel.arch == problem.arch &&
           resident_clusters(kernel, problem.num_sms) > 0;
}

size_t rank(const GemmProblem& problem, Candidate* candidates) {
    size_t count = 0;
    for (size_t i = 0; i < kGemmKernelCount; ++i) {
        const GemmKernel& kernel = kGemmKernels[i];
        if (can_run(kernel, problem)) candidates[count++] = {&kernel, predict_us(kernel, problem)};
    }
    std::sort(candidates, candidates + count, [](const Candidate& a, const Candidate& b) {
        return a.predicted_us != b.predicted_us ? a.predicted_us < b.predicted_us : a.kernel < b.kernel;
    });
    return count;
}

const GemmKernel* best(const GemmProblem& problem) {
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
