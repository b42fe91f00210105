"""Mutated inputs: every reader either answers or raises its own error, quickly. tools/fuzz.py runs this for longer."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import CSource, WheelSpec, cubin, cuda_source, fatbin, fatbin_entry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barrow_wheel.check import findings_of, read_archive
from barrow_wheel.checks.matrix import build_matrix
from barrow_wheel.errors import InputError
from barrow_wheel.readers import limits
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.device_code import read_device_code
from barrow_wheel.readers.elf import read_elf
from barrow_wheel.readers.metadata import parse_file_name, parse_metadata, parse_record, parse_wheel_tags
from barrow_wheel.readers.sources import python_signals

mutations = st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=12)
quick = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutate(data: bytes, changes: list[tuple[int, bytes]], cut: int) -> bytes:
    changed = bytearray(data)
    for at, value in changes:
        # Half of the changes hit the first KiB, where headers are.
        place = at % min(len(changed), 1024 if at % 2 else len(changed))
        changed[place : place + len(value)] = value
    return bytes(changed[: len(changed) - cut % len(changed) if cut else None])


@pytest.fixture(scope="module")
def seed_elf(compile_so: Callable[[CSource], bytes], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    image = fatbin(fatbin_entry(2, 90), fatbin_entry(1, 80)) + cubin(100, "f")
    source = CSource(exports=("PyInit__C",), calls=("PyLong_FromLong", "aoti_torch_empty"))
    return compile_so(cuda_source(tmp_path_factory.mktemp("fuzz"), image, source))


@quick
@given(changes=mutations, cut=st.integers(0, 5000))
def test_elf_and_device_code(seed_elf: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    blob = Blob.of_bytes(mutate(seed_elf, changes, cut))
    with suppress(InputError):
        read_device_code(blob, read_elf(blob))


@quick
@given(changes=mutations, cut=st.integers(0, 300))
def test_loose_device_code(changes: list[tuple[int, bytes]], cut: int) -> None:
    data = b"PACK" + fatbin(fatbin_entry(2, 90), fatbin_entry(1, 80)) + cubin(100, "f") + cubin(80, layout=12)
    with suppress(InputError):
        read_device_code(Blob.of_bytes(mutate(data, changes, cut)), None)


words = st.one_of(
    st.binary(max_size=200), st.text(alphabet="cpy3.10-_any;=<>!~*,[]()abt \t", max_size=200).map(str.encode)
)


@quick
@given(data=words)
def test_text_formats(data: bytes) -> None:
    parse_metadata(b"Metadata-Version: 2.1\nRequires-Dist: " + data)
    parse_metadata(b"Metadata-Version: 2.1\nRequires-Python: " + data)
    parse_wheel_tags(b"Tag: " + data)
    with suppress(InputError):
        parse_record(data)
    with suppress(InputError):
        parse_file_name(data.decode("latin-1") + ".whl")


def test_a_tag_set_that_explodes_is_refused() -> None:
    parts = ".".join(f"cp{n}" for n in range(400))
    tags, invalid = parse_wheel_tags(f"Wheel-Version: 1.0\nTag: py3-none-any\nTag: {parts}-{parts}-{parts}\n".encode())
    assert [str(tag) for tag in tags] == ["py3-none-any"] and len(invalid) == 1


def test_endless_requirements_are_refused_in_time() -> None:
    started = time.monotonic()
    found = parse_metadata(b"Metadata-Version: 2.1\nName: x\nVersion: 1\n" + b"Requires-Dist: a\n" * 100_000)
    assert any("Requires-Dist lines" in text for text in found.invalid)
    assert parse_metadata(b"Requires-Python: " + b">=3," * 100_000).requires_python is None
    assert time.monotonic() - started < 3


@settings(parent=quick, max_examples=60)
@given(changes=mutations, cut=st.integers(0, 4000), field=st.binary(max_size=60))
def test_whole_wheels(
    seed_elf: bytes, tmp_path: Path, changes: list[tuple[int, bytes]], cut: int, field: bytes
) -> None:
    path = WheelSpec({"demo/_C.abi3.so": seed_elf, "demo/k.py": b"import triton\n@triton.jit\n" + field}).write(
        tmp_path
    )
    path.write_bytes(mutate(path.read_bytes(), changes, cut))
    try:
        wheel = read_archive(path)
    except InputError:
        return
    build_matrix(wheel)
    findings_of(wheel)


@settings(parent=quick, max_examples=60)
@given(changes=mutations, cut=st.integers(0, 4000))
def test_wheels_with_mutated_members(
    seed_elf: bytes, tmp_path: Path, changes: list[tuple[int, bytes]], cut: int
) -> None:
    """A sound archive around a broken file: always an answer, and never a clean one."""
    broken = mutate(seed_elf, changes, cut)
    path = WheelSpec({"demo/_C.abi3.so": broken}).write(tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    wheel = read_archive(path)
    findings = findings_of(wheel)
    assert wheel.binaries or wheel.unreadable or broken[:4] != b"\x7fELF"
    assert all(f.message for f in findings)


@pytest.mark.parametrize(
    "text",
    [
        b"cpp_extension",
        b"'nvcc",
        b"\n@triton",
        b"CUDA_HOM",
        b"from torch.utils.cpp_extension import ",
        b"#",
        b"@tl.ji ",
    ],
)
def test_searching_source_takes_linear_time(text: bytes) -> None:
    """One file of the greatest size that is read, made of what a pattern begins with."""
    source = text * (limits.SOURCE_BYTES // len(text))
    started = time.monotonic()
    python_signals(source)
    assert time.monotonic() - started < 3


def test_words_are_found_in_code_and_not_in_comments() -> None:
    assert python_signals(b"import x\nrun(['nvcc', '-c'])\n") == {"nvcc"}
    assert python_signals(b"# run 'nvcc' first\nx = 1  # and 'cuobjdump'\n") == frozenset()
    assert python_signals(b"lib.nvrtcCompileProgram(program, 0, None)\n") == {"nvrtc"}
    assert python_signals(b"found = 'nvrtcCompileProgram' in imports\n") == frozenset()
    assert python_signals(b"@triton.jit\ndef k(): ...\n") == {"triton-jit"}
    assert python_signals(b"    @triton.autotune(x)\n") == {"triton-jit"}
    assert python_signals(b"from torch.utils.cpp_extension import CppExtension, load\n") == {"torch-jit-build"}
    assert python_signals(b"torch.utils.cpp_extension.load_inline(name)\n") == {"torch-jit-build"}
    assert python_signals(b"from torch.utils.cpp_extension import BuildExtension\n") == frozenset()
