#include "driver.h"

#include <type_traits>

#include "error.h"
#include "glibc_compat.h"

namespace barrow {
namespace {

using namespace cuda;

constexpr const char* kLibrary = "libcuda.so.1";
// cuLibraryLoadData and cuTensorMapEncodeTiled came with CUDA 12.0, whose first driver is 525.
constexpr int kMinVersion = 12000;

void* open_library() {
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        fail("barrow: no NVIDIA driver: %s; running on a GPU needs the driver, version 525 or newer",
             dlerror());
    }
    return library;
}

template <typename Function>
Function* symbol(void* library, const char* name) {
    auto* function = reinterpret_cast<Function*>(dlsym(library, name));
    if (function == nullptr) {
        fail("barrow: the NVIDIA driver's %s has no %s; update the driver to version 525 or newer", kLibrary,
             name);
    }
    return function;
}

int version_of(void* library) {
    int version = 0;
    // Answers without cuInit, so that an old driver can be named even where it cannot start.
    driver_check(symbol<cuDriverGetVersion_t>(library, "cuDriverGetVersion")(&version), "cuDriverGetVersion",
                 "the driver");
    return version;
}

Driver open_driver() {
    void* library = open_library();
    Driver driver{};
    driver.version = version_of(library);
    if (driver.version < kMinVersion) {
        fail(
            "barrow: the NVIDIA driver supports CUDA up to %d.%d but the kernels need %d.%d; update the "
            "driver to "
            "version 525 or newer",
            driver.version / 1000, driver.version % 1000 / 10, kMinVersion / 1000, kMinVersion % 1000 / 10);
    }
    driver_check(symbol<cuInit_t>(library, "cuInit")(0), "cuInit", "the driver");

    auto* get_address = symbol<cuGetProcAddress_v2_t>(library, "cuGetProcAddress_v2");
    auto resolve = [&](auto*& function, const char* name) {
        void* address = nullptr;
        int status = 0;
        driver_check(get_address(name, &address, kMinVersion, 0, &status), "cuGetProcAddress", name);
        if (address == nullptr) {
            fail("barrow: the NVIDIA driver has no %s; update the driver to version 525 or newer", name);
        }
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
    };
#define BARROW_RESOLVE(name) resolve(driver.name, #name)
    BARROW_RESOLVE(cuGetErrorName);
    BARROW_RESOLVE(cuGetErrorString);
    BARROW_RESOLVE(cuDeviceGetCount);
    BARROW_RESOLVE(cuDeviceGet);
    BARROW_RESOLVE(cuDeviceGetName);
    BARROW_RESOLVE(cuDeviceGetAttribute);
    BARROW_RESOLVE(cuDevicePrimaryCtxRetain);
    BARROW_RESOLVE(cuCtxGetDevice);
    BARROW_RESOLVE(cuCtxPushCurrent);
    BARROW_RESOLVE(cuCtxPopCurrent);
    BARROW_RESOLVE(cuThreadExchangeStreamCaptureMode);
    BARROW_RESOLVE(cuLibraryLoadData);
    BARROW_RESOLVE(cuLibraryGetKernel);
    BARROW_RESOLVE(cuKernelGetFunction);
    BARROW_RESOLVE(cuKernelSetAttribute);
    BARROW_RESOLVE(cuLaunchKernelEx);
    BARROW_RESOLVE(cuTensorMapEncodeTiled);
#undef BARROW_RESOLVE
    return driver;
}

}  // namespace

const Driver& driver() {
    // A failed initialization leaves the static unset: a driver that comes up later is found.
    static const Driver instance = open_driver();
    return instance;
}

int driver_version() {
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    return library == nullptr ? 0 : version_of(library);
}

void driver_failed(CUresult result, const char* call, const char* subject) {
    // By name from the library, not from driver(): this also reports the errors of opening it.
    const char* name = "unknown error";
    const char* text = "no description";
    void* library = open_library();
    symbol<cuGetErrorName_t>(library, "cuGetErrorName")(result, &name);
    symbol<cuGetErrorString_t>(library, "cuGetErrorString")(result, &text);
    fail("barrow: %s failed for %s: %s (%s)", call, subject, name, text);
}

RelaxedCapture::RelaxedCapture() {
    driver_check(driver().cuThreadExchangeStreamCaptureMode(&mode_), "cuThreadExchangeStreamCaptureMode",
                 "this thread");
}

RelaxedCapture::~RelaxedCapture() { driver().cuThreadExchangeStreamCaptureMode(&mode_); }

}  // namespace barrow
