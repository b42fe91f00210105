// Answers for the choice of kernels alone, without torch or a driver. Reads "out m n k num_sms memory_gb_s
// groups row_scales_b" lines and writes "kernel measured" for each, "-" where no kernel can run, or ends with
// 1 where a remembered choice is another. With an argument, repeats all lines that many times and writes the
// nanoseconds of one choice instead, made anew and remembered.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../launcher/choice.h"
#include "../launcher/tuned.h"

using namespace barrow;

int main(int argc, char** argv) {
    std::vector<GemmProblem> problems;
    char out[8];
    long long m, n, k;
    int num_sms, memory_gb_s, groups, row_scales_b;
    while (scanf("%7s %lld %lld %lld %d %d %d %d", out, &m, &n, &k, &num_sms, &memory_gb_s, &groups,
                 &row_scales_b) == 8) {
        const Dtype dtype = strcmp(out, "bf16") == 0 ? Dtype::bf16 : Dtype::f32;
        problems.push_back({m, n, k, dtype, kArch, num_sms, memory_gb_s, row_scales_b != 0, groups});
    }
    if (argc > 1) {
        const long rounds = atol(argv[1]);
        for (const auto choose : {best, best_again}) {
            size_t found = 0;
            const auto start = std::chrono::steady_clock::now();
            for (const GemmProblem& problem : problems) {
                for (long i = 0; i < rounds; ++i) found += choose(problem) != nullptr;
            }
            const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
            // A pure function whose result nobody needs would not be called.
            if (found != rounds * problems.size()) return 1;
            printf("%.1f\n", taken.count() / found);
        }
        return 0;
    }
    for (const GemmProblem& problem : problems) {
        const GemmKernel* chosen = best(problem);
        if (best_again(problem) != chosen || best_again(problem) != chosen) return 1;
        printf("%s %d\n", chosen == nullptr ? "-" : chosen->name, tuned(problem) != nullptr);
    }
}
