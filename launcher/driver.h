#pragma once

#include "cuda_driver.h"

namespace barrow {

// Entry points of libcuda.so.1, resolved at the versions that CUDA 12.0 had.
struct Driver {
    int version;  // as cuDriverGetVersion gives it: 1000 * major + 10 * minor
    cuda::cuGetErrorName_t* cuGetErrorName;
    cuda::cuGetErrorString_t* cuGetErrorString;
    cuda::cuDeviceGetCount_t* cuDeviceGetCount;
    cuda::cuDeviceGet_t* cuDeviceGet;
    cuda::cuDeviceGetName_t* cuDeviceGetName;
    cuda::cuDeviceGetAttribute_t* cuDeviceGetAttribute;
    cuda::cuDevicePrimaryCtxRetain_t* cuDevicePrimaryCtxRetain;
    cuda::cuCtxGetDevice_t* cuCtxGetDevice;
    cuda::cuCtxPushCurrent_t* cuCtxPushCurrent;
    cuda::cuCtxPopCurrent_t* cuCtxPopCurrent;
    cuda::cuThreadExchangeStreamCaptureMode_t* cuThreadExchangeStreamCaptureMode;
    cuda::cuLibraryLoadData_t* cuLibraryLoadData;
    cuda::cuLibraryGetKernel_t* cuLibraryGetKernel;
    cuda::cuKernelGetFunction_t* cuKernelGetFunction;
    cuda::cuKernelSetAttribute_t* cuKernelSetAttribute;
    cuda::cuLaunchKernelEx_t* cuLaunchKernelEx;
    cuda::cuTensorMapEncodeTiled_t* cuTensorMapEncodeTiled;
};

// Opens and initializes the driver at first use; creates no context. Throws when there is no driver, when it
// is older than CUDA 12.0, or when it finds no GPU; the next call tries again. Safe to call from any thread.
const Driver& driver();

// The driver's version without the demand that it be new enough; 0 when there is none.
int driver_version();

// Throws with the driver's own name and text of the error, after what was being done.
[[noreturn]] void driver_failed(cuda::CUresult result, const char* call, const char* subject);

inline void driver_check(cuda::CUresult result, const char* call, const char* subject) {
    if (__builtin_expect(result != cuda::CUDA_SUCCESS, 0)) driver_failed(result, call, subject);
}

// Lets this thread load code while a stream is being captured into a CUDA graph: loading enqueues nothing on
// the captured stream, yet the default capture mode forbids it.
class RelaxedCapture {
public:
    RelaxedCapture();
    ~RelaxedCapture();
    RelaxedCapture(const RelaxedCapture&) = delete;
    RelaxedCapture& operator=(const RelaxedCapture&) = delete;

private:
    cuda::CUstreamCaptureMode mode_ = cuda::CU_STREAM_CAPTURE_MODE_RELAXED;
};

}  // namespace barrow
