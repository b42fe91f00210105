// Preloaded beside a CPU-only torch: gives CPU tensors the index of a fake GPU (FAKE_TORCH_INDEX at the time
// of asking, otherwise 0), and each GPU a current stream.
#include <cstdint>
#include <cstdlib>

extern "C" int32_t aoti_torch_get_device_index(void*, int32_t* index) {
    const char* text = getenv("FAKE_TORCH_INDEX");
    *index = text == nullptr ? 0 : atoi(text);
    return 0;
}

extern "C" int32_t aoti_torch_get_current_cuda_stream(int32_t index, void** stream) {
    *stream = reinterpret_cast<void*>(intptr_t{77} + index);
    return 0;
}
