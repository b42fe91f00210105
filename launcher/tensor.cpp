#include "tensor.h"

#include <torch/csrc/stable/c/shim.h>

#include "error.h"

// Lives in libtorch_cuda, which a CPU-only torch lacks: weak, so that the extension loads there all the same.
extern "C" __attribute__((weak)) AOTITorchError aoti_torch_get_current_cuda_stream(int32_t, void**);
// Since torch 2.13.
extern "C" __attribute__((weak)) const char* torch_exception_get_what_without_backtrace();

namespace barrow {

void torch_check(AOTITorchError error, const char* call) {
    if (__builtin_expect(error == 0, 1)) return;
    const bool has_text = torch_exception_get_what_without_backtrace != nullptr;
    fail("barrow: torch failed in %s: %s", call,
         has_text ? torch_exception_get_what_without_backtrace() : "its message is on stderr");
}

#define BARROW_TORCH(function, ...) torch_check(function(__VA_ARGS__), #function)

const void* TensorView::data() const {
    const void* pointer = nullptr;
    BARROW_TORCH(torch_get_const_data_ptr, handle, &pointer);
    return pointer;
}

void* TensorView::mutable_data() const {
    void* pointer = nullptr;
    BARROW_TORCH(torch_get_mutable_data_ptr, handle, &pointer);
    return pointer;
}

bool TensorView::empty() const {
    for (int i = 0; i < rank; ++i) {
        if (sizes[i] == 0) return true;
    }
    return false;
}

int64_t TensorView::element_count() const {
    int64_t count = 0;
    BARROW_TORCH(aoti_torch_get_numel, handle, &count);
    return count;
}

bool TensorView::contiguous() const {
    bool answer = false;
    BARROW_TORCH(aoti_torch_is_contiguous, handle, &answer);
    return answer;
}

int64_t TensorView::extent_bytes() const {
    if (empty()) return 0;
    int64_t last = 0;
    for (int i = 0; i < rank; ++i) last += (sizes[i] - 1) * strides[i];
    return (last + 1) * static_cast<int64_t>(aoti_torch_dtype_element_size(dtype));
}

TensorView view(const char* name, const Tensor& tensor) {
    TensorView view{};
    view.name = name;
    view.handle = tensor.get();
    BARROW_TORCH(aoti_torch_get_dim, view.handle, &view.rank);
    BARROW_TORCH(aoti_torch_get_dtype, view.handle, &view.dtype);
    BARROW_TORCH(aoti_torch_get_device_type, view.handle, &view.device_type);
    BARROW_TORCH(aoti_torch_get_device_index, view.handle, &view.device_index);
    if (view.rank <= kMostDims) {
        int64_t* sizes = nullptr;
        int64_t* strides = nullptr;
        BARROW_TORCH(aoti_torch_get_sizes, view.handle, &sizes);
        BARROW_TORCH(aoti_torch_get_strides, view.handle, &strides);
        for (int i = 0; i < view.rank; ++i) {
            view.sizes[i] = sizes[i];
            view.strides[i] = strides[i];
        }
    }
    return view;
}

Tensor empty_strided(std::initializer_list<int64_t> sizes, std::initializer_list<int64_t> strides,
                     int32_t dtype, const TensorView& like) {
    AtenTensorHandle tensor = nullptr;
    BARROW_TORCH(aoti_torch_empty_strided, static_cast<int64_t>(sizes.size()), sizes.begin(), strides.begin(),
                 dtype, like.device_type, like.device_index, &tensor);
    return Tensor(tensor);
}

void fill_zero(const Tensor& tensor) { BARROW_TORCH(aoti_torch_zero_, tensor.get()); }

void* current_stream(int32_t device_index) {
    if (aoti_torch_get_current_cuda_stream == nullptr) {
        fail(
            "barrow: the tensor is on a GPU but this torch was built without CUDA; install a CUDA build of "
            "torch");
    }
    void* stream = nullptr;
    BARROW_TORCH(aoti_torch_get_current_cuda_stream, device_index, &stream);
    return stream;
}

std::string dtype_name(int32_t dtype) {
    const struct {
        int32_t dtype;
        const char* name;
    } names[] = {
        {aoti_torch_dtype_float8_e4m3fn(), "float8_e4m3fn"},
        {aoti_torch_dtype_float8_e4m3fnuz(), "float8_e4m3fnuz"},
        {aoti_torch_dtype_float8_e5m2(), "float8_e5m2"},
        {aoti_torch_dtype_float8_e5m2fnuz(), "float8_e5m2fnuz"},
        {aoti_torch_dtype_bfloat16(), "bfloat16"},
        {aoti_torch_dtype_float16(), "float16"},
        {aoti_torch_dtype_float32(), "float32"},
        {aoti_torch_dtype_float64(), "float64"},
        {aoti_torch_dtype_uint8(), "uint8"},
        {aoti_torch_dtype_uint16(), "uint16"},
        {aoti_torch_dtype_uint32(), "uint32"},
        {aoti_torch_dtype_uint64(), "uint64"},
        {aoti_torch_dtype_int8(), "int8"},
        {aoti_torch_dtype_int16(), "int16"},
        {aoti_torch_dtype_int32(), "int32"},
        {aoti_torch_dtype_int64(), "int64"},
        {aoti_torch_dtype_bool(), "bool"},
        {aoti_torch_dtype_complex64(), "complex64"},
        {aoti_torch_dtype_complex128(), "complex128"},
    };
    for (const auto& known : names) {
        if (known.dtype == dtype) return known.name;
    }
    return "torch's dtype number " + std::to_string(dtype);
}

std::string device_name(const TensorView& tensor) {
    const int32_t type = tensor.device_type;
    const char* name = type == aoti_torch_device_type_cpu()    ? "cpu"
                       : type == aoti_torch_device_type_cuda() ? "cuda"
                       : type == aoti_torch_device_type_meta() ? "meta"
                                                               : "another device type";
    return type == aoti_torch_device_type_cuda() ? "cuda:" + std::to_string(tensor.device_index) : name;
}

std::string list_text(const int64_t* numbers, int64_t count) {
    std::string text = "[";
    for (int64_t i = 0; i < count; ++i) text += (i > 0 ? ", " : "") + std::to_string(numbers[i]);
    return text + "]";
}

std::string sizes_text(const TensorView& tensor) {
    int64_t* sizes = nullptr;
    BARROW_TORCH(aoti_torch_get_sizes, tensor.handle, &sizes);
    return list_text(sizes, tensor.rank);
}

std::string strides_text(const TensorView& tensor) {
    int64_t* strides = nullptr;
    BARROW_TORCH(aoti_torch_get_strides, tensor.handle, &strides);
    return list_text(strides, tensor.rank);
}

}  // namespace barrow
