// How operators are registered in torch, and how their arguments come off torch's stack.
#pragma once

#include <torch/csrc/stable/c/shim.h>

#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "tensor.h"

namespace barrow {

static_assert(TORCH_FEATURE_VERSION == TORCH_VERSION_2_10_0,
              "compile with -DTORCH_TARGET_VERSION=0x020a000000000000: the wheel promises torch 2.10");

// Library `barrow`, once per process. It lives as long: deleting it would take its operators with it.
TorchLibraryHandle define_library();

void define(TorchLibraryHandle library, std::initializer_list<const char*> schemas);

void implement(const char* key, const char* op, void (*kernel)(StableIValue*, uint64_t, uint64_t));

// torch's stable calling convention (torch/csrc/stable/stableivalue_conversions.h): every argument is 64 bits
// on the stack. A tensor is a handle that the callee owns; a scalar lies in the low bytes; an optional is
// null or an owned heap cell with the value.

template <typename T>
T scalar(StableIValue value) {
    T result;
    memcpy(&result, &value, sizeof(result));
    return result;
}

inline Tensor take_tensor(StableIValue value) { return Tensor(scalar<AtenTensorHandle>(value)); }

inline Tensor take_optional_tensor(StableIValue value) {
    const std::unique_ptr<StableIValue> cell(scalar<StableIValue*>(value));
    return cell == nullptr ? nullptr : take_tensor(*cell);
}

inline std::optional<int64_t> take_optional_int(StableIValue value) {
    const std::unique_ptr<StableIValue> cell(scalar<StableIValue*>(value));
    return cell == nullptr ? std::nullopt : std::optional(scalar<int64_t>(*cell));
}

// A list of integers is an owned handle.
std::vector<int64_t> take_ints(StableIValue value);

inline StableIValue give_tensor(Tensor tensor) { return reinterpret_cast<StableIValue>(tensor.release()); }

}  // namespace barrow
