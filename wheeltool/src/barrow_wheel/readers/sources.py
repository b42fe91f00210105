"""Words in text and in read-only data that tell how a package works at run time.

Python files are searched, not parsed: a parser run on hostile source can exhaust the stack, and a comment costs one
false word, which no rule takes for proof alone.
"""

from __future__ import annotations

import re

from barrow_wheel.readers import limits
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.elf import Elf

_CODE = rb"^[^#\n]{0,400}?"
PYTHON_SIGNALS = {
    "torch-jit-build": re.compile(
        _CODE
        + rb"(?:cpp_extension[.\w]*\.load(?:_inline)?\s*\("
        + rb"|from torch\.utils\.cpp_extension import[^\n]*\bload(?:_inline)?\b)",
        re.M,
    ),
    "nvcc": re.compile(_CODE + rb"[\"'/]nvcc(?:\.exe)?[\"' ]", re.M),
    "cuobjdump": re.compile(_CODE + rb"[\"'/]cuobjdump[\"' ]", re.M),
    "CUDA_HOME": re.compile(_CODE + rb"\bCUDA_(?:HOME|PATH)\b", re.M),
    "nvrtc": re.compile(_CODE + rb"\bnvrtc(?:CreateProgram|CompileProgram|\.Program|_compile)", re.M),
    "triton-jit": re.compile(rb"^\s{0,40}@(?:triton|tl|tle)\.(?:jit|autotune)\b", re.M),
    "torch-library-load": re.compile(_CODE + rb"torch\.ops\.load_library\s*\(", re.M),
    "ctypes-load": re.compile(_CODE + rb"(?:ctypes\.(?:CDLL|PyDLL|cdll)|cdll\.LoadLibrary)\b", re.M),
}
_BINARY_WORDS = (b"nvcc", b"cuobjdump", b"CUDA_HOME", b"nvrtcCompileProgram")
_READ_ONLY = (".rodata", ".lrodata", ".data.rel.ro")


def python_signals(source: bytes) -> frozenset[str]:
    return frozenset(name for name, pattern in PYTHON_SIGNALS.items() if pattern.search(source))


def binary_signals(blob: Blob, elf: Elf) -> frozenset[str]:
    """Which of the words stand in the read-only data of a library (in the whole file when sections are stripped)."""
    regions = [(s.offset, s.size) for s in elf.sections if s.name.startswith(_READ_ONLY)] or [(0, blob.size)]
    found: set[bytes] = set()
    for offset, size in regions:
        end = min(offset + size, offset + limits.MEMBER_BYTES)
        for word in _BINARY_WORDS:
            if word not in found and next(blob.find_all(word, offset, end), None) is not None:
                found.add(word)
    return frozenset(word.decode() for word in found)
