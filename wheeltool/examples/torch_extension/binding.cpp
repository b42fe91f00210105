// A pybind11 extension of the kind that needs one file per CPython: torch's C++ API and pybind11's internals in one
// translation unit, with the arithmetic in another that never sees Python.h.
#include <torch/extension.h>

#include "rowwise.h"

namespace {

torch::Tensor scale_rows(const torch::Tensor& matrix, const torch::Tensor& factors) {
    TORCH_CHECK(matrix.dim() == 2, "scale_rows: matrix has ", matrix.dim(), " dimensions, needs 2");
    TORCH_CHECK(factors.numel() == matrix.size(0), "scale_rows: factors has ", factors.numel(),
                " elements, needs one for each of the ", matrix.size(0), " rows");
    TORCH_CHECK(matrix.scalar_type() == torch::kFloat && factors.scalar_type() == torch::kFloat,
                "scale_rows: needs float32");
    auto result = matrix.contiguous().clone();
    auto dense_factors = factors.contiguous();
    rowwise::scale(result.data_ptr<float>(), dense_factors.data_ptr<float>(), result.size(0), result.size(1));
    return result;
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
    module.doc() = "Rows of a matrix, each times its factor.";
    module.def("scale_rows", &scale_rows, pybind11::arg("matrix"), pybind11::arg("factors"));
}
