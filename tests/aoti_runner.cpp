// Runs a package of AOTInductor in a process without a Python interpreter.
//
//     aoti_runner EXTENSION PACKAGE INPUT OUTPUT DEVICE K M...
//
// INPUT holds a bfloat16 matrix [M, K] for every M, as raw bytes; OUTPUT takes the results in the same way.
// One package and one process serve them all, so M is dynamic.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <dlfcn.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <fstream>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    if (argc < 8) {
        std::cerr << "usage: aoti_runner EXTENSION PACKAGE INPUT OUTPUT DEVICE K M...\n";
        return 2;
    }
    // Registers the operators. Lazily, because its references to Python's functions are bound at their first
    // call, which does not come.
    if (dlopen(argv[1], RTLD_LAZY) == nullptr) {
        std::cerr << dlerror() << "\n";
        return 1;
    }
    torch::inductor::AOTIModelPackageLoader model(argv[2]);
    std::ifstream input(argv[3], std::ios::binary);
    std::ofstream output(argv[4], std::ios::binary);
    for (int i = 7; i < argc; ++i) {
        at::Tensor x = at::empty({std::stol(argv[i]), std::stol(argv[6])}, at::kBFloat16);
        input.read(static_cast<char*>(x.data_ptr()), static_cast<long>(x.nbytes()));
        std::vector<at::Tensor> inputs{x.to(at::Device(std::string(argv[5])))};
        const at::Tensor y = model.run(inputs).at(0).cpu().contiguous();
        output.write(static_cast<const char*>(y.data_ptr()), static_cast<long>(y.nbytes()));
    }
    if (dlsym(RTLD_DEFAULT, "Py_IsInitialized") != nullptr) {
        std::cerr << "Python is in this process\n";
        return 3;
    }
    return 0;
}
