// The part of the CUDA driver's C interface that the launcher calls, as of CUDA 12.0, so that building needs
// no CUDA header. Names, values and layouts: CUDA Driver API reference manual, sections "Data types used by
// CUDA driver", "Library Management", "Execution Control", "Tensor Map Object Management" and "Driver Entry
// Point Access".
#pragma once

#include <cstddef>
#include <cstdint>

namespace barrow::cuda {

using CUdevice = int;
using CUcontext = struct CUctx_st*;
using CUstream = struct CUstream_st*;
using CUlibrary = struct CUlib_st*;
using CUkernel = struct CUkern_st*;
using CUfunction = struct CUfunc_st*;

enum CUresult : int { CUDA_SUCCESS = 0 };

enum CUdevice_attribute : int {
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE = 36,        // kHz
    CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH = 37,  // bits
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
};

enum CUfunction_attribute : int { CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };

enum CUstreamCaptureMode : int { CU_STREAM_CAPTURE_MODE_RELAXED = 2 };

// Opaque; tensor maps are handed to kernels by value.
struct alignas(64) CUtensorMap {
    uint64_t opaque[16];
};

enum CUtensorMapDataType : int {
    CU_TENSOR_MAP_DATA_TYPE_UINT8 = 0,
    CU_TENSOR_MAP_DATA_TYPE_FLOAT32 = 7,
    CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9,
};
enum CUtensorMapInterleave : int { CU_TENSOR_MAP_INTERLEAVE_NONE = 0 };
enum CUtensorMapSwizzle : int {
    CU_TENSOR_MAP_SWIZZLE_NONE = 0,
    CU_TENSOR_MAP_SWIZZLE_32B = 1,
    CU_TENSOR_MAP_SWIZZLE_64B = 2,
    CU_TENSOR_MAP_SWIZZLE_128B = 3,
};
enum CUtensorMapL2promotion : int { CU_TENSOR_MAP_L2_PROMOTION_L2_256B = 3 };
enum CUtensorMapFloatOOBfill : int { CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0 };  // zeros

enum CUlaunchAttributeID : int {
    CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4,
    CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};

union CUlaunchAttributeValue {
    char pad[64];
    struct {
        unsigned int x;
        unsigned int y;
        unsigned int z;
    } clusterDim;
    int programmaticStreamSerializationAllowed;
};

struct CUlaunchAttribute {
    CUlaunchAttributeID id;
    char pad[8 - sizeof(CUlaunchAttributeID)];
    CUlaunchAttributeValue value;
};

struct CUlaunchConfig {
    unsigned int gridDimX;
    unsigned int gridDimY;
    unsigned int gridDimZ;
    unsigned int blockDimX;
    unsigned int blockDimY;
    unsigned int blockDimZ;
    unsigned int sharedMemBytes;
    CUstream hStream;
    CUlaunchAttribute* attrs;
    unsigned int numAttrs;
};

using cuInit_t = CUresult(unsigned int flags);
using cuDriverGetVersion_t = CUresult(int* version);
using cuGetProcAddress_v2_t = CUresult(const char* symbol, void** function, int cuda_version, uint64_t flags,
                                       int* status);
using cuGetErrorName_t = CUresult(CUresult error, const char** name);
using cuGetErrorString_t = CUresult(CUresult error, const char** text);
using cuDeviceGetCount_t = CUresult(int* count);
using cuDeviceGet_t = CUresult(CUdevice* device, int ordinal);
using cuDeviceGetName_t = CUresult(char* name, int length, CUdevice device);
using cuDeviceGetAttribute_t = CUresult(int* value, CUdevice_attribute attribute, CUdevice device);
using cuDevicePrimaryCtxRetain_t = CUresult(CUcontext* context, CUdevice device);
using cuCtxGetDevice_t = CUresult(CUdevice* device);
using cuCtxPushCurrent_t = CUresult(CUcontext context);
using cuCtxPopCurrent_t = CUresult(CUcontext* context);
using cuThreadExchangeStreamCaptureMode_t = CUresult(CUstreamCaptureMode* mode);
using cuLibraryLoadData_t = CUresult(CUlibrary* library, const void* code, void* jit_options,
                                     void** jit_option_values, unsigned int num_jit_options,
                                     void* library_options, void** library_option_values,
                                     unsigned int num_library_options);
using cuLibraryGetKernel_t = CUresult(CUkernel* kernel, CUlibrary library, const char* name);
using cuKernelGetFunction_t = CUresult(CUfunction* function, CUkernel kernel);
using cuKernelSetAttribute_t = CUresult(CUfunction_attribute attribute, int value, CUkernel kernel,
                                        CUdevice device);
using cuLaunchKernelEx_t = CUresult(const CUlaunchConfig* config, CUfunction function, void** kernel_params,
                                    void** extra);
using cuTensorMapEncodeTiled_t = CUresult(CUtensorMap* map, CUtensorMapDataType type, uint32_t rank,
                                          void* address, const uint64_t* dims, const uint64_t* strides,
                                          const uint32_t* box, const uint32_t* element_strides,
                                          CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                          CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill);

}  // namespace barrow::cuda
