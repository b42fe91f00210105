// Which kernel runs a shape: a pure function of the shape and of the GPU's SM count and memory bandwidth, the
// same in every process.
#pragma once

#include <cstddef>
#include <cstdint>

#include "catalogue.h"

namespace barrow {

// Compute capability that the kernels are for: Hopper.
constexpr int kArch = 90;

// The largest M, N or K: tensor map coordinates are signed 32-bit.
constexpr int64_t kMaxDim = INT32_MAX;

// M, N, K from 1 to kMaxDim. With `groups`, that many groups share the M rows, and B has a matrix for each.
struct GemmProblem {
    int64_t m;
    int64_t n;
    int64_t k;
    Dtype out;
    int arch;
    int num_sms;
    int memory_gb_s;    // peak; 0 if unknown
    bool row_scales_b;  // each row of B has a scale of its own
    int64_t groups;     // 0 for one product
};

// M, or of groups their mean, rounded up.
int64_t mean_rows(const GemmProblem& problem);

struct Candidate {
    const GemmKernel* kernel;
    double predicted_us;
    bool measured;  // named by the table of measured choices
};

// Clusters whose tiles cover D, one a CTA or, with split K, one in all, and clusters that run at once.
int64_t clusters_of(const GemmKernel& kernel, int64_t m, int64_t n);
int resident_clusters(const GemmKernel& kernel, int num_sms);

// How the walk over D goes: the width of its bands in tiles, and GemmParams::along.
struct Walk {
    uint32_t band;
    bool along;
};
Walk walk(const GemmKernel& kernel, const GemmProblem& problem);

// CTAs that are to run on SMs beside each other: a cluster's, or else two with tiles beside each other.
int placed_together(const GemmKernel& kernel);

// Whether a launch should start before the ones in front of it are done.
bool starts_early(const GemmKernel& kernel, const GemmProblem& problem);

// Whether the kernel is for the problem's GPU, output and scales, and one cluster of it fits the GPU.
bool can_run(const GemmKernel& kernel, const GemmProblem& problem);

// Fills `candidates` (room for kGemmKernelCount) with the kernels that can run the problem: first the one
// that was measured as the fastest, if there is one, then by predicted time, catalogue order among equals.
// Returns how many.
size_t rank(const GemmProblem& problem, Candidate* candidates);

// The first that rank() would give, or null when no kernel can run the problem.
const GemmKernel* best(const GemmProblem& problem);

// The same, remembered: a model's few shapes come again with every layer and step.
const GemmKernel* best_again(const GemmProblem& problem);

}  // namespace barrow
