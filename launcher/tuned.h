// The table of measured choices, for shapes and GPUs that were tuned.
#pragma once

#include "choice.h"

namespace barrow {

// The kernel that was the fastest for the problem's output, N, K and bucket of M on a GPU like the problem's,
// if it can run the problem; otherwise null. Two binary searches.
const GemmKernel* tuned(const GemmProblem& problem);

}  // namespace barrow
