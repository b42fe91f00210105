#include "registry.h"

namespace barrow {
namespace {

constexpr const char* kLibrary = "barrow";

}  // namespace

TorchLibraryHandle define_library() {
    TorchLibraryHandle library = nullptr;
    torch_check(aoti_torch_library_init_def(kLibrary, kLibrary, 0, &library),
                "registration of library barrow");
    return library;
}

void define(TorchLibraryHandle library, std::initializer_list<const char*> schemas) {
    for (const char* schema : schemas) torch_check(aoti_torch_library_def(library, schema), schema);
}

void implement(const char* key, const char* op, void (*kernel)(StableIValue*, uint64_t, uint64_t)) {
    TorchLibraryHandle library = nullptr;
    torch_check(aoti_torch_library_init_impl(kLibrary, key, kLibrary, 0, &library), op);
    torch_check(torch_library_impl(library, op, kernel, TORCH_FEATURE_VERSION), op);
}

std::vector<int64_t> take_ints(StableIValue value) {
    struct Delete {
        void operator()(StableListOpaque* list) const { torch_delete_list(list); }
    };
    const std::unique_ptr<StableListOpaque, Delete> list(scalar<StableListHandle>(value));
    size_t size = 0;
    torch_check(torch_list_size(list.get(), &size), "torch_list_size");
    std::vector<int64_t> ints(size);
    for (size_t i = 0; i < size; ++i) {
        StableIValue item{};
        torch_check(torch_list_get_item(list.get(), i, &item), "torch_list_get_item");
        ints[i] = scalar<int64_t>(item);
    }
    return ints;
}

}  // namespace barrow
