#include "device.h"

#include <atomic>
#include <cstdio>
#include <mutex>

#include "driver.h"
#include "error.h"

namespace barrow {
namespace {

using namespace cuda;

// Guards the slow paths below; what they fill is read without it.
std::mutex mutex;
std::atomic<const Device*> devices[kMaxDevices];
std::atomic<CUcontext> primary_contexts[kMaxDevices];

CUcontext primary_context(const Device& device) {
    if (CUcontext context = primary_contexts[device.index].load(std::memory_order_acquire)) return context;
    std::lock_guard lock(mutex);
    CUcontext context = primary_contexts[device.index].load(std::memory_order_relaxed);
    if (context == nullptr) {
        // Never released: torch keeps the primary context for the life of the process as well.
        driver_check(driver().cuDevicePrimaryCtxRetain(&context, device.handle), "cuDevicePrimaryCtxRetain",
                     device.name);
        primary_contexts[device.index].store(context, std::memory_order_release);
    }
    return context;
}

}  // namespace

Device query_device(int index) {
    const Driver& api = driver();
    Device device{};
    device.index = index;
    char subject[32];
    snprintf(subject, sizeof(subject), "GPU %d", index);
    driver_check(api.cuDeviceGet(&device.handle, index), "cuDeviceGet", subject);
    driver_check(api.cuDeviceGetName(device.name, sizeof(device.name), device.handle), "cuDeviceGetName",
                 subject);
    auto attribute = [&](CUdevice_attribute which) {
        int value = 0;
        driver_check(api.cuDeviceGetAttribute(&value, which, device.handle), "cuDeviceGetAttribute", subject);
        return value;
    };
    device.capability = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) * 10 +
                        attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    device.num_sms = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    // HBM moves data at both edges of its clock.
    device.memory_gb_s =
        static_cast<int>(int64_t{2} * attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) *
                         attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH) / 8 / 1000000);
    return device;
}

const Device& device(int index) {
    if (index < 0 || index >= kMaxDevices)
        fail("barrow: GPU index is %d but needs to be from 0 to %d; use another GPU", index, kMaxDevices - 1);
    if (const Device* known = devices[index].load(std::memory_order_acquire)) return *known;
    std::lock_guard lock(mutex);
    const Device* known = devices[index].load(std::memory_order_relaxed);
    if (known == nullptr) {
        known = new Device(query_device(index));  // lives as long as the process
        devices[index].store(known, std::memory_order_release);
    }
    return *known;
}

ContextScope::ContextScope(const Device& device) {
    CUdevice current;
    if (driver().cuCtxGetDevice(&current) == CUDA_SUCCESS && current == device.handle) return;
    driver_check(driver().cuCtxPushCurrent(primary_context(device)), "cuCtxPushCurrent", device.name);
    pushed_ = true;
}

ContextScope::~ContextScope() {
    if (CUcontext popped; pushed_) driver().cuCtxPopCurrent(&popped);
}

}  // namespace barrow
