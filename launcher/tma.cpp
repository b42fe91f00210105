#include "tma.h"

#include "driver.h"

namespace barrow {
namespace {

using namespace cuda;

struct Element {
    CUtensorMapDataType type;
    int bytes;
};

Element describe(TmaElement element) {
    switch (element) {
        case TmaElement::fp8:
            return {CU_TENSOR_MAP_DATA_TYPE_UINT8, 1};
        case TmaElement::bf16:
            return {CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2};
        case TmaElement::f32:
            break;
    }
    return {CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4};
}

CUtensorMapSwizzle swizzle_of(TmaElement element, int row_bytes) {
    return element == TmaElement::f32 ? CU_TENSOR_MAP_SWIZZLE_NONE
           : row_bytes == 128         ? CU_TENSOR_MAP_SWIZZLE_128B
           : row_bytes == 64          ? CU_TENSOR_MAP_SWIZZLE_64B
                                      : CU_TENSOR_MAP_SWIZZLE_32B;
}

}  // namespace

void encode(CUtensorMap& map, TmaElement element, const TmaMatrix& matrix, int box_rows, int box_cols,
            const char* name) {
    const auto [type, element_bytes] = describe(element);
    const uint64_t dims[] = {static_cast<uint64_t>(matrix.cols), static_cast<uint64_t>(matrix.rows),
                             static_cast<uint64_t>(matrix.slabs)};
    const uint64_t strides[] = {static_cast<uint64_t>(matrix.row_stride_bytes),
                                static_cast<uint64_t>(matrix.slab_stride_bytes)};
    const uint32_t box[] = {static_cast<uint32_t>(box_cols), static_cast<uint32_t>(box_rows), 1};
    const uint32_t element_strides[] = {1, 1, 1};
    driver_check(
        driver().cuTensorMapEncodeTiled(
            &map, type, matrix.slabs > 0 ? 3 : 2, const_cast<void*>(matrix.address), dims, strides, box,
            element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(element, box_cols * element_bytes),
            CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
        "cuTensorMapEncodeTiled", name);
}

}  // namespace barrow
