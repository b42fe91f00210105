#include "operands.h"

#include <algorithm>

#include "../kernels/params.h"
#include "aux_kernels.h"
#include "rules.h"

namespace barrow {
namespace {

constexpr int64_t kFloat = sizeof(float);

// Slabs, their stride and the two dimensions of a matrix in a tensor that has them or not.
struct Slabs {
    explicit Slabs(const TensorView& tensor)
        : count(tensor.rank == 3 ? tensor.sizes[0] : 0),
          stride(tensor.rank == 3 ? tensor.strides[0] : 0),
          rows(tensor.rank == 3 ? 1 : 0),
          cols(rows + 1) {}

    int64_t count;  // 0 where the tensor is one matrix
    int64_t stride;
    int rows;  // which dimension
    int cols;
};

// The stride of a single slab is never used but has to be a legal one.
int64_t slab_stride_bytes(const Slabs& slabs, int64_t element_bytes, int64_t otherwise) {
    return slabs.count > 1 ? slabs.stride * element_bytes : tma_round_up(otherwise);
}

// Of an element.
int64_t result_bytes(const TensorView& d) { return d.dtype == aoti_torch_dtype_float32() ? kFloat : 2; }

// Scales that one load brings: those of a tile of `block` rows, or of all rows in whole 16 bytes where there
// are fewer; 0 where the copy engine cannot address them.
int64_t scale_box_rows(const TensorView& scale, const TmaMatrix& rows, int block) {
    const int64_t bytes = rows.cols * kFloat;
    const bool adjacent = rows.cols == 1 || scale.strides[Slabs(scale).rows] == 1;
    const bool addressable = adjacent && tma_aligned(rows.address) && tma_aligned(rows.row_stride_bytes) &&
                             rows.row_stride_bytes >= bytes && tma_aligned(rows.slab_stride_bytes) &&
                             rows.slab_stride_bytes >= 0;
    if (!addressable) return 0;
    return std::min<int64_t>(tma_round_up(bytes) / kFloat, block);
}

// The row length counts, because the copy engine writes whole 16 bytes: it zeroes what follows a shorter end.
bool storable_by_tma(const TensorView& d, const TmaMatrix& rows) {
    return tma_aligned(rows.address) && tma_aligned(rows.row_stride_bytes) &&
           tma_aligned(rows.cols * result_bytes(d)) && tma_aligned(rows.slab_stride_bytes);
}

}  // namespace

Operand addressable(const TensorView& tensor, const LaunchScope& scope) {
    const Slabs slabs(tensor);
    const int64_t rows = tensor.sizes[slabs.rows], k = tensor.sizes[slabs.cols];
    // Likewise that of a single row.
    const int64_t stride = rows > 1 ? tensor.strides[slabs.rows] : tma_round_up(k);
    const int64_t slab_stride = slab_stride_bytes(slabs, 1, rows * stride);
    return addressable({tensor.data(), rows, k, stride, slabs.count, slab_stride}, tensor, scope);
}

Operand addressable(const TmaMatrix& matrix, const TensorView& tensor, const LaunchScope& scope) {
    const auto [data, rows, k, stride, slabs, slab_stride] = matrix;
    if (tma_aligned(data) && tma_aligned(stride) && stride >= k && tma_aligned(slab_stride) &&
        slab_stride >= 0)
        return {matrix, nullptr};

    const int64_t pitch = tma_round_up(k), count = std::max<int64_t>(slabs, 1);
    Tensor copy = empty_strided({count * rows, pitch}, {pitch, 1}, tensor.dtype, tensor);
    auto* target = static_cast<uint8_t*>(view("workspace", copy).mutable_data());
    for (int64_t slab = 0; slab < count; ++slab) {
        PadRowsParams params{};
        params.src = static_cast<const uint8_t*>(data) + slab * slab_stride;
        params.dst = target + slab * rows * pitch;
        params.src_stride = stride;
        params.dst_stride = pitch;
        params.row_bytes = k;
        params.rows = rows;
        void* pointers[] = {&params};
        scope.launch(pad_rows_kernel(), std::min<int64_t>(rows, kPadMaxBlocks), kPadThreads, false, pointers);
    }
    return {{target, rows, k, pitch, slabs, rows * pitch}, std::move(copy)};
}

TmaMatrix scale_rows(const TensorView& scale) {
    const Slabs slabs(scale);
    const int64_t rows = scale.sizes[slabs.rows], k_blocks = scale.sizes[slabs.cols];
    const int64_t stride = k_blocks > 1 ? scale.strides[slabs.cols] * kFloat : tma_round_up(rows * kFloat);
    return {scale.data(), k_blocks,    rows,
            stride,       slabs.count, slab_stride_bytes(slabs, kFloat, k_blocks * stride)};
}

TmaMatrix result_rows(const TensorView& d) {
    const int64_t bytes = result_bytes(d);
    const Slabs slabs(d);
    const int64_t rows = d.sizes[slabs.rows], n = d.sizes[slabs.cols];
    const int64_t stride = rows > 1 ? d.strides[slabs.rows] * bytes : tma_round_up(n * bytes);
    return {d.mutable_data(), rows, n, stride, slabs.count, slab_stride_bytes(slabs, bytes, rows * stride)};
}

void describe(GemmParams& params, const GemmKernel& kernel, const TensorView& a_scale,
              const TensorView& b_scale, const TensorView& d, const GemmMatrices& matrices) {
    const Slabs of_a(a_scale), of_b(b_scale), of_d(d);
    params.a_scale = static_cast<const float*>(a_scale.data());
    params.b_scale = static_cast<const float*>(b_scale.data());
    params.d = d.mutable_data();
    params.a_scale_stride_m = a_scale.strides[of_a.rows];
    params.a_scale_stride_k = a_scale.strides[of_a.cols];
    params.b_scale_stride_n = b_scale.strides[of_b.rows];
    params.b_scale_stride_k = b_scale.strides[of_b.cols];
    params.d_stride_m = d.strides[of_d.rows];
    params.m = matrices.a.rows;
    params.n = matrices.b.rows;
    params.k = matrices.a.cols;
    // Of a tile the rows that one load brings, or where A has fewer, no more than that takes.
    params.a_box_rows = std::min<int64_t>(params.m, kernel.part_rows);
    params.a_scale_box_rows = scale_box_rows(a_scale, matrices.a_scale, kernel.block_m);
    if (kernel.row_scales_b) {
        params.b_scale_box_rows = scale_box_rows(b_scale, matrices.b_scale, kernel.block_n);
        // Both or none: a kernel has one way to bring scales.
        if (params.b_scale_box_rows == 0) params.a_scale_box_rows = 0;
        if (params.a_scale_box_rows == 0) params.b_scale_box_rows = 0;
    }
    params.d_by_tma = kernel.store_columns > 0 && storable_by_tma(d, matrices.d);
}

void describe_walk(DenseGemmParams& params, const GemmKernel& kernel, const Walk& walk) {
    params.along = walk.along;
    params.bands = bands(rules::ceil_div(params.m, kernel.block_m),
                         rules::ceil_div(params.n, cluster_columns(kernel)), walk.band, walk.along);
}

void encode_group(GemmMaps& maps, uint32_t group, const GemmKernel& kernel, const GemmParams& params,
                  const TmaMatrix& a, const TmaMatrix& b) {
    encode(maps.a[group], TmaElement::fp8, a, params.a_box_rows, kScaleBlock, "a");
    encode(maps.b[group], TmaElement::fp8, b, kernel.block_n, kScaleBlock, "b");
}

void encode(GemmMaps& maps, const GemmKernel& kernel, const GemmParams& params,
            const GemmMatrices& matrices) {
    encode_group(maps, 0, kernel, params, matrices.a, matrices.b);
    // Any valid one will do for those that are not read.
    maps.d = maps.a_scale = maps.b_scale = maps.a[0];
    if (params.d_by_tma) {
        const TmaElement element = kernel.out == Dtype::f32 ? TmaElement::f32 : TmaElement::bf16;
        encode(maps.d, element, matrices.d, kernel.store_rows, kernel.store_columns, "out");
    }
    if (params.a_scale_box_rows > 0)
        encode(maps.a_scale, TmaElement::f32, matrices.a_scale, 1, params.a_scale_box_rows, "a_scale");
    if (params.b_scale_box_rows > 0)
        encode(maps.b_scale, TmaElement::f32, matrices.b_scale, 1, params.b_scale_box_rows, "b_scale");
}

// As many CTAs as go through so many tiles in no more rounds than all that are `resident` would need. Every
// round then has the same columns of B and rows of A, and what a tile finds in L2 is its neighbours' too. An
// even number, as of pairs: a tile's round, which decides in which order its K is summed up, must not depend
// on how the launch is placed.
int64_t evenly(int64_t tiles, int64_t resident) {
    const int64_t pairs = rules::ceil_div(tiles, 2), room = std::max<int64_t>(resident / 2, 1);
    return rules::ceil_div(pairs, rules::ceil_div(pairs, room)) * 2;
}

void launch(const LaunchScope& scope, const GemmKernel& kernel, int64_t clusters, bool overlap,
            GemmMaps& maps, GemmParams& params) {
    // Persistent, but for clusters that split K: they have one tile each, and the GPU starts the next.
    if (kernel.cluster_k == 1) {
        const int64_t resident = resident_clusters(kernel, scope.device().num_sms);
        clusters = kernel.alternates != 0 ? evenly(clusters, resident) : std::min(clusters, resident);
    }
    void* pointers[] = {maps.a, maps.b, &maps.d, &maps.a_scale, &maps.b_scale, &params};
    scope.launch(kernel, clusters, overlap, pointers);
}

}  // namespace barrow
