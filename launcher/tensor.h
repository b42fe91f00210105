// torch tensors through the C functions of its stable ABI. The C++ wrappers in torch's headers would work
// too, but they allocate a control block per tensor and call and bring string streams that manylinux_2_28's
// libstdc++ lacks.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <cstdint>
#include <memory>
#include <string>

namespace barrow {

struct DeleteTensor {
    void operator()(AtenTensorOpaque* tensor) const { aoti_torch_delete_tensor_object(tensor); }
};

using Tensor = std::unique_ptr<AtenTensorOpaque, DeleteTensor>;

// What the checks and the launch need to know of a tensor, read once. Strides in elements.
struct TensorView {
    const char* name;  // of the argument, for errors
    AtenTensorHandle handle;
    int64_t rank;
    int64_t sizes[2];    // filled when rank is 2
    int64_t strides[2];  // likewise
    int32_t dtype;
    int32_t device_type;
    int32_t device_index;

    const void* data() const;
    void* mutable_data() const;
    bool empty() const { return sizes[0] == 0 || sizes[1] == 0; }
    // Bytes from the first element to just past the last.
    int64_t extent_bytes() const;
};

TensorView view(const char* name, const Tensor& tensor);

// Uninitialized rows x cols tensor on `like`'s device. Strides in elements.
Tensor empty_strided(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, int32_t dtype,
                     const TensorView& like);

void fill_zero(const Tensor& tensor);

// The stream that torch enqueues on for this GPU and thread.
void* current_stream(int32_t device_index);

std::string dtype_name(int32_t dtype);
std::string device_name(const TensorView& tensor);

// Throws when a function of torch's C interface reports failure, with its text where torch gives it.
void torch_check(AOTITorchError error, const char* call);

}  // namespace barrow
