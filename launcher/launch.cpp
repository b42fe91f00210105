#include "launch.h"

#include "choice.h"
#include "driver.h"
#include "error.h"
#include "kernel_cache.h"
#include "rules.h"

namespace barrow {
namespace {

using namespace cuda;

// The first CUDA driver that records such a launch in a graph (CUDA 12.3 Release Notes).
constexpr int kOverlapInGraphs = 12030;
bool overlaps(bool allowed) { return allowed && driver().version >= kOverlapInGraphs; }

const Device& supported_device(int index) {
    const Device& found = device(index);
    if (found.capability != kArch) {
        fail(
            "barrow: GPU %d (%s) has compute capability %d.%d but the kernels need %d.%d (Hopper: H100, "
            "H200, GH200); "
            "move the tensors to such a GPU",
            index, found.name, found.capability / 10, found.capability % 10, kArch / 10, kArch % 10);
    }
    return found;
}

void enqueue(CUkernel kernel, const char* name, int64_t grid, int threads, int cluster, int smem_bytes,
             bool overlap, CUstream stream, void** params) {
    CUlaunchAttribute attributes[2]{};
    unsigned count = 0;
    // For real clusters only: an attribute of size 1 changes the order of CTAs on the SMs, for up to 40 %
    // more time.
    if (cluster > 1) {
        attributes[count].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        attributes[count++].value.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
    }
    if (overlap) {
        attributes[count].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attributes[count++].value.programmaticStreamSerializationAllowed = 1;
    }
    CUlaunchConfig config{};
    config.gridDimX = static_cast<unsigned>(grid);
    config.gridDimY = config.gridDimZ = 1;
    config.blockDimX = threads;
    config.blockDimY = config.blockDimZ = 1;
    config.sharedMemBytes = smem_bytes;
    config.hStream = stream;
    config.attrs = attributes;
    config.numAttrs = count;
    // The driver takes a CUkernel where it takes a CUfunction, and finds the function of the current context
    // itself.
    driver_check(driver().cuLaunchKernelEx(&config, reinterpret_cast<CUfunction>(kernel), params, nullptr),
                 "cuLaunchKernelEx", name);
}

}  // namespace

LaunchScope::LaunchScope(const TensorView& tensor)
    : device_(supported_device(tensor.device_index)),
      context_(device_),
      stream_(static_cast<CUstream>(current_stream(tensor.device_index))) {}

void LaunchScope::refuse(const char* op) const {
    fail("%s: this build has no such kernel for GPU %d (%s); install a build with kernels", op, device_.index,
         device_.name);
}

void LaunchScope::launch(const GemmKernel& kernel, int64_t clusters, bool overlap, void** params) const {
    // In its turn a launch has its CTAs beside each other anyway.
    const bool early = overlaps(overlap);
    const int together = early ? placed_together(kernel) : cluster_size(kernel);
    // The one that this may be too many finds no tile.
    const int64_t grid = rules::ceil_div(clusters * cluster_size(kernel), together) * together;
    enqueue(loaded_kernel(kernel, device_), kernel.name, grid, kernel.threads, together, kernel.smem_bytes,
            early, stream_, params);
}

void LaunchScope::launch(const AuxKernel& kernel, int64_t grid, int threads, bool overlap,
                         void** params) const {
    enqueue(loaded_kernel(kernel, device_), kernel.name, grid, threads, 1, 0, overlaps(overlap), stream_,
            params);
}

}  // namespace barrow
