#pragma once

#include "catalogue.h"
#include "cuda_driver.h"
#include "device.h"

namespace barrow {

// The kernel, loaded into the current context of `device`. The first call for a kernel and GPU reads its
// cubin from the pack and loads it; later ones are one atomic load. Safe from any thread, and while a graph
// is being captured.
cuda::CUkernel loaded_kernel(const GemmKernel& kernel, const Device& device);
cuda::CUkernel loaded_kernel(const AuxKernel& kernel, const Device& device);

}  // namespace barrow
