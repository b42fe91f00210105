#include "experts.h"

#include <algorithm>

#include "../kernels/params_experts.h"
#include "aux_kernels.h"
#include "checks_experts.h"
#include "launch.h"
#include "rules.h"

namespace barrow {
namespace {

using rules::ceil_div;

// Blocks of a kernel whose `parts` (strips of columns, say) each take `most` blocks at the most. A multiple
// of the parts, and not many more than the GPU holds.
int64_t grid_of(int64_t parts, int64_t most, const Device& device) {
    return parts * std::clamp<int64_t>(device.num_sms * kExpertMaxBlocksPerSm / parts, 1, most);
}

// Results of the token quantizer for slabs of `rows` x `k`, or, with a rank of 2, for one without a dimension
// of its own.
Quantized empty_quantized(int64_t rank, int64_t slabs, int64_t rows, int64_t k, const TensorView& like) {
    const int32_t fp8 = aoti_torch_dtype_float8_e4m3fn(), f32 = aoti_torch_dtype_float32();
    const int64_t k_blocks = ceil_div(k, kScaleBlock), stride_k = scale_stride_k(rows);
    const int64_t row = std::max<int64_t>(k, 1), slab = std::max<int64_t>(rows, 1) * row;
    if (rank == 2) {
        return {empty_strided({rows, k}, {row, 1}, fp8, like),
                empty_strided({rows, k_blocks}, {1, stride_k}, f32, like)};
    }
    return {empty_strided({slabs, rows, k}, {slab, row, 1}, fp8, like),
            empty_strided({slabs, rows, k_blocks}, {k_blocks * stride_k, 1, stride_k}, f32, like)};
}

template <typename T>
T* writable(const char* name, const Tensor& tensor) {
    return static_cast<T*>(view(name, tensor).mutable_data());
}

}  // namespace

Sorted moe_sort(const TensorView& topk_ids, int64_t num_experts, std::optional<int64_t> max_m) {
    check_moe_sort(topk_ids, num_experts, max_m);
    const int64_t tokens = topk_ids.sizes[0], top_k = topk_ids.sizes[1], count = tokens * top_k;
    const int32_t i32 = aoti_torch_dtype_int32();
    Sorted result{empty_strided({num_experts}, {1}, i32, topk_ids),
                  empty_strided({tokens, top_k}, {std::max<int64_t>(top_k, 1), 1}, i32, topk_ids)};

    SortParams params{};
    params.ids = topk_ids.data();
    params.groups = writable<int32_t>("groups", result.groups);
    params.positions = writable<int32_t>("positions", result.positions);
    params.id_stride = topk_ids.strides[1];
    params.id_gap = topk_ids.strides[0] - top_k * topk_ids.strides[1];
    params.count = count;
    params.top_k = top_k;
    params.experts = num_experts;
    params.warps = std::clamp<int64_t>(ceil_div(count, kWarp), 1,
                                       std::min<int64_t>(kSortMaxWarps, kSortCounters / num_experts));
    params.slabs = max_m.has_value();
    params.max_m = max_m.value_or(0);
    void* pointers[] = {&params};
    const int64_t warps = std::max<int64_t>(params.warps, ceil_div(num_experts, kWarp));
    LaunchScope(topk_ids).launch(moe_sort_kernel(topk_ids.dtype != i32), 1, static_cast<int>(warps * kWarp),
                                 true, pointers);
    return result;
}

Quantized moe_permute_quant(const TensorView& x, const TensorView& positions, int64_t rows, bool use_ue8m0) {
    const Dtype dtype = check_moe_permute_quant(x, positions, rows);
    const int64_t tokens = x.sizes[0], k = x.sizes[1];
    Quantized result = empty_quantized(2, 1, rows, k, x);
    if (x.empty() || positions.empty() || rows == 0) return result;

    PermuteQuantParams params{};
    params.x = x.data();
    params.positions = static_cast<const int32_t*>(positions.data());
    params.q = writable<uint8_t>("q", result.q);
    params.scale = writable<float>("scale", result.scale);
    params.x_stride_t = x.strides[0];
    params.position_stride_t = positions.strides[0];
    params.position_stride_j = positions.strides[1];
    params.scale_stride_k = scale_stride_k(rows);
    params.tokens = tokens;
    params.top_k = positions.sizes[1];
    params.k = k;
    params.rows = rows;
    params.use_ue8m0 = use_ue8m0;
    void* pointers[] = {&params};
    const LaunchScope scope(x);
    scope.launch(moe_permute_quant_kernel(dtype),
                 grid_of(ceil_div(k, kExpertColumns), tokens, scope.device()), kExpertThreads, true,
                 pointers);
    return result;
}

Quantized silu_mul_quant(const TensorView& x, const TensorView* groups, bool use_ue8m0) {
    check_silu_mul_quant(x, groups);
    const bool has_slabs = x.rank == 3;
    const int64_t slabs = has_slabs ? x.sizes[0] : 1;
    const int64_t rows = x.sizes[x.rank - 2], columns = x.sizes[x.rank - 1] / 2;
    Quantized result = empty_quantized(x.rank, slabs, rows, columns, x);
    if (x.empty()) return result;

    const int64_t k_blocks = ceil_div(columns, kScaleBlock);
    SiluMulQuantParams params{};
    params.x = x.data();
    if (groups != nullptr) {
        // Without slabs the last group's end is the count of all rows.
        params.count_stride = groups->strides[0];
        params.counts = static_cast<const int32_t*>(groups->data()) +
                        (has_slabs ? 0 : (groups->sizes[0] - 1) * groups->strides[0]);
    }
    params.q = writable<uint8_t>("q", result.q);
    params.scale = writable<float>("scale", result.scale);
    params.x_stride_slab = has_slabs ? x.strides[0] : 0;
    params.x_stride_m = x.strides[x.rank - 2];
    params.scale_stride_slab = k_blocks * scale_stride_k(rows);
    params.scale_stride_k = scale_stride_k(rows);
    params.slabs = slabs;
    params.rows = rows;
    params.columns = columns;
    params.use_ue8m0 = use_ue8m0;
    void* pointers[] = {&params};
    const LaunchScope scope(x);
    scope.launch(silu_mul_quant_kernel(),
                 grid_of(slabs * k_blocks, ceil_div(rows, kSiluRows), scope.device()), kExpertThreads, true,
                 pointers);
    return result;
}

Tensor moe_unpermute(const TensorView& y, const TensorView& positions, const TensorView& weights) {
    check_moe_unpermute(y, positions, weights);
    const int64_t tokens = positions.sizes[0], n = y.sizes[1];
    Tensor out = empty_strided({tokens, n}, {std::max<int64_t>(n, 1), 1}, aoti_torch_dtype_bfloat16(), y);
    if (tokens == 0 || n == 0) return out;

    UnpermuteParams params{};
    params.y = y.data();
    params.positions = static_cast<const int32_t*>(positions.data());
    params.weights = static_cast<const float*>(weights.data());
    params.out = writable<void>("out", out);
    params.y_stride_r = y.strides[0];
    params.position_stride_t = positions.strides[0];
    params.position_stride_j = positions.strides[1];
    params.weight_stride_t = weights.strides[0];
    params.weight_stride_j = weights.strides[1];
    params.tokens = tokens;
    params.top_k = positions.sizes[1];
    params.n = n;
    params.rows = y.sizes[0];
    void* pointers[] = {&params};
    const LaunchScope scope(y);
    scope.launch(moe_unpermute_kernel(), grid_of(ceil_div(n, kExpertColumns), tokens, scope.device()),
                 kExpertThreads, true, pointers);
    return out;
}

}  // namespace barrow
