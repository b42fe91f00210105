"""Words in text and in read-only data that tell how a package works at run time.

Python files are searched, not parsed: a parser run on hostile source can exhaust the stack, and a comment costs one
false word, which no rule takes for proof alone.
"""

from __future__ import annotations

import itertools
import re

from barrow_wheel.readers import limits
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.elf import Elf

# Every repetition is bounded, so that the time is linear in the size whatever the text.
_PYTHON_WORDS = {
    "torch-jit-build": rb"cpp_extension[.\w]{0,40}\.load(?:_inline)?\s{0,4}\("
    rb"|from torch\.utils\.cpp_extension import[^\n]{0,200}\bload(?:_inline)?\b",
    "nvcc": rb"[\"'/]nvcc(?:\.exe)?[\"' ]",
    "cuobjdump": rb"[\"'/]cuobjdump[\"' ]",
    "CUDA_HOME": rb"\bCUDA_(?:HOME|PATH)\b",
    # Called, or an attribute: a name in quotes is one that is looked for, as this tool does.
    "nvrtc": rb"(?<![\"'])\bnvrtc(?:CreateProgram|CompileProgram|\.Program|_compile)",
    "triton-jit": rb"(?<![^\s])@(?:triton|tl|tle)\.(?:jit|autotune)\b",
}
_COMPILED = {name: re.compile(pattern) for name, pattern in _PYTHON_WORDS.items()}
# In one file; the first use outside of a comment ends the search anyway.
_MATCHES_LOOKED_AT = 200
_COMMENT_BEFORE = 300
_BINARY_WORDS = (b"nvcc", b"cuobjdump", b"CUDA_HOME", b"nvrtcCompileProgram")
_READ_ONLY = (".rodata", ".lrodata", ".data.rel.ro")


def python_signals(source: bytes) -> frozenset[str]:
    """Which of the words occur in a Python source outside of comments."""
    return frozenset(
        name
        for name, pattern in _COMPILED.items()
        if any(_is_code(source, m.start()) for m in itertools.islice(pattern.finditer(source), _MATCHES_LOOKED_AT))
    )


def _is_code(source: bytes, at: int) -> bool:
    """Whether nothing before `at` on its line starts a comment."""
    before = source[max(at - _COMMENT_BEFORE, 0) : at]
    return b"#" not in before[before.rfind(b"\n") + 1 :]


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
