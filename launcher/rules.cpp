#include "rules.h"

#include "choice.h"

namespace barrow::rules {
namespace {

// Those of a slab follow each other, or those of all slabs take turns.
void check_rows_apart(const char* op, const TensorView& out) {
    const int64_t rows = out.rank - 2, n = out.sizes[out.rank - 1];
    const bool slabs = out.rank == 3;
    const auto apart = [&](int64_t inner, int64_t outer) {
        const int64_t count = out.sizes[inner], stride = out.strides[inner];
        return (count == 1 || stride >= n) &&
               (!slabs || out.sizes[outer] == 1 || out.strides[outer] >= (count - 1) * stride + n);
    };
    if (out.empty() || apart(rows, 0) || (slabs && apart(0, rows))) return;
    fail("%s: out has strides %s, which let its rows overlap one another; pass an out that was not expanded",
         op, strides_text(out).c_str());
}

// Conservative: tensors whose byte ranges cross count as overlapping even where their elements interleave.
void check_disjoint(const char* op, const TensorView& out, const TensorView& input) {
    if (out.device_type == aoti_torch_device_type_meta()) return;
    const auto out_begin = reinterpret_cast<uintptr_t>(out.data());
    const auto in_begin = reinterpret_cast<uintptr_t>(input.data());
    const uintptr_t out_end = out_begin + out.extent_bytes(), in_end = in_begin + input.extent_bytes();
    if (out_begin >= in_end || in_begin >= out_end) return;
    fail("%s: out overlaps %s in memory (bytes 0x%" PRIxPTR " to 0x%" PRIxPTR " and 0x%" PRIxPTR
         " to 0x%" PRIxPTR ") but needs memory of its own; pass another out, or none",
         op, input.name, out_begin, out_end, in_begin, in_end);
}

}  // namespace

void check_rank(const char* op, const TensorView& tensor, int64_t rank, const char* shape,
                const char* advice) {
    if (tensor.rank == rank) return;
    fail("%s: %s has %" PRId64 " dimensions but needs %" PRId64 ", %s; %s", op, tensor.name, tensor.rank,
         rank, shape, advice);
}

void check_dtype(const char* op, const TensorView& tensor, int32_t dtype, const char* advice) {
    if (tensor.dtype == dtype) return;
    fail("%s: %s has dtype %s but needs %s; %s", op, tensor.name, dtype_name(tensor.dtype).c_str(),
         dtype_name(dtype).c_str(), advice);
}

void check_device(const char* op, const TensorView& tensor, const TensorView& a) {
    if (tensor.device_type == a.device_type && tensor.device_index == a.device_index) return;
    fail("%s: %s is on %s but %s is on %s; pass all tensors on one device", op, tensor.name,
         device_name(tensor).c_str(), a.name, device_name(a).c_str());
}

void check_dim(const char* op, const TensorView& tensor, int i, const char* name) {
    if (tensor.sizes[i] <= kMaxDim) return;
    fail("%s: %s has %s = %" PRId64 " but at most %" PRId64 " can be addressed; split the call along it", op,
         tensor.name, name, tensor.sizes[i], kMaxDim);
}

void check_last_stride(const char* op, const TensorView& tensor, const char* advice) {
    const int64_t last = tensor.rank - 1;
    if (tensor.sizes[last] <= 1 || tensor.empty() || tensor.strides[last] == 1) return;
    fail("%s: %s has stride %" PRId64 " along its last dimension but needs 1; %s", op, tensor.name,
         tensor.strides[last], advice);
}

void check_alignment(const char* op, const TensorView& tensor) {
    const auto address = reinterpret_cast<uintptr_t>(tensor.data());
    const size_t needed = aoti_torch_dtype_element_size(tensor.dtype);
    if (address % needed == 0) return;
    fail("%s: %s starts at address 0x%" PRIxPTR
         " but needs a multiple of its element size, %zu; pass a copy made by "
         "clone()",
         op, tensor.name, address, needed);
}

void check_written(const char* op, const TensorView& out, std::initializer_list<const TensorView*> inputs) {
    check_last_stride(op, out, "pass an out whose rows are contiguous");
    check_rows_apart(op, out);
    check_alignment(op, out);
    for (const TensorView* input : inputs) check_disjoint(op, out, *input);
}

}  // namespace barrow::rules
