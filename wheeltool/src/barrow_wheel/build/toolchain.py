"""The compiler, its cache, and the headers of torch and pybind11, found without importing either."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from barrow_wheel.errors import MissingToolError, UsageError

_CACHES = ("ccache", "sccache")


@dataclass(frozen=True, slots=True)
class Cache:
    """A compiler cache. `launcher` goes in front of the compiler, and is empty where the compiler itself starts it.

    `through` is what puts it to use in any build, "" where it is only installed.
    """

    path: str
    launcher: tuple[str, ...]
    through: str = ""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The compiler, with what $CXX says behind it, and its cache. Flags come from the environment."""

    cxx: tuple[str, ...]
    cache: Cache | None
    compile_flags: tuple[str, ...]
    link_flags: tuple[str, ...]

    @property
    def launcher(self) -> tuple[str, ...]:
        return self.cache.launcher if self.cache is not None else ()


@dataclass(frozen=True, slots=True)
class Torch:
    """The torch of the driving environment: headers, libraries, and the flags it was built with."""

    # What torch's own extension builder asks for; headers from torch 2.15 on take nothing older.
    STANDARD: ClassVar[int] = 20

    root: Path
    version: str
    cxx_flags: tuple[str, ...]

    @property
    def includes(self) -> tuple[Path, ...]:
        return self.root / "include", self.root / "include/torch/csrc/api/include"

    @property
    def library_folder(self) -> Path:
        return self.root / "lib"

    @property
    def libraries(self) -> tuple[str, ...]:
        always = ("c10", "torch", "torch_cpu", "torch_python")
        cuda = tuple(n for n in ("c10_cuda", "torch_cuda") if (self.library_folder / f"lib{n}.so").exists())
        return always + cuda


def find_toolchain(environment: Mapping[str, str]) -> Toolchain:
    """$CXX or the system's compiler, $CXXFLAGS, $CPPFLAGS, $LDFLAGS, and ccache or sccache where there is one.

    An empty variable means unset. $CMAKE_CXX_COMPILER_LAUNCHER names another cache.
    """
    cxx = _words(environment, "CXX")
    # In "ccache g++" the compiler is what follows.
    in_front = [cxx.pop(0)] if len(cxx) > 1 and Path(cxx[0]).name in _CACHES else []
    if cxx:
        compiler = _stated_program(environment, "CXX", cxx)
    else:
        found = _first_installed(environment, ("c++", "g++", "clang++"))
        if found is None:
            raise MissingToolError("no C++ compiler found (c++, g++, clang++); install one or set CXX")
        compiler, cxx = found, [found]
    return Toolchain(
        cxx=tuple(cxx),
        cache=_find_cache(environment, in_front, compiler),
        compile_flags=(*_words(environment, "CPPFLAGS"), *_words(environment, "CXXFLAGS")),
        link_flags=tuple(_words(environment, "LDFLAGS")),
    )


def _words(environment: Mapping[str, str], name: str) -> list[str]:
    """The words of a variable as a shell splits them."""
    try:
        return shlex.split(environment.get(name, ""))
    except ValueError as error:
        raise UsageError(f"${name} is {environment[name]}, which no shell would split ({error}); correct it") from error


def _stated_program(environment: Mapping[str, str], variable: str, words: Sequence[str]) -> str:
    """Where the program is that a variable names."""
    found = _first_installed(environment, words[:1])
    if found is None:
        raise MissingToolError(f"${variable} names {words[0]}, which is not there; correct or unset {variable}")
    return found


def _first_installed(environment: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((path for name in names if (path := shutil.which(name, path=environment.get("PATH")))), None)


def _find_cache(environment: Mapping[str, str], in_front: Sequence[str], compiler: str) -> Cache | None:
    stated = environment.get("CMAKE_CXX_COMPILER_LAUNCHER", "").replace(";", " ").split()
    for variable, words in (("CMAKE_CXX_COMPILER_LAUNCHER", stated), ("CXX", in_front)):
        if words:
            return Cache(_stated_program(environment, variable, words), tuple(words), f"${variable}")
    # A compiler that is a link to ccache.
    behind = Path(compiler).resolve()
    if behind.name in _CACHES:
        return Cache(str(behind), (), compiler)
    installed = _first_installed(environment, _CACHES)
    return Cache(installed, (installed,)) if installed is not None else None


def package_root(name: str) -> Path | None:
    """The folder of an installed top-level package; finding it runs none of its code."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def find_torch() -> Torch:
    """torch of the running interpreter. Raises MissingToolError without it."""
    root = package_root("torch")
    if root is None or not (root / "include/torch/extension.h").exists():
        raise MissingToolError("--torch needs torch with its headers in this environment: pip install torch")
    version = re.search(r"__version__ = '([^']+)'", _read(root / "version.py"))
    # Written by torch's own build; it carries the C++ ABI that its libraries were compiled with.
    flags = re.search(r'set\(TORCH_CXX_FLAGS "([^"]*)"\)', _read(root / "share/cmake/Torch/TorchConfig.cmake"))
    return Torch(root, version[1] if version else "", tuple(shlex.split(flags[1])) if flags else ())


def find_pybind11() -> Path:
    """The include folder of the pybind11 package. Raises MissingToolError without it."""
    root = package_root("pybind11")
    if root is None or not (root / "include/pybind11/pybind11.h").exists():
        raise MissingToolError("--pybind11 needs pybind11 in this environment: pip install pybind11")
    return root / "include"


def cuda_root(environment: Mapping[str, str]) -> Path | None:
    """The folder of a CUDA toolkit with headers: $CUDA_HOME, beside nvcc, or in the standard place."""
    nvcc = shutil.which("nvcc", path=environment.get("PATH"))
    stated = [environment.get("CUDA_HOME"), environment.get("CUDA_PATH")]
    # nvcc on PATH may be a script that starts the real one, so its folder need not be the toolkit's.
    roots = [Path(root) for root in stated if root] + ([Path(nvcc).resolve().parents[1]] if nvcc else [])
    roots += [Path("/usr/local/cuda"), *sorted(Path("/usr/local").glob("cuda-*"), reverse=True)]
    return next((root for root in roots if (root / "include/cuda_runtime_api.h").exists()), None)


def cuda_include(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Headers of a CUDA toolkit, where there is one: torch's CUDA headers include cuda_runtime_api.h."""
    root = cuda_root(environment)
    return (root / "include",) if root is not None else ()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def environment() -> dict[str, str]:
    return dict(os.environ)
