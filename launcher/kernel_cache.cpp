#include "kernel_cache.h"

#include <atomic>
#include <memory>
#include <mutex>

#include "driver.h"
#include "pack.h"

namespace barrow {
namespace {

using namespace cuda;

struct Entry {
    CUkernel kernel = nullptr;  // guarded by the mutex; a CUkernel serves every GPU
    // Set per GPU once the kernel is in its context, with its attributes.
    std::atomic<CUkernel> ready[kMaxDevices] = {};
};

// One entry per kernel of the catalogue: GEMM kernels first.
Entry& entry(size_t index) {
    static const std::unique_ptr<Entry[]> entries(new Entry[kGemmKernelCount + kAuxKernelCount]);
    return entries[index];
}

CUkernel load_image(const char* name, const Image& image) {
    // The driver keeps its own copy of the image and the library stays loaded for the life of the process.
    const auto bytes = read_image(pack_path(), name, image);
    CUlibrary library;
    driver_check(driver().cuLibraryLoadData(&library, bytes.get(), nullptr, nullptr, 0, nullptr, nullptr, 0),
                 "cuLibraryLoadData", name);
    CUkernel kernel;
    driver_check(driver().cuLibraryGetKernel(&kernel, library, name), "cuLibraryGetKernel", name);
    return kernel;
}

CUkernel load(Entry& entry, const char* name, const Image& image, int smem_bytes, const Device& device) {
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    std::atomic<CUkernel>& ready = entry.ready[device.index];
    if (CUkernel kernel = ready.load(std::memory_order_relaxed)) return kernel;

    const RelaxedCapture relaxed;
    if (entry.kernel == nullptr) entry.kernel = load_image(name, image);
    if (smem_bytes > 0) {
        driver_check(driver().cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                   smem_bytes, entry.kernel, device.handle),
                     "cuKernelSetAttribute", name);
    }
    // Loading is lazy by default and would otherwise happen inside the launch, outside the relaxed capture
    // mode.
    CUfunction function;
    driver_check(driver().cuKernelGetFunction(&function, entry.kernel), "cuKernelGetFunction", name);
    ready.store(entry.kernel, std::memory_order_release);
    return entry.kernel;
}

CUkernel find_or_load(size_t index, const char* name, const Image& image, int smem_bytes,
                      const Device& device) {
    Entry& slot = entry(index);
    if (CUkernel kernel = slot.ready[device.index].load(std::memory_order_acquire)) return kernel;
    return load(slot, name, image, smem_bytes, device);
}

}  // namespace

CUkernel loaded_kernel(const GemmKernel& kernel, const Device& device) {
    return find_or_load(&kernel - kGemmKernels, kernel.name, kernel.image, kernel.smem_bytes, device);
}

CUkernel loaded_kernel(const AuxKernel& kernel, const Device& device) {
    return find_or_load(kGemmKernelCount + (&kernel - kAuxKernels), kernel.name, kernel.image, 0, device);
}

}  // namespace barrow
