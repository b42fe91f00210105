// Runs a package of AOTInductor in a process without a Python interpreter, to show that none is in the call
// path.
//
//     aoti_runner EXTENSION PACKAGE INPUT OUTPUT DEVICE M K
//
// INPUT is a bfloat16 matrix [M, K] as raw bytes; so is OUTPUT, whatever its shape.
#include <ATen/ATen.h>
#include <dlfcn.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <fstream>
#include <iostream>
#include <string>
#include <vector>

// The extension also serves as a Python module and refers to these when it is loaded. It never touches them
// here, and its references to Python's functions are bound at their first call, which does not come.
extern "C" {
void* PyExc_RuntimeError = nullptr;
void* PyExc_ValueError = nullptr;
long _Py_TrueStruct[8] = {};
long _Py_FalseStruct[8] = {};
int PyUnicode_FSConverter(void*, void*) { return 0; }
}

int main(int argc, char** argv) {
    if (argc != 8) {
        std::cerr << "usage: aoti_runner EXTENSION PACKAGE INPUT OUTPUT DEVICE M K\n";
        return 2;
    }
    if (dlopen(argv[1], RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
        std::cerr << dlerror() << "\n";
        return 1;
    }
    const at::Device device{std::string(argv[5])};
    at::Tensor x = at::empty({std::stol(argv[6]), std::stol(argv[7])}, at::kBFloat16);
    std::ifstream(argv[3], std::ios::binary)
        .read(static_cast<char*>(x.data_ptr()), static_cast<long>(x.nbytes()));
    torch::inductor::AOTIModelPackageLoader model(argv[2]);
    std::vector<at::Tensor> inputs{x.to(device)};
    at::Tensor y = model.run(inputs).at(0).cpu().contiguous();
    std::ofstream(argv[4], std::ios::binary)
        .write(static_cast<const char*>(y.data_ptr()), static_cast<long>(y.nbytes()));
    return dlsym(RTLD_DEFAULT, "Py_IsInitialized") == nullptr ? 0 : 3;
}
