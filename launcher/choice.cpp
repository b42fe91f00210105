#include "choice.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iterator>
#include <limits>
#include <tuple>

#include "../kernels/params.h"
#include "tuned.h"

namespace barrow {
namespace {

// 32-bit: this runs for every kernel of the catalogue at every new shape, and a 64-bit division costs several
// times more.
uint32_t ceil_div(uint32_t value, uint32_t divisor) { return (value + divisor - 1) / divisor; }

// What of an operand, in bytes, L2 can keep: about half of the 50 MB of an H100, whose two partitions both
// hold what both halves of the chip read.
constexpr double kL2Bytes = 25 << 20;

// An operand of at most this size stays in L2 while the other one streams by.
constexpr int64_t kResidentBytes = 16 << 20;

// Tiles with more rows than this are taller than wide, and from this K on it pays to walk over them along N
// first: with little to load, the stores of D count, which like to go down.
constexpr int kSquare = 128;
constexpr int64_t kWorthAlong = 1024;

// Peak of the GPU whose times the costs were fitted to first, an H100: for a GPU whose own is not known.
constexpr int kUsualGbPerS = 3352;

// Clusters of `size` that an H100 runs at once take this many of its SMs: clusters live within one GPC, whose
// SMs they do not fill. By the times, a second round began after 66 clusters of 2, 39 of 3 and 30 of 4,
// and after twice as many where two CTAs share an SM. Larger ones are taken to fill as many as those of 4.
constexpr int kSms = 132;
constexpr int kFilledSms[] = {132, 132, 117, 120};

// Of a round of tiles' fixed costs, the share that nobody waits for where B is there before the kernels in
// front have ended.
constexpr double kHidden = 0.3;

// By how many turns more an SM with room for two CTAs takes where one launch has a CTA for each SM: they go
// where the one in front leaves room, some of them two to an SM.
constexpr double kCrowded = 0.2;

// What the last of several rounds leaves of the GPU's room counts in full for groups, for which memory counts
// most, and by this much else.
constexpr double kLastRound = 0.5;

// Blocks of K that a CTA multiplies in a launch after which half of what may drift out of L2 has.
constexpr double kDriftBlocks = 2000;

// What the power limit makes longer is half of a launch that takes so long without it, nearly all of longer
// ones, and next to nothing of short ones.
constexpr double kThrottledUs = 60;

// The root of the sum of fourth powers: of two things that overlap the longer one, and up to 19 % more where
// they take the same time.
double overlapped(double a, double b) {
    a *= a;
    b *= b;
    return std::sqrt(std::sqrt(a * a + b * b));
}

// Rows that the walk is made for: of a group, whose number the host does not know, as many as could stay in
// L2 at least.
int64_t walked_rows(const GemmProblem& problem) {
    if (problem.groups == 0) return problem.m;
    return std::max(mean_rows(problem), kResidentBytes / problem.k);
}

// Without libm: its pow has a symbol version that manylinux_2_28's lacks.
double power(double base, int64_t exponent) {
    double result = 1;
    for (; exponent > 0; exponent /= 2, base *= base) {
        if (exponent % 2 != 0) result *= base;
    }
    return result;
}

// Groups that are likely to have rows: of few rows some groups get none.
double likely_groups(const GemmProblem& problem) {
    const double groups = static_cast<double>(problem.groups);
    if (problem.groups <= 1 || problem.m >= 4 * problem.groups) return groups;
    return groups * (1 - power(1 - 1 / groups, problem.m));
}

// Experts are not asked for alike, so the rows of groups are taken to be spread geometrically: of many some
// have none to speak of and few have several times the mean. A group then has a tile after `block_m` rows
// with the chance that it has yet another row, as often.
double rows_of_tiles(const GemmKernel& kernel, const GemmProblem& problem) {
    if (problem.groups <= 1) return ceil_div(problem.m, kernel.block_m);
    const double groups = likely_groups(problem), mean = static_cast<double>(problem.m) / groups;
    return groups / (1 - power(1 - 1 / mean, kernel.block_m));
}

// Of what the CTAs of a plain product load, the bytes that may have to come from memory once more: those of a
// long launch drift apart, until L2 has lost what a neighbour has loaded.
double drifted_bytes(const GemmKernel& kernel, const GemmProblem& problem, double loaded_bytes,
                     double blocks) {
    const double operands = (static_cast<double>(problem.m) + problem.n) * problem.k;
    if (kernel.block_m < kSquare || problem.groups > 0 || operands <= kL2Bytes) return 0;
    return loaded_bytes * blocks / (blocks + kDriftBlocks);
}

// us + throttle * us * us / (us + kThrottledUs),  where
//     us = fixed_us + rounds * tile_us + overlapped(
//         turns * k_blocks * k_block_us + load * load_us,
//         (memory + idle * empty * (1 - early)) * memory_us + again * again_us)
//     and
//   rounds     that the resident clusters need for all tiles, less kHidden where all of B is early
//   turns      as many whole rounds, or more where CTAs share an SM, whose tensor cores they take in turn
//   k_blocks   blocks of K that one CTA multiplies for a tile
//   load       stages an SM loads on average over the GPU, counted whole; less where A has fewer rows than a
//              tile
//   memory_us  of A, B and D at the peak of the memory, each once
//   early      share of B that is loaded before the kernels in front have ended, by SMs that are idle else
//   empty      share of the SMs that have no tile, where one round is enough; of more rounds what the last
//              one leaves of the GPU's room, over what all tiles take
//   again_us   of drifted_bytes at the peak
// and fixed_us, tile_us, k_block_us, load_us, memory, idle, again and throttle are the kernel's coefficients.
// Where it is sure to be more than `enough`, something between the two: most kernels are far off, and this is
// asked for every one of them at every new shape.
double predict_us(const GemmKernel& kernel, const GemmProblem& problem,
                  double enough = std::numeric_limits<double>::infinity()) {
    const CostModel& cost = kernel.cost;
    const double matrices = problem.groups == 0 ? 1 : likely_groups(problem);
    const uint32_t columns = ceil_div(problem.n, cluster_columns(kernel));
    const auto clusters = static_cast<int64_t>(rows_of_tiles(kernel, problem) * columns);
    const int64_t resident = resident_clusters(kernel, problem.num_sms);
    const double waves = static_cast<double>((clusters + resident - 1) / resident);
    const uint32_t k_blocks = ceil_div(ceil_div(problem.k, kScaleBlock), kernel.cluster_k);

    const double tiles_per_sm = static_cast<double>(clusters * cluster_size(kernel)) / problem.num_sms;
    const double stage = (std::min<double>(problem.m / matrices, kernel.block_m) + kernel.block_n) /
                         (kernel.block_m + kernel.block_n);
    const double load = tiles_per_sm * k_blocks * stage;
    // Rounded up without libm, whose ceil is a call.
    const double whole = static_cast<double>(static_cast<int64_t>(tiles_per_sm));
    double turns = std::max(waves, whole + (whole < tiles_per_sm));
    if (kernel.ctas_per_sm > 1 && tiles_per_sm <= 1) turns += kCrowded * tiles_per_sm;
    const double compute_us = turns * k_blocks * cost.k_block_us + load * cost.load_us;

    const double bytes_per_us = 1e3 * (problem.memory_gb_s > 0 ? problem.memory_gb_s : kUsualGbPerS);
    const double m = problem.m;
    const double n = problem.n;
    const double d_bytes = problem.out == Dtype::f32 ? 4 : 2;
    const double once_us = ((m + matrices * n) * problem.k + m * n * d_bytes) / bytes_per_us;
    const double empty = clusters > resident
                             ? (waves * resident / clusters - 1) * (problem.groups > 0 ? 1 : kLastRound)
                             : std::max(0.0, 1 - tiles_per_sm);
    // Those of groups were timed, and are launched by most, without.
    const double early =
        problem.groups > 0 ? 0 : std::min(1.0, static_cast<double>(kernel.blocks_ahead) / k_blocks);
    const double rounds_us = (waves - kHidden * early) * cost.tile_us;
    const double loaded_bytes = load * problem.num_sms * (kernel.block_m + kernel.block_n) * kScaleBlock;
    const double again_us = drifted_bytes(kernel, problem, loaded_bytes, waves * k_blocks) / bytes_per_us;
    const double memory_us =
        once_us * (cost.memory + empty * (1 - early) * cost.idle) + again_us * cost.again;
    const double no_less = cost.fixed_us + rounds_us + std::max(compute_us, memory_us);
    if (no_less > enough) return no_less;
    const double us = cost.fixed_us + rounds_us + overlapped(compute_us, memory_us);
    return us + cost.throttle * us * us / (us + kThrottledUs);
}

// From which predicted time on a launch had better wait for its turn. One that starts early saves the time
// between two, but its CTAs come to the SMs in the order in which those are left. In its turn all neighbours
// are beside each other, and what they load is merged on its way to them. That saves a part of the time, up
// to a tenth where the tiles of a group that share columns of B are neighbours. Limits and kernels are as
// measured: docs/gemm-kernel.md, "Between two launches".
constexpr double kNever = std::numeric_limits<double>::infinity();
double worth_waiting_us(const GemmKernel& kernel) {
    if (kernel.grouped != 0 && kernel.block_m == kSquare) return 30;
    if (kernel.grouped != 0 && kernel.block_m > kSquare) return 100;
    if (kernel.block_m == 192) return 200;
    return kNever;
}

// Choices that are remembered, under a hundred bytes each: the shapes of a model at a few M.
constexpr size_t kRememberedBits = 6;
constexpr size_t kRemembered = 1 << kRememberedBits;

// Where a choice is remembered, the only place: what else belongs there is forgotten. Fibonacci hashing: the
// golden ratio's bits spread neighbours over the upper bits (Knuth, The Art of Computer Programming, 6.4).
size_t place_of(const GemmProblem& problem) {
    constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
    uint64_t hash = 0;
    for (const int64_t dim : {problem.m, problem.n, problem.k, problem.groups})
        hash = (hash + static_cast<uint64_t>(dim)) * kGolden;
    return hash >> (64 - kRememberedBits);
}

bool operator==(const GemmProblem& a, const GemmProblem& b) {
    const auto members = [](const GemmProblem& p) {
        return std::tie(p.m, p.n, p.k, p.out, p.arch, p.num_sms, p.memory_gb_s, p.row_scales_b, p.groups);
    };
    return members(a) == members(b);
}

}  // namespace

int64_t mean_rows(const GemmProblem& problem) {
    return problem.groups == 0 ? problem.m : (problem.m + problem.groups - 1) / problem.groups;
}

int64_t clusters_of(const GemmKernel& kernel, int64_t m, int64_t n) {
    return int64_t{ceil_div(m, kernel.block_m)} * ceil_div(n, cluster_columns(kernel));
}

int resident_clusters(const GemmKernel& kernel, int num_sms) {
    const int size = cluster_size(kernel);
    const int filled = kFilledSms[std::min<size_t>(size, std::size(kFilledSms)) - 1];
    return static_cast<int>(int64_t{num_sms} * filled / kSms * kernel.ctas_per_sm / size);
}

// The operand that fits stays in L2 and the other is read once: A with one band of all rows, B with bands so
// low that their rows of A are soon done. Where neither fits, about as tall as the tiles that run at once are
// wide, so that they share the most of both. Neighbours read the same of what lies along the band, and that
// is merged on its way to them: of a tall tile it had better be A.
Walk walk(const GemmKernel& kernel, const GemmProblem& problem) {
    const bool along = kernel.block_m > kSquare && problem.k >= kWorthAlong;
    const int64_t m = walked_rows(problem), n = problem.n, k = problem.k;
    const int64_t across = along ? n : m, other = along ? m : n;
    const int block = along ? cluster_columns(kernel) : kernel.block_m;
    if (across * k <= kResidentBytes) return {ceil_div(across, block), along};
    return {(other * k <= kResidentBytes ? 512u : 2048u) / block, along};
}

// Kernels start before the ones in front are done, and their CTAs come to the SMs in the order in which those
// are left. Tiles beside each other read the same of A or of B, which is merged on its way only where their
// SMs are neighbours too, and the CTAs of a cluster are. Tiles of groups, of which fewer read the same, gain
// nothing by it.
int placed_together(const GemmKernel& kernel) {
    const int size = cluster_size(kernel);
    return size == 1 && kernel.grouped == 0 ? 2 : size;
}

bool starts_early(const GemmKernel& kernel, const GemmProblem& problem) {
    const double long_us = worth_waiting_us(kernel);
    // Most kernels are spared the prediction.
    return long_us == kNever || predict_us(kernel, problem, long_us) < long_us;
}

bool can_run(const GemmKernel& kernel, const GemmProblem& problem) {
    return kernel.out == problem.out && kernel.arch == problem.arch &&
           (kernel.row_scales_b != 0) == problem.row_scales_b &&
           (kernel.grouped != 0) == (problem.groups > 0) && resident_clusters(kernel, problem.num_sms) > 0;
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
    double chosen_us = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < kGemmKernelCount; ++i) {
        const GemmKernel& kernel = kGemmKernels[i];
        if (!can_run(kernel, problem)) continue;
        const double us = predict_us(kernel, problem, chosen_us);
        if (us < chosen_us) {
            chosen = &kernel;
            chosen_us = us;
        }
    }
    return chosen;
}

const GemmKernel* best_again(const GemmProblem& problem) {
    struct Choice {
        GemmProblem problem;
        const GemmKernel* kernel;
    };
    // Not a thread's own, which would need the dynamic loader's library. Zeroed, which no problem is.
    static Choice choices[kRemembered];
    static std::atomic_flag busy = ATOMIC_FLAG_INIT;
    // Nobody waits: a thread that comes while another one looks chooses anew.
    if (busy.test_and_set(std::memory_order_acquire)) return best(problem);
    Choice& place = choices[place_of(problem)];
    if (!(place.problem == problem)) place = {problem, best(problem)};
    const GemmKernel* kernel = place.kernel;
    busy.clear(std::memory_order_release);
    return kernel;
}

}  // namespace barrow
