#pragma once

#include "cuda_driver.h"

namespace barrow {

constexpr int kMaxDevices = 64;

struct Device {
    int index;  // torch's index and the driver's ordinal: both count the visible GPUs
    cuda::CUdevice handle;
    int capability;  // compute capability, major * 10 + minor
    int num_sms;
    int memory_gb_s;  // peak bandwidth; tells GPUs with one SM count apart
    char name[128];
};

// Asks the driver about one GPU; creates no context.
Device query_device(int index);

// The same, asked once per GPU and process.
const Device& device(int index);

// Makes a context of `device` current on this thread for as long as the object lives. A context that is
// already current is used as it is; otherwise (a fresh host thread, or one that last used another GPU) it is
// the primary one, which torch uses too.
class ContextScope {
public:
    explicit ContextScope(const Device& device);
    ~ContextScope();
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;

private:
    bool pushed_ = false;
};

}  // namespace barrow
