// torch tensors through the C functions of its stable ABI. The C++ wrappers in torch's headers would work
// too, but they allocate a control block per tensor and call and bring string streams that manylinux_2_28's
// libstdc++ lacks.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

namespace barrow {

struct DeleteTensor {
    void operator()(AtenTensorOpaque* tensor) const { aoti_torch_delete_tensor_object(tensor); }
};

using Tensor = std::unique_ptr<AtenTensorOpaque, DeleteTensor>;

// No argument of an operator has more dimensions.
constexpr int64_t kMostDims = 3;

// What the checks and the launch need to know of a tensor, read once. Strides in elements.
struct TensorView {
    const char* name;  // of the argument, for errors
    AtenTensorHandle handle;
    int64_t rank;
    int64_t sizes[kMostDims];    // filled when rank is at most kMostDims
    int64_t strides[kMostDims];  // likewise
    int32_t dtype;
    int32_t device_type;
    int32_t device_index;

    const void* data() const;
    void* mutable_data() const;
    bool empty() const;
    int64_t element_count() const;
    bool contiguous() const;
    // Bytes from the first element to just past the last.
    int64_t extent_bytes() const;
};

TensorView view(const char* name, const Tensor& tensor);

// Uninitialized tensor on `like`'s device. Strides in elements.
Tensor empty_strided(std::initializer_list<int64_t> sizes, std::initializer_list<int64_t> strides,
                     int32_t dtype, const TensorView& like);

void fill_zero(const Tensor& tensor);

// The stream that torch enqueues on for this GPU and thread.
void* current_stream(int32_t device_index);

std::string dtype_name(int32_t dtype);
std::string device_name(const TensorView& tensor);
// As Python shows them, of any rank.
std::string list_text(const int64_t* numbers, int64_t count);
std::string sizes_text(const TensorView& tensor);
std::string strides_text(const TensorView& tensor);

// Throws when a function of torch's C interface reports failure, with its text where torch gives it.
void torch_check(AOTITorchError error, const char* call);

}  // namespace barrow
