#pragma once

#include "catalogue.h"

namespace barrow {

// The kernels around the GEMM, by what they do. Throw when this build was made without kernels.
const AuxKernel& pad_rows_kernel();
const AuxKernel& per_token_group_quant_kernel(Dtype x);
const AuxKernel& per_block_quant_kernel(Dtype x);

}  // namespace barrow
