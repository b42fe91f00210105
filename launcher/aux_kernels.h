#pragma once

#include "catalogue.h"

namespace barrow {

// The kernels around the GEMM, by what they do. Throw when this build was made without kernels.
const AuxKernel& pad_rows_kernel();
const AuxKernel& per_token_group_quant_kernel(Dtype x);
const AuxKernel& per_block_quant_kernel(Dtype x);
const AuxKernel& moe_sort_kernel(bool wide_ids);  // int64 where `wide_ids`, else int32
const AuxKernel& moe_permute_quant_kernel(Dtype x);
const AuxKernel& silu_mul_quant_kernel();
const AuxKernel& moe_unpermute_kernel();

}  // namespace barrow
