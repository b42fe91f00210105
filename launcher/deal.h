#pragma once

#include <cstdint>

#include "cuda_driver.h"

namespace barrow {

// Where a launch on this stream may count the tiles that it deals out: a number below kDeals, or kNoDeal
// where none is left or the driver does not say what the stream is. Safe to call from any thread.
uint32_t deal_place(cuda::CUstream stream);

}  // namespace barrow
