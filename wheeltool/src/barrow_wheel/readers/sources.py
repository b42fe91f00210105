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
# name -> a literal that must occur, and the pattern that decides; the literal keeps the search to a few files.
_PYTHON_SIGNALS = {
    "torch-jit-build": (
        b"cpp_extension",
        _CODE
        + rb"(?:cpp_extension[.\w]*\.load(?:_inline)?\s*\("
        + rb"|from torch\.utils\.cpp_extension import[^\n]*\bload(?:_inline)?\b)",
    ),
    "nvcc": (b"nvcc", _CODE + rb"[\"'/]nvcc(?:\.exe)?[\"' ]"),
    "cuobjdump": (b"cuobjdump", _CODE + rb"[\"'/]cuobjdump[\"' ]"),
    "CUDA_HOME": (b"CUDA_", _CODE + rb"\bCUDA_(?:HOME|PATH)\b"),
    "nvrtc": (b"nvrtc", _CODE + rb"\bnvrtc(?:CreateProgram|CompileProgram|\.Program|_compile)"),
    "triton-jit": (b"@t", rb"^\s{0,40}@(?:triton|tl|tle)\.(?:jit|autotune)\b"),
}
_COMPILED = {name: (literal, re.compile(pattern, re.M)) for name, (literal, pattern) in _PYTHON_SIGNALS.items()}
_BINARY_WORDS = (b"nvcc", b"cuobjdump", b"CUDA_HOME", b"nvrtcCompileProgram")
_READ_ONLY = (".rodata", ".lrodata", ".data.rel.ro")


def python_signals(source: bytes) -> frozenset[str]:
    return frozenset(
        name for name, (literal, pattern) in _COMPILED.items() if literal in source and pattern.search(source)
    )


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
