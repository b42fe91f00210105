// Rules about the arguments of grouped GEMMs, like those of checks.h.
#pragma once

#include "../kernels/params.h"
#include "catalogue.h"
#include "tensor.h"

namespace barrow {

struct GroupedArgs {
    TensorView a;
    TensorView a_scale;
    TensorView b;
    TensorView b_scale;
    TensorView groups;
};

// How the operator's caller tells the groups; the schema has plain integers.
struct GroupsAsked {
    int64_t kind;        // of GroupLayout
    int64_t alignment;   // of rows at which groups begin; 1 where there are slabs
    int64_t expected_m;  // rows that a group is likely to have; 0 where the caller does not know
};

struct GroupedShape {
    GroupLayout kind;
    int64_t groups;
    int64_t slabs;  // of A and D: as many as groups, or one
    int64_t m;      // rows of a slab
    int64_t n;
    int64_t k;
    int64_t alignment;
    int64_t expected_rows;  // of all groups together
};

// What the caller knows GroupedArgs::groups as.
const char* groups_name(int64_t kind);

GroupedShape check_grouped_gemm(const GroupedArgs& args, const GroupsAsked& asked);
void check_grouped_out(const GroupedArgs& args, const GroupedShape& shape, const TensorView& out);

// The kernel with this row of the table, which has to be a grouped one.
const GemmKernel& check_grouped_kernel(int64_t row);

}  // namespace barrow
