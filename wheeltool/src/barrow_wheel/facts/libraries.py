"""Shared libraries: what every Linux has, what the driver brings, and which packages bring the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The libraries that the manylinux policies allow a wheel to expect (PEP 600, as auditwheel lists them), the loader
# itself, and musl's one library.
SYSTEM = frozenset({
    "libatomic.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libm.so.6", "libmvec.so.1", "libanl.so.1", "libdl.so.2",
    "librt.so.1", "libc.so.6", "libnsl.so.1", "libutil.so.1", "libpthread.so.0", "libX11.so.6", "libXext.so.6",
    "libXrender.so.1", "libICE.so.6", "libSM.so.6", "libGL.so.1", "libgobject-2.0.so.0", "libgthread-2.0.so.0",
    "libglib-2.0.so.0", "libresolv.so.2", "libexpat.so.1", "libz.so.1",
})  # fmt: skip
_LOADER = re.compile(r"^(?:ld-linux[\w.-]*|ld64|ld-musl-\w+|linux-vdso|libc\.musl-\w+)\.so(?:\.\d+)*$")
# Installed by the driver; no package can bring them.
_DRIVER = re.compile(r"^lib(?:cuda|nvidia-[\w-]+|nvcuvid|nvidia-ml|nvoptix|vdpau_nvidia|cudadebugger)\.so(?:\.\d+)*$")

CUDA_MAJORS = (11, 12, 13)
# soname -> CUDA major (0 when one file serves several) and the package that brings it, {} standing for the suffix.
_CUDA_LIBRARIES: tuple[tuple[str, int, str], ...] = (
    ("libcudart.so.11.0", 11, "nvidia-cuda-runtime"), ("libcudart.so.12", 12, "nvidia-cuda-runtime"),
    ("libcudart.so.13", 13, "nvidia-cuda-runtime"),
    ("libcublas.so.11", 11, "nvidia-cublas"), ("libcublas.so.12", 12, "nvidia-cublas"),
    ("libcublas.so.13", 13, "nvidia-cublas"),
    ("libcublasLt.so.11", 11, "nvidia-cublas"), ("libcublasLt.so.12", 12, "nvidia-cublas"),
    ("libcublasLt.so.13", 13, "nvidia-cublas"), ("libnvblas.so.12", 12, "nvidia-cublas"),
    ("libcufft.so.10", 11, "nvidia-cufft"), ("libcufft.so.11", 12, "nvidia-cufft"),
    ("libcufft.so.12", 13, "nvidia-cufft"),
    ("libcufftw.so.11", 12, "nvidia-cufft"), ("libcurand.so.10", 0, "nvidia-curand"),
    ("libcusolver.so.11", 0, "nvidia-cusolver"), ("libcusolver.so.12", 13, "nvidia-cusolver"),
    ("libcusolverMg.so.11", 0, "nvidia-cusolver"), ("libcusparse.so.11", 11, "nvidia-cusparse"),
    ("libcusparse.so.12", 0, "nvidia-cusparse"), ("libcusparseLt.so.0", 0, "nvidia-cusparselt"),
    ("libnvrtc.so.11.2", 11, "nvidia-cuda-nvrtc"), ("libnvrtc.so.12", 12, "nvidia-cuda-nvrtc"),
    ("libnvrtc.so.13", 13, "nvidia-cuda-nvrtc"),
    ("libnvJitLink.so.12", 12, "nvidia-nvjitlink"), ("libnvJitLink.so.13", 13, "nvidia-nvjitlink"),
    ("libcupti.so.12", 12, "nvidia-cuda-cupti"), ("libcupti.so.13", 13, "nvidia-cuda-cupti"),
    ("libcufile.so.0", 0, "nvidia-cufile"), ("libcufile_rdma.so.1", 0, "nvidia-cufile"),
    ("libcudnn.so.8", 0, "nvidia-cudnn"), ("libcudnn.so.9", 0, "nvidia-cudnn"), ("libnccl.so.2", 0, "nvidia-nccl"),
    ("libnvToolsExt.so.1", 0, "nvidia-nvtx"), ("libnvshmem_host.so.3", 0, "nvidia-nvshmem"),
    ("libnppc.so.12", 12, "nvidia-npp"), ("libnppc.so.13", 13, "nvidia-npp"), ("libnppig.so.12", 12, "nvidia-npp"),
    ("libnppig.so.13", 13, "nvidia-npp"), ("libnppicc.so.12", 12, "nvidia-npp"), ("libnppicc.so.13", 13, "nvidia-npp"),
    ("libnvjpeg.so.12", 12, "nvidia-nvjpeg"), ("libnvjpeg.so.13", 13, "nvidia-nvjpeg"),
    ("libnvvm.so.4", 0, "nvidia-cuda-nvcc"), ("libnvptxcompiler.so.12", 12, "nvidia-nvptxcompiler"),
)  # fmt: skip
# What torch's own CUDA wheels bring along.
TORCH_BRINGS = frozenset({
    "nvidia-cuda-runtime", "nvidia-cublas", "nvidia-cufft", "nvidia-curand", "nvidia-cusolver", "nvidia-cusparse",
    "nvidia-cusparselt", "nvidia-cuda-nvrtc", "nvidia-nvjitlink", "nvidia-cuda-cupti", "nvidia-cufile", "nvidia-cudnn",
    "nvidia-nccl", "nvidia-nvtx", "nvidia-nvshmem",
})  # fmt: skip
# Come from the distribution, not from packages; a wheel that links one expects it to be installed beside it.
DISTRIBUTION = re.compile(
    r"^lib(?:numa|ibverbs|rdmacm|mlx5|mlx4|efa|fabric|curl|ssl|crypto|gomp|gfortran|quadmath|omp|blas|lapack|openblas|mpi|"
    r"hwloc|xml2|jpeg|png\d*|tiff|z|bz2|lzma|zstd|ffi|sqlite3|readline|ncurses\w*|tinfo|uuid|yaml|av\w+|sw\w+|heif|asound|pulse|"
    r"xkbcommon\S*|wayland\S*|xcb\S*|dbus-1|fontconfig|freetype|EGL|GLX|OpenGL|GLESv2|drm|gbm|udev|usb-1\.0|elf|dw|unwind|"
    r"stdc\+\+fs|tcmalloc\w*|jemalloc|protobuf|etcd\w*|cutensor\w*|nvinfer\w*|nvonnxparser)\.so"
)
# Those of them that there are packages of too; a search path that leads to another package may find them.
IN_PACKAGES = re.compile(r"^lib(?:cutensor\w*|nvinfer\w*|nvonnxparser)\.so")
# ROCm, oneAPI and similar stacks are installed as a whole by their users; a wheel for them names no package.
_STACKS = (
    (re.compile(r"^lib(?:amdhip64|hip\w*|roc\w*|rccl|MIOpen|hsa-runtime64|amd_comgr|magma)\.so"), "ROCm"),
    (
        re.compile(
            r"^lib(?:sycl|svml|irng|imf|intlc|iomp5|mkl_\w+|tbb\w*|ze_loader|OpenCL|ccl|dnnl|umf|ur_\w+|pti_view)\.so"
        ),
        "oneAPI",
    ),
)


@dataclass(frozen=True, slots=True)
class CudaLibrary:
    """One library of the CUDA toolkit: its CUDA major version (0: several), and the package without its suffix."""

    soname: str
    major: int
    package: str

    def packages(self, major: int) -> tuple[str, ...]:
        """What the package is called for one CUDA major; since 13 it has no suffix."""
        return (f"{self.package}-cu{major}", *([self.package] if major >= 13 else []))

    def provided_by(self, requirement: str) -> bool:
        """Whether a package of this (canonical) name brings the library."""
        majors = (self.major,) if self.major else CUDA_MAJORS
        return any(requirement in self.packages(major) for major in majors)


def cuda_library(soname: str) -> CudaLibrary | None:
    return next((CudaLibrary(*entry) for entry in _CUDA_LIBRARIES if entry[0] == soname), None)


def is_system(soname: str) -> bool:
    return soname in SYSTEM or _LOADER.match(soname) is not None


def is_driver(soname: str) -> bool:
    return _DRIVER.match(soname) is not None


def stack(soname: str) -> str:
    """The accelerator stack that a library belongs to, "" when to none."""
    return next((name for pattern, name in _STACKS if pattern.match(soname)), "")


def is_python(soname: str) -> bool:
    return re.match(r"^libpython3(?:\.\d+\w*)?\.so", soname) is not None
