#pragma once

#include <cstdint>

#include "catalogue.h"
#include "cuda_driver.h"
#include "device.h"
#include "tensor.h"

namespace barrow {

// Where the kernels of one call run: the GPU of its tensors, with a context of it current on this thread, and
// the stream that torch enqueues on. Throws when the GPU is not one that the kernels are for.
class LaunchScope {
public:
    explicit LaunchScope(const TensorView& tensor);

    const Device& device() const { return device_; }

    // Enqueues `kernel` with the parameters that the pointers in `params` point to, in the order of its
    // declaration. The only launch in the project. `grid` counts blocks, `clusters` those of the kernel's
    // size. With `overlap` the kernel may start before the ones in front are done, and waits for them itself
    // before it touches what they may write.
    void launch(const GemmKernel& kernel, int64_t clusters, bool overlap, void** params) const;
    void launch(const AuxKernel& kernel, int64_t grid, int threads, bool overlap, void** params) const;

    // Throws: `op` has no kernel in this build.
    [[noreturn]] void refuse(const char* op) const;

private:
    const Device& device_;
    ContextScope context_;
    cuda::CUstream stream_;
};

}  // namespace barrow
