"""What is in the wheel, and that the barrow under test is this wheel."""

import base64
import csv
import hashlib
import re
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from built_wheel import Wheel

import barrow

BINARIES = {f"barrow/launcher/{name}" for name in ("_C.abi3.so", "kernels.pack", "manifest.json")}
MAX_BYTES = 5_000_000


def test_name_is_one_file_for_every_cpython(wheel: Wheel) -> None:
    assert re.fullmatch(r"barrow-[\d.]+-cp310-abi3-manylinux_2_28_x86_64\.whl", wheel.path.name)
    (tags,) = (text.decode() for name, text in wheel.files.items() if name.endswith(".dist-info/WHEEL"))
    assert Parser().parsestr(tags).get_all("Tag") == ["cp310-abi3-manylinux_2_28_x86_64"]
    assert Parser().parsestr(tags)["Root-Is-Purelib"] == "false"


def test_size(wheel: Wheel) -> None:
    assert wheel.path.stat().st_size < MAX_BYTES


def test_python_code_and_three_binaries_and_nothing_else(wheel: Wheel) -> None:
    others = {
        name
        for name in wheel.files
        if not name.endswith((".py", ".pyi", "/py.typed")) and ".dist-info/" not in name and name not in BINARIES
    }
    assert others == set()
    assert {name.split("/")[0] for name in wheel.files} == {"barrow", f"barrow-{barrow.__version__}.dist-info"}
    assert set(wheel.files) >= BINARIES


def test_all_python_code_is_there(wheel: Wheel) -> None:
    source = Path(__file__).parents[2] / "src"
    python = {p.relative_to(source).as_posix() for s in ("*.py", "*.pyi") for p in (source / "barrow").rglob(s)}
    assert python == {name for name in wheel.files if name.endswith((".py", ".pyi"))}


def test_metadata(wheel: Wheel) -> None:
    (text,) = (text.decode() for name, text in wheel.files.items() if name.endswith(".dist-info/METADATA"))
    fields = Parser().parsestr(text)
    assert (fields["Name"], fields["Version"]) == ("barrow", barrow.__version__)
    assert fields["Requires-Python"] == ">=3.10"
    needed = [line for line in fields.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert needed == ["torch>=2.10"]
    assert fields.get_all("Provides-Extra") == ["triton", "checkpoint", "bench"]
    assert fields["License-Expression"] == "Apache-2.0"


def test_record_lists_every_file_with_its_hash(wheel: Wheel) -> None:
    (record,) = (name for name in wheel.files if name.endswith(".dist-info/RECORD"))
    listed = {row[0]: row[1] for row in csv.reader(wheel.files[record].decode().splitlines())}
    assert set(listed) == set(wheel.files)
    for name, digest in listed.items():
        if name != record:
            found = base64.urlsafe_b64encode(hashlib.sha256(wheel.files[name]).digest()).rstrip(b"=").decode()
            assert digest == f"sha256={found}", name


def test_this_wheel_is_what_is_installed(wheel: Wheel) -> None:
    installed = metadata.distribution("barrow")
    for name, content in wheel.files.items():
        if name.startswith("barrow/"):
            assert Path(str(installed.locate_file(name))).read_bytes() == content, name
    assert Path(barrow.__file__) == Path(str(installed.locate_file("barrow/__init__.py")))


@pytest.mark.parametrize("suffix", [".h", ".cuh", ".hpp", ".cu", ".cpp", ".c", ".cubin", ".ptx", ".a", ".o", ".txt"])
def test_no_header_no_source_no_intermediate(wheel: Wheel, suffix: str) -> None:
    assert [name for name in wheel.files if name.endswith(suffix) and ".dist-info/" not in name] == []
