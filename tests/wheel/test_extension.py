"""The one shared library of the wheel: what it links, imports, exports and tells."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from built_wheel import ROOT, Wheel
from elftools.elf.elffile import ELFFile

# auditwheel's policy for manylinux_2_28: the newest version of each set of symbols.
MANYLINUX_2_28 = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
TORCH = Path(torch.__file__).parent
SYSTEM = {"libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libc.so.6", "libpthread.so.0", "libdl.so.2"}


def section(extension: ELFFile, name: str) -> Any:
    return extension.get_section_by_name(name)


def symbols(extension: ELFFile, defined: bool) -> set[str]:
    table = section(extension, ".dynsym")
    return {s.name for s in table.iter_symbols() if s.name and (s["st_shndx"] != "SHN_UNDEF") is defined}


def test_links_torch_and_the_system_only(extension: ELFFile) -> None:
    needed = {tag.needed for tag in section(extension, ".dynamic").iter_tags() if tag.entry.d_tag == "DT_NEEDED"}
    assert needed - SYSTEM == {"libtorch.so"}


def test_has_no_search_path(extension: ELFFile) -> None:
    tags = {tag.entry.d_tag for tag in section(extension, ".dynamic").iter_tags()}
    assert not tags & {"DT_RPATH", "DT_RUNPATH"}


def test_exports_the_module_and_nothing_else(extension: ELFFile) -> None:
    assert symbols(extension, defined=True) == {"PyInit__C"}


def test_torch_is_used_through_its_c_interface(extension: ELFFile) -> None:
    undefined = symbols(extension, defined=False)
    assert any(name.startswith("aoti_torch_") for name in undefined)
    # Itanium names of namespaces: 3c10, 2at, 5torch. Not even their own stable classes, which are headers only.
    assert {name for name in undefined if re.match(r"_Z\w*?(?:3c10|2at|5torch|6caffe2)", name)} == set()


def test_cuda_is_opened_at_first_use_and_not_linked(extension: ELFFile) -> None:
    assert {
        name for name in symbols(extension, defined=False) if re.match(r"(?:__)?(?:cu|nv)[A-Z]|cuda", name)
    } == set()


def test_every_symbol_of_torch_is_in_the_stable_interface_of_2_10(extension: ELFFile) -> None:
    # torch's headers hide what is newer than the version asked for.
    headers = ("stable/c/shim.h", "inductor/aoti_torch/c/shim.h", "inductor/aoti_torch/generated/c_shim_aten.h")
    declared = subprocess.run(
        [
            "c++",
            "-E",
            "-x",
            "c++",
            "-",
            f"-I{TORCH}/include",
            "-DTORCH_TARGET_VERSION=0x020a000000000000",
            "-DUSE_CUDA",
        ],
        input="".join(f"#include <torch/csrc/{header}>\n" for header in headers),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    table = section(extension, ".dynsym")
    # What is weak is asked for before it is called.
    used = {s.name for s in table.iter_symbols() if "torch_" in s.name and s["st_info"]["bind"] == "STB_GLOBAL"}
    assert used != set()
    assert used - set(re.findall(r"\b(\w*torch_\w+)\s*\(", declared)) == set()


def test_needs_no_newer_system_than_manylinux_2_28(extension: ELFFile) -> None:
    found = {
        version.name for _, versions in section(extension, ".gnu.version_r").iter_versions() for version in versions
    }
    parsed = {tuple(name.rsplit("_", 1)) for name in found}
    assert {family for family, _ in parsed} <= set(MANYLINUX_2_28)
    assert {name for name in parsed if tuple(map(int, name[1].split("."))) > MANYLINUX_2_28[name[0]]} == set()


def test_abi3audit(wheel: Wheel) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "abi3audit", "--strict", "--verbose", str(wheel.path)], capture_output=True, text=True
    )
    said = " ".join((result.stdout + result.stderr).split())
    assert result.returncode == 0, said
    assert "1 extensions scanned; 0 ABI version mismatches and 0 ABI violations found" in said


def test_barrow_wheel_finds_nothing(wheel: Wheel) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "barrow_wheel", "check", str(wheel.path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("folder", [ROOT, TORCH.parent], ids=["sources", "site-packages"])
def test_tells_no_folder_of_the_machine_that_built_it(wheel: Wheel, folder: Path) -> None:
    assert [name for name, content in wheel.files.items() if str(folder).encode() in content] == []
