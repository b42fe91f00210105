#include "deal.h"

#include <map>
#include <mutex>
#include <tuple>

#include "../kernels/params.h"
#include "driver.h"

namespace barrow {

using namespace cuda;

uint32_t deal_place(CUstream stream) {
    CUstreamCaptureStatus status;
    unsigned long long capture = 0, id;
    if (driver().cuStreamGetCaptureInfo(stream, &status, &capture, nullptr, nullptr, nullptr) !=
            CUDA_SUCCESS ||
        driver().cuStreamGetId(stream, &id) != CUDA_SUCCESS)
        return kNoDeal;
    // Launches of a stream run one after the other, and so do those that a graph has captured from one. But a
    // graph runs beside whatever its stream does later. Numbers of streams and of captures are not given
    // twice, where addresses are.
    const bool captured = status != CU_STREAM_CAPTURE_STATUS_NONE;
    const std::tuple key(captured, captured ? capture : 0, id);

    static std::mutex lock;
    static std::map<std::tuple<bool, unsigned long long, unsigned long long>, uint32_t> places;
    const std::lock_guard<std::mutex> guard(lock);
    if (const auto found = places.find(key); found != places.end()) return found->second;
    if (places.size() == kDeals) return kNoDeal;
    return places[key] = places.size();
}

}  // namespace barrow
