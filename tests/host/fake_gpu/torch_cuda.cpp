// Preloaded beside a CPU-only torch: gives CPU tensors the index of the fake GPU, and that GPU a current
// stream.
#include <cstdint>

extern "C" int32_t aoti_torch_get_device_index(void*, int32_t* index) {
    *index = 0;
    return 0;
}

extern "C" int32_t aoti_torch_get_current_cuda_stream(int32_t, void** stream) {
    *stream = reinterpret_cast<void*>(intptr_t{77});
    return 0;
}
