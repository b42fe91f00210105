#include "deal.h"

#include <map>
#include <mutex>

#include "../kernels/params.h"
#include "driver.h"

namespace barrow {
namespace {

using namespace cuda;

// Who counts there: a stream, or one captured launch.
std::mutex lock;
std::map<unsigned long long, uint32_t> of_streams;
uint32_t taken = 0;

uint32_t another() { return taken < kDeals ? taken++ : kNoDeal; }

}  // namespace

uint32_t deal_place(CUstream stream) {
    CUstreamCaptureStatus status;
    if (driver().cuStreamIsCapturing(stream, &status) != CUDA_SUCCESS) return kNoDeal;
    // A graph runs beside whatever its streams do later, so what it captures keeps its place for good. To ask
    // for the number of a stream would end the capture.
    if (status != CU_STREAM_CAPTURE_STATUS_NONE) {
        const std::lock_guard<std::mutex> guard(lock);
        return another();
    }
    // Launches of a stream run one after the other. A stream that is made later may have the address of this
    // one, but not its number.
    unsigned long long id;
    if (driver().cuStreamGetId(stream, &id) != CUDA_SUCCESS) return kNoDeal;
    const std::lock_guard<std::mutex> guard(lock);
    const auto [found, is_new] = of_streams.try_emplace(id, 0);
    if (is_new) found->second = another();
    return found->second;
}

}  // namespace barrow
