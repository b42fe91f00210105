// A libcuda.so.1 for tests without a GPU: two devices whose memory is the host's. It refuses what the CUDA
// Driver API reference forbids, runs every kernel in plain loops from nothing but what the launcher handed
// over (loops.h), and writes one line of JSON per launch to $FAKE_CUDA_LOG. FAKE_CUDA_VERSION,
// FAKE_CUDA_INIT, FAKE_CUDA_CAPABILITY and FAKE_CUDA_LOAD choose the driver's version, the result of cuInit,
// the device and the result of loading a library.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "../../../launcher/cuda_driver.h"
#include "loops.h"
#include "loops_experts.h"

using namespace barrow;
using namespace barrow::cuda;
using namespace fake;

namespace {

constexpr auto kInvalidValue = CUresult(1);
constexpr auto kInvalidContext = CUresult(201);
constexpr auto kNotFound = CUresult(500);
constexpr auto kCaptureUnsupported = CUresult(900);
constexpr int kDefaultSmem = 48 * 1024;
// Those of an H100 SXM.
constexpr int kSms = 132;
constexpr int kMemoryClockKhz = 2619000;
constexpr int kBusBits = 5120;
constexpr int kDevices = 2;

int setting(const char* name, int otherwise) {
    const char* text = getenv(name);
    return text == nullptr ? otherwise : atoi(text);
}

struct Kernel {
    std::string name;
    struct {
        int max_smem = kDefaultSmem;
        bool loaded = false;
    } on[kDevices];
};

std::mutex mutex;
std::map<std::string, Kernel> kernels;
thread_local std::vector<CUdevice>
    contexts;  // the thread's stack of current contexts, one possible per device
thread_local CUstreamCaptureMode capture_mode{};

static_assert(sizeof(Map) <= sizeof(CUtensorMap));

std::string describe(const Map& map) {
    char text[256];
    snprintf(text, sizeof(text),
             "{\"cols\": %lu, \"rows\": %lu, \"slabs\": %lu, \"stride\": %lu, \"slab_stride\": %lu, "
             "\"box\": [%u, %u], \"element_bytes\": %d, \"swizzle\": %d}",
             map.cols, map.rows, map.slabs, map.stride, map.slab_stride, map.box_cols, map.box_rows,
             map.element_bytes, map.swizzle);
    return text;
}

void log_line(const std::string& line) {
    if (const char* path = getenv("FAKE_CUDA_LOG")) {
        FILE* file = fopen(path, "a");
        fprintf(file, "%s\n", line.c_str());
        fclose(file);
    }
}

// The kernels around a grouped GEMM; empty for any other.
std::string run_experts(const std::string& name, const void* parameter, uint32_t grid, uint32_t threads) {
    char text[512] = "";
    if (name.rfind("moe_sort", 0) == 0) {
        const auto& p = *static_cast<const SortParams*>(parameter);
        sort(name, p, threads);
        snprintf(text, sizeof(text), "\"count\": %u, \"experts\": %u, \"warps\": %u, \"id_gap\": %ld",
                 p.count, p.experts, p.warps, p.id_gap);
    } else if (name.rfind("moe_permute_quant", 0) == 0) {
        const auto& p = *static_cast<const PermuteQuantParams*>(parameter);
        permute_quant(name, p, grid);
        snprintf(text, sizeof(text), "\"tokens\": %u, \"k\": %u, \"rows\": %u", p.tokens, p.k, p.rows);
    } else if (name.rfind("silu_mul_quant", 0) == 0) {
        const auto& p = *static_cast<const SiluMulQuantParams*>(parameter);
        silu_mul_quant(name, p, grid);
        snprintf(text, sizeof(text), "\"slabs\": %u, \"rows\": %u, \"columns\": %u", p.slabs, p.rows,
                 p.columns);
    } else if (name.rfind("moe_unpermute", 0) == 0) {
        const auto& p = *static_cast<const UnpermuteParams*>(parameter);
        unpermute(name, p, grid);
        snprintf(text, sizeof(text), "\"tokens\": %u, \"n\": %u, \"rows\": %u", p.tokens, p.n, p.rows);
    }
    return text;
}

std::string describe(const GemmParams& p, uint64_t k, const Map& a, const Map& b, const Map& d,
                     const Map& a_scale, const Map& b_scale) {
    char text[256];
    snprintf(text, sizeof(text),
             "\"m\": %u, \"n\": %u, \"k\": %lu, \"a_box_rows\": %u, \"d_by_tma\": %u, "
             "\"prefetch_b\": %u, \"accumulate\": %u",
             p.m, p.n, k, p.a_box_rows, p.d_by_tma, p.prefetch_b, p.accumulate);
    return text + (", \"a\": " + describe(a)) + ", \"b\": " + describe(b) + ", \"d\": " + describe(d) +
           ", \"a_scale\": " + (p.a_scale_box_rows > 0 ? describe(a_scale) : "null") +
           ", \"b_scale\": " + (p.b_scale_box_rows > 0 ? describe(b_scale) : "null");
}

std::string run(const std::string& name, void** parameters, uint32_t grid, uint32_t threads) {
    char text[512] = "";
    if (const std::string done = run_experts(name, parameters[0], grid, threads); !done.empty()) return done;
    if (name.rfind("fp8_gemm_nt", 0) == 0 && name.find("_grouped") != std::string::npos) {
        const Map a = read_map(parameters[0]), b = read_map(parameters[1]), d = read_map(parameters[2]);
        const Map a_scale = read_map(parameters[3]);
        const auto& p = *static_cast<GroupedGemmParams*>(parameters[5]);
        run_grouped_gemm(a, b, d, a_scale, p);
        snprintf(text, sizeof(text),
                 "\"m\": %u, \"n\": %u, \"k\": %u, \"a_box_rows\": %u, \"d_by_tma\": %u, "
                 "\"prefetch_b\": %u, \"groups\": %u, \"kind\": %u, \"blocks\": %u, \"alignment\": %u",
                 p.m, p.n, p.k, p.a_box_rows, p.d_by_tma, p.prefetch_b, p.groups,
                 static_cast<uint32_t>(p.kind), p.blocks, p.alignment);
        return text + (", \"a\": " + describe(a)) + ", \"b\": " + describe(b) + ", \"d\": " + describe(d) +
               ", \"a_scale\": " + (p.a_scale_box_rows > 0 ? describe(a_scale) : "null");
    }
    if (name.rfind("fp8_gemm_nt_f32", 0) == 0 && name.find("_rows") != std::string::npos) {
        const auto& p = *static_cast<KGroupedGemmParams*>(parameters[5]);
        std::vector<Map> a, b;
        std::string groups;
        for (uint32_t g = 0; g < p.groups; ++g) {
            a.push_back(read_map(static_cast<CUtensorMap*>(parameters[0]) + g));
            b.push_back(read_map(static_cast<CUtensorMap*>(parameters[1]) + g));
            snprintf(text, sizeof(text),
                     "%s{\"k_blocks\": %u, \"first_block\": %u, \"slab\": %u, \"a\": ", g > 0 ? ", " : "",
                     p.group[g].k_blocks, p.group[g].first_block, p.group[g].slab);
            groups += text + describe(a[g]) + ", \"b\": " + describe(b[g]) + "}";
        }
        const Map d = read_map(parameters[2]);
        const Map a_scale = read_map(parameters[3]), b_scale = read_map(parameters[4]);
        run_k_grouped_gemm(a.data(), b.data(), d, a_scale, b_scale, p);
        // Each group has its own K, which its maps say; that of the first is logged.
        return describe(p, a[0].cols, a[0], b[0], d, a_scale, b_scale) + ", \"groups\": [" + groups + "]";
    }
    if (name.rfind("fp8_gemm_nt", 0) == 0) {
        const Map a = read_map(parameters[0]), b = read_map(parameters[1]), d = read_map(parameters[2]);
        const Map a_scale = read_map(parameters[3]), b_scale = read_map(parameters[4]);
        const auto& p = *static_cast<GemmParams*>(parameters[5]);
        run_gemm(name, a, b, d, a_scale, b_scale, p);
        return describe(p, p.k, a, b, d, a_scale, b_scale);
    }
    if (name.rfind("pad_rows", 0) == 0) {
        const auto& p = *static_cast<PadRowsParams*>(parameters[0]);
        pad_rows(p);
        snprintf(text, sizeof(text), "\"rows\": %u, \"row_bytes\": %ld, \"dst_stride\": %ld", p.rows,
                 p.row_bytes, p.dst_stride);
        return text;
    }
    const auto& p = *static_cast<QuantParams*>(parameters[0]);
    quantize(name, p);
    snprintf(text, sizeof(text),
             "\"m\": %u, \"k\": %u, \"use_ue8m0\": %u, \"x_stride_m\": %ld, \"q_stride_m\": %ld, "
             "\"scale_stride_m\": %ld, "
             "\"scale_stride_k\": %ld",
             p.m, p.k, p.use_ue8m0, p.x_stride_m, p.q_stride_m, p.scale_stride_m, p.scale_stride_k);
    return text;
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned int) { return CUresult(setting("FAKE_CUDA_INIT", 0)); }

CUresult cuDriverGetVersion(int* version) {
    *version = setting("FAKE_CUDA_VERSION", 12020);
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char** name) {
    *name = error == 100   ? "CUDA_ERROR_NO_DEVICE"
            : error == 209 ? "CUDA_ERROR_NO_BINARY_FOR_GPU"
                           : "CUDA_ERROR_OTHER";
    return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
    *text = error == 100 ? "no CUDA-capable device is detected" : "something else";
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
    *count = kDevices;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    *device = ordinal;
    return ordinal < kDevices ? CUDA_SUCCESS : CUresult(101);
}

CUresult cuDeviceGetName(char* name, int length, CUdevice) {
    snprintf(name, length, "Fake GPU");
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
    const int capability = setting("FAKE_CUDA_CAPABILITY", 90);
    switch (attribute) {
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
            *value = kSms;
            break;
        case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
            *value = kMemoryClockKhz;
            break;
        case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
            *value = kBusBits;
            break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
            *value = capability / 10;
            break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
            *value = capability % 10;
            break;
    }
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    *context = reinterpret_cast<CUcontext>(intptr_t{device} + 1);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
    if (contexts.empty()) return kInvalidContext;
    *device = contexts.back();
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext context) {
    contexts.push_back(static_cast<CUdevice>(reinterpret_cast<intptr_t>(context) - 1));
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext*) {
    if (contexts.empty()) return kInvalidContext;
    contexts.pop_back();
    return CUDA_SUCCESS;
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
    std::swap(*mode, capture_mode);
    return CUDA_SUCCESS;
}

// As if a stream were being captured all the time: loading is refused unless the thread has relaxed its mode.
CUresult cuLibraryLoadData(CUlibrary* library, const void*, void*, void**, unsigned int, void*, void**,
                           unsigned int) {
    if (capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED) return kCaptureUnsupported;
    log_line("{\"load\": true}");
    *library = reinterpret_cast<CUlibrary>(intptr_t{1});
    return CUresult(setting("FAKE_CUDA_LOAD", 0));
}

CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary, const char* name) {
    std::lock_guard lock(mutex);
    Kernel& found = kernels[name];
    found.name = name;
    *kernel = reinterpret_cast<CUkernel>(&found);
    return CUDA_SUCCESS;
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device) {
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value > 227 * 1024)
        return kInvalidValue;
    reinterpret_cast<Kernel*>(kernel)->on[device].max_smem = value;
    return CUDA_SUCCESS;
}

CUresult cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
    if (contexts.empty()) return kInvalidContext;
    if (capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED) return kCaptureUnsupported;
    reinterpret_cast<Kernel*>(kernel)->on[contexts.back()].loaded = true;
    *function = reinterpret_cast<CUfunction>(kernel);
    return CUDA_SUCCESS;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, uint32_t rank, void* address,
                                const uint64_t* dims, const uint64_t* strides, const uint32_t* box,
                                const uint32_t* steps, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                                CUtensorMapFloatOOBfill fill) {
    const int element_bytes = type == CU_TENSOR_MAP_DATA_TYPE_FLOAT32    ? 4
                              : type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 ? 2
                                                                         : 1;
    const uint32_t span = swizzle == CU_TENSOR_MAP_SWIZZLE_NONE ? UINT32_MAX : 16u << swizzle;
    const bool slabs_legal =
        rank == 2 || (rank == 3 && dims[2] > 0 && dims[2] <= 1ull << 32 && strides[1] % 16 == 0 &&
                      strides[1] < 1ull << 40 && box[2] == 1 && steps[2] == 1);
    const bool legal = slabs_legal && reinterpret_cast<uintptr_t>(map) % 64 == 0 &&
                       reinterpret_cast<uintptr_t>(address) % 16 == 0 && dims[0] > 0 && dims[1] > 0 &&
                       dims[0] <= 1ull << 32 && dims[1] <= 1ull << 32 && strides[0] % 16 == 0 &&
                       strides[0] < 1ull << 40 && strides[0] >= dims[0] * element_bytes && box[0] > 0 &&
                       box[0] <= 256 && box[1] > 0 && box[1] <= 256 && box[0] * element_bytes % 16 == 0 &&
                       box[0] * element_bytes <= span && steps[0] == 1 && steps[1] == 1 && interleave == 0 &&
                       fill == 0;
    if (!legal) return kInvalidValue;
    const Map stored{static_cast<char*>(address),
                     dims[0],
                     dims[1],
                     strides[0],
                     box[0],
                     box[1],
                     element_bytes,
                     swizzle,
                     rank == 3 ? dims[2] : 0,
                     rank == 3 ? strides[1] : 0};
    memcpy(map, &stored, sizeof(stored));
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters,
                          void** extra) {
    if (contexts.empty()) return kInvalidContext;
    const auto* kernel = reinterpret_cast<Kernel*>(function);
    const auto& device = kernel->on[contexts.back()];
    unsigned cluster = 1, overlap = 0, unknown = 0;
    for (unsigned i = 0; i < config->numAttrs; ++i) {
        const CUlaunchAttribute& attribute = config->attrs[i];
        if (attribute.id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
            cluster = attribute.value.clusterDim.x;
        else if (attribute.id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
            overlap = attribute.value.programmaticStreamSerializationAllowed;
        else
            ++unknown;
    }
    const bool legal = device.loaded && extra == nullptr && config->gridDimX > 0 &&
                       config->gridDimX <= INT32_MAX && config->gridDimX % cluster == 0 &&
                       config->blockDimX > 0 && config->blockDimX <= 1024 &&
                       config->sharedMemBytes <= static_cast<unsigned>(device.max_smem) && unknown == 0;
    if (!legal) return kInvalidValue;
    char text[256];
    snprintf(text, sizeof(text),
             "\"grid\": %u, \"block\": %u, \"cluster\": %u, \"overlap\": %u, \"smem\": %u, \"stream\": %ld, "
             "\"device\": %d, ",
             config->gridDimX, config->blockDimX, cluster, overlap, config->sharedMemBytes,
             reinterpret_cast<intptr_t>(config->hStream), contexts.back());
    log_line("{\"kernel\": \"" + kernel->name + "\", " + text +
             run(kernel->name, parameters, config->gridDimX, config->blockDimX) + "}");
    return CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char* symbol, void** function, int, uint64_t, int*) {
    const std::map<std::string, void*> functions = {
#define FUNCTION(name) {#name, reinterpret_cast<void*>(name)}
        FUNCTION(cuGetErrorName),
        FUNCTION(cuGetErrorString),
        FUNCTION(cuDeviceGetCount),
        FUNCTION(cuDeviceGet),
        FUNCTION(cuDeviceGetName),
        FUNCTION(cuDeviceGetAttribute),
        FUNCTION(cuCtxGetDevice),
        FUNCTION(cuDevicePrimaryCtxRetain),
        FUNCTION(cuCtxPushCurrent),
        FUNCTION(cuCtxPopCurrent),
        FUNCTION(cuLibraryLoadData),
        FUNCTION(cuLibraryGetKernel),
        FUNCTION(cuKernelGetFunction),
        FUNCTION(cuKernelSetAttribute),
        FUNCTION(cuLaunchKernelEx),
        FUNCTION(cuTensorMapEncodeTiled),
        FUNCTION(cuThreadExchangeStreamCaptureMode),
#undef FUNCTION
    };
    const auto found = functions.find(symbol);
    *function = found == functions.end() ? nullptr : found->second;
    return found == functions.end() ? kNotFound : CUDA_SUCCESS;
}

}  // extern "C"
