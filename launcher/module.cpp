// The Python module _C: importing it registers the operators; its functions answer questions on the host.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "choice.h"
#include "device.h"
#include "driver.h"
#include "error.h"
#include "ops.h"
#include "pack.h"

#if Py_LIMITED_API != 0x030A0000
#error "compile with -DPy_LIMITED_API=0x030A0000: one extension serves CPython 3.10 and later"
#endif

// A C++ program that runs an exported model loads this library and has no interpreter. Functions of Python
// are bound at their first call, which does not come; its data would be bound on loading, so that is weak.
#pragma weak PyExc_RuntimeError
#pragma weak PyExc_ValueError
#pragma weak PyUnicode_FSConverter
#pragma weak _Py_TrueStruct
#pragma weak _Py_FalseStruct

namespace barrow {
namespace {

struct DecRef {
    void operator()(PyObject* object) const { Py_DECREF(object); }
};
using Object = std::unique_ptr<PyObject, DecRef>;

// Thrown with the Python error already set.
struct PythonError {};

Object checked(PyObject* object) {
    if (object == nullptr) throw PythonError{};
    return Object(object);
}

Object build_list() { return checked(PyList_New(0)); }

void append(const Object& list, const Object& item) {
    if (PyList_Append(list.get(), item.get()) != 0) throw PythonError{};
}

// Runs the body of a module function and turns its exceptions into Python's.
template <typename Body>
PyObject* guarded(Body body) {
    try {
        return body().release();
    } catch (const PythonError&) {
    } catch (const std::invalid_argument& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

const char* name_of(Dtype dtype) {
    return dtype == Dtype::bf16 ? "bf16" : dtype == Dtype::f16 ? "f16" : "f32";
}

Dtype out_dtype_of(const std::string& name) {
    for (Dtype dtype : {Dtype::bf16, Dtype::f32}) {
        if (name == name_of(dtype)) return dtype;
    }
    throw std::invalid_argument("choose: out_dtype is \"" + name + "\" but needs \"bf16\" or \"f32\"");
}

int64_t in_range(const char* name, long long value, int64_t most, int64_t least = 1) {
    if (value >= least && value <= most) return value;
    throw std::invalid_argument("choose: " + std::string(name) + " is " + std::to_string(value) +
                                " but needs to be from " + std::to_string(least) + " to " +
                                std::to_string(most));
}

PyObject* choose(PyObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&] {
        static const char* names[] = {
            "m", "n", "k", "out_dtype", "num_sms", "memory_gb_s", "row_scales_b", "groups", nullptr};
        long long m, n, k, num_sms, memory_gb_s = 0, groups = 0;
        const char* out_dtype;
        int row_scales_b = 0;
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "LLLsL|LpL:choose", const_cast<char**>(names), &m, &n,
                                         &k, &out_dtype, &num_sms, &memory_gb_s, &row_scales_b, &groups)) {
            throw PythonError{};
        }
        const GemmProblem problem{in_range("m", m, kMaxDim),
                                  in_range("n", n, kMaxDim),
                                  in_range("k", k, kMaxDim),
                                  out_dtype_of(out_dtype),
                                  kArch,
                                  static_cast<int>(in_range("num_sms", num_sms, INT32_MAX)),
                                  static_cast<int>(in_range("memory_gb_s", memory_gb_s, INT32_MAX, 0)),
                                  row_scales_b != 0,
                                  in_range("groups", groups, kMaxDim, 0)};
        const std::unique_ptr<Candidate[]> candidates(new Candidate[kGemmKernelCount]);
        const size_t count = rank(problem, candidates.get());
        Object list = build_list();
        for (size_t i = 0; i < count; ++i) {
            append(list, checked(Py_BuildValue("{s:s,s:d,s:O}", "kernel", candidates[i].kernel->name,
                                               "predicted_us", candidates[i].predicted_us, "measured",
                                               candidates[i].measured ? Py_True : Py_False)));
        }
        return list;
    });
}

Object build_cost(const CostModel& cost) {
    return checked(Py_BuildValue("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "fixed_us", double{cost.fixed_us},
                                 "tile_us", double{cost.tile_us}, "k_block_us", double{cost.k_block_us},
                                 "load_us", double{cost.load_us}, "memory", double{cost.memory}, "idle",
                                 double{cost.idle}, "again", double{cost.again}, "throttle",
                                 double{cost.throttle}));
}

Object image_size(const Image& image) { return checked(PyLong_FromUnsignedLongLong(image.size)); }

PyObject* kernels(PyObject*, PyObject*) {
    return guarded([] {
        Object list = build_list();
        for (size_t i = 0; i < kGemmKernelCount; ++i) {
            const GemmKernel& k = kGemmKernels[i];
            append(list, checked(Py_BuildValue(
                             "{s:s,s:s,s:i,s:s,"                         // to out
                             "s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,"  // to part_rows
                             "s:i,s:i,s:i,s:i,s:i,s:i,s:O,s:O}",
                             "name", k.name, "kind", k.grouped != 0 ? "grouped_gemm" : "gemm", "arch", k.arch,
                             "out", name_of(k.out), "block_m", k.block_m, "block_n", k.block_n, "stages",
                             k.stages, "row_scales_b", k.row_scales_b, "k_groups", k.k_groups, "cluster_k",
                             k.cluster_k, "cluster_n", k.cluster_n, "blocks_ahead", k.blocks_ahead,
                             "alternates", k.alternates, "part_rows", k.part_rows, "warpgroups", k.warpgroups,
                             "threads", k.threads, "smem_bytes", k.smem_bytes, "ctas_per_sm", k.ctas_per_sm,
                             "store_rows", k.store_rows, "store_columns", k.store_columns, "cost",
                             build_cost(k.cost).get(), "size", image_size(k.image).get())));
        }
        for (size_t i = 0; i < kAuxKernelCount; ++i) {
            const AuxKernel& k = kAuxKernels[i];
            append(list, checked(Py_BuildValue("{s:s,s:s,s:s,s:O}", "name", k.name, "kind", "aux", "symbol",
                                               k.symbol, "size", image_size(k.image).get())));
        }
        return list;
    });
}

PyObject* tuned_py(PyObject*, PyObject*) {
    return guarded([] {
        Object ms = build_list(), gpus = build_list();
        for (size_t i = 0; i < kTunedMCount; ++i) append(ms, checked(PyLong_FromLong(kTunedMs[i])));
        for (size_t i = 0; i < kTunedGpuCount; ++i) {
            const TunedGpu& gpu = kTunedGpus[i];
            append(gpus, checked(Py_BuildValue("{s:s,s:i,s:i,s:n}", "name", gpu.name, "num_sms", gpu.num_sms,
                                               "memory_gb_s", gpu.memory_gb_s, "choices",
                                               static_cast<Py_ssize_t>(gpu.count))));
        }
        return checked(Py_BuildValue("{s:O,s:O}", "m_edges", ms.get(), "gpus", gpus.get()));
    });
}

PyObject* pack_path_py(PyObject*, PyObject*) {
    return guarded([] { return checked(PyUnicode_DecodeFSDefault(pack_path().c_str())); });
}

PyObject* verify_pack_py(PyObject*, PyObject* args) {
    return guarded([&] {
        PyObject* encoded = nullptr;
        if (!PyArg_ParseTuple(args, "O&:verify_pack", PyUnicode_FSConverter, &encoded)) throw PythonError{};
        const Object path(encoded);
        const char* text = PyBytes_AsString(path.get());
        if (text == nullptr) throw PythonError{};
        verify_pack(text);
        return checked(Py_BuildValue(""));
    });
}

Object build_devices() {
    Object list = build_list();
    int count = 0;
    driver_check(barrow::driver().cuDeviceGetCount(&count), "cuDeviceGetCount", "this machine");
    for (int i = 0; i < count; ++i) {
        const Device device = query_device(i);
        append(list,
               checked(Py_BuildValue("{s:i,s:s,s:[ii],s:i,s:i}", "index", device.index, "name", device.name,
                                     "capability", device.capability / 10, device.capability % 10, "num_sms",
                                     device.num_sms, "memory_gb_s", device.memory_gb_s)));
    }
    return list;
}

PyObject* driver_py(PyObject*, PyObject*) {
    return guarded([] {
        Object devices = build_list();
        std::string error;
        int version = 0;
        try {
            version = driver_version();
            devices = build_devices();
        } catch (const std::exception& raised) {
            error = raised.what();
        }
        const Object version_or_none = checked(version == 0 ? Py_BuildValue("") : PyLong_FromLong(version));
        return checked(Py_BuildValue("{s:O,s:O,s:z,s:O}", "available", error.empty() ? Py_True : Py_False,
                                     "version", version_or_none.get(), "error",
                                     error.empty() ? nullptr : error.c_str(), "devices", devices.get()));
    });
}

// clang-format off
PyMethodDef methods[] = {
    {"choose", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(choose)), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"kernels", kernels, METH_NOARGS, nullptr},
    {"tuned", tuned_py, METH_NOARGS, nullptr},
    {"pack_path", pack_path_py, METH_NOARGS, nullptr},
    {"verify_pack", verify_pack_py, METH_VARARGS, nullptr},
    {"driver", driver_py, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
// clang-format on

PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace barrow

// What went wrong when the operators were registered, empty if nothing. They are registered as the library is
// loaded and not when it is imported, which a C++ program never does. An exception would end the process
// here, so that it waits for the import.
static const std::string registration_error = [] {
    try {
        barrow::register_operators();
        return std::string();
    } catch (const std::exception& error) {
        return std::string(error.what());
    }
}();

PyMODINIT_FUNC PyInit__C() {
    return barrow::guarded([] {
        if (!registration_error.empty()) throw std::runtime_error(registration_error);
        return barrow::checked(PyModule_Create(&barrow::module_def));
    });
}
