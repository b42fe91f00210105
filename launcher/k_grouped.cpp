#include "k_grouped.h"

#include <algorithm>
#include <vector>

#include "choice.h"
#include "launch.h"
#include "operands.h"
#include "rules.h"

namespace barrow {
namespace {

// A group that has elements.
struct Group {
    int64_t k;
    int64_t begin;  // along the K of all groups
    KGroup place;
};

std::vector<Group> groups_of(const std::vector<int64_t>& ks) {
    std::vector<Group> groups;
    int64_t begin = 0, block = 0;
    for (size_t slab = 0; slab < ks.size(); ++slab) {
        const int64_t k = ks[slab], blocks = rules::ceil_div(k, kScaleBlock);
        const KGroup place{static_cast<uint32_t>(blocks), static_cast<uint32_t>(block),
                           static_cast<uint32_t>(slab)};
        if (k > 0) groups.push_back({k, begin, place});
        begin += k;
        block += blocks;
    }
    return groups;
}

const GemmKernel& choose(const GemmProblem& problem, const LaunchScope& scope) {
    if (const GemmKernel* chosen = best_again(problem)) return *chosen;
    scope.refuse("barrow.k_grouped_fp8_gemm_nt");
}

// One of the two operands of a group: of all [rows, k] matrices one after another the one at `begin`.
Operand part(const TensorView& of_all, int64_t rows, const Group& group, const LaunchScope& scope) {
    const auto* data = static_cast<const uint8_t*>(of_all.data()) + rows * group.begin;
    // The stride of a single row is never used but has to be a legal one.
    const int64_t stride = rows > 1 ? group.k : tma_round_up(group.k);
    return addressable({data, rows, group.k, stride, 0, 0}, of_all, scope);
}

// One launch for `count` groups from `groups` on.
void run(const KGroupedArgs& args, const KGroupedShape& shape, const Group* groups, int64_t count,
         const LaunchScope& scope) {
    const Device& device = scope.device();
    int64_t sum_of_k = 0;
    for (int64_t i = 0; i < count; ++i) sum_of_k += groups[i].k;
    const GemmProblem of_one{shape.m,
                             shape.n,
                             rules::ceil_div(sum_of_k, count),
                             Dtype::f32,
                             device.capability,
                             device.num_sms,
                             device.memory_gb_s,
                             true,
                             0};
    // To the GPU, groups are as many times the rows of tiles.
    GemmProblem of_all = of_one;
    of_all.m = std::min(shape.m * count, kMaxDim);
    const GemmKernel& kernel = choose(of_all, scope);

    std::vector<Operand> a, b;
    for (int64_t i = 0; i < count; ++i) {
        a.push_back(part(args.a, shape.m, groups[i], scope));
        b.push_back(part(args.b, shape.n, groups[i], scope));
    }
    const GemmMatrices matrices{a[0].matrix, b[0].matrix, result_rows(args.out), scale_rows(args.a_scale),
                                scale_rows(args.b_scale)};
    KGroupedGemmParams params{};
    describe(params, kernel, args.a_scale, args.b_scale, args.out, matrices);
    describe_walk(params, kernel, walk(kernel, of_one));
    params.accumulate = true;
    params.d_stride_slab = args.out.strides[0];
    params.groups = count;
    for (int64_t i = 0; i < count; ++i) params.group[i] = groups[i].place;

    GemmMaps maps;
    encode(maps, kernel, params, matrices);
    for (int64_t i = 1; i < count; ++i) encode_group(maps, i, kernel, params, a[i].matrix, b[i].matrix);

    launch(scope, kernel, clusters_of(kernel, shape.m, shape.n) * count, starts_early(kernel, of_all), maps,
           params);
}

}  // namespace

void run_k_grouped_gemm(const KGroupedArgs& args, const KGroupedShape& shape) {
    const std::vector<Group> groups = groups_of(args.ks);
    if (groups.empty() || shape.m == 0 || shape.n == 0) return;

    const LaunchScope scope(args.a);
    // About alike: a launch of the few that are left over would have too few tiles for the GPU.
    const int64_t count = groups.size(), launches = rules::ceil_div(count, kMostKGroups);
    for (int64_t i = 0; i < launches; ++i) {
        const int64_t first = count * i / launches, end = count * (i + 1) / launches;
        run(args, shape, &groups[first], end - first, scope);
    }
}

}  // namespace barrow
