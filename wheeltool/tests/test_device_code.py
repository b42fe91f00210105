"""Architectures from fatbins and cubins, and what they mean for a GPU."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import cubin, fatbin, fatbin_entry

from barrow_wheel.errors import FormatError, UsageError
from barrow_wheel.facts.gpus import Support, driver_floor, gpu, support
from barrow_wheel.readers.blob import Blob
from barrow_wheel.readers.device_code import DeviceCode, read_device_code
from barrow_wheel.readers.elf import EM_CUDA, read_elf


def codes(data: bytes) -> dict[DeviceCode, int]:
    blob = Blob.of_bytes(data)
    elf = read_elf(blob) if data.startswith(b"\x7fELF") else None
    return dict(read_device_code(blob, elf).cuda)


def test_fatbin_entries() -> None:
    image = fatbin(
        fatbin_entry(2, 80), fatbin_entry(2, 90, flags=0x108011, low=8), fatbin_entry(2, 100, flags=0x1208011, low=8),
        fatbin_entry(1, 80, flags=0x2011, low=7, high=8), fatbin_entry(2, 80),
    )  # fmt: skip
    assert codes(b"junk" * 3 + image) == {
        DeviceCode("cubin", 80, "", 7): 2,
        DeviceCode("cubin", 90, "a", 8): 1,
        DeviceCode("cubin", 100, "f", 8): 1,
        DeviceCode("ptx", 80, "", 0, (8, 7)): 1,
    }


def test_several_fatbins_and_a_chance_magic() -> None:
    chance = b"\x50\xed\x55\xba" + b"\xff" * 20
    image = fatbin(fatbin_entry(2, 75)) + chance + fatbin(fatbin_entry(2, 75)) + chance[:6]
    assert codes(image) == {DeviceCode("cubin", 75, "", 7): 2}


@pytest.mark.parametrize("layout", [12, 13])
@pytest.mark.parametrize(("arch", "variant"), [(80, ""), (90, "a")])
def test_bare_cubins_in_both_layouts(layout: int, arch: int, variant: str) -> None:
    expected = DeviceCode("cubin", arch, variant, 7 if layout == 12 else 8)
    assert codes(cubin(arch, variant, layout)) == {expected: 1}


def test_family_variant_stands_in_the_note() -> None:
    assert codes(cubin(100, "f")) == {DeviceCode("cubin", 100, "f", 8): 1}


def test_cubins_in_a_pack_and_not_twice_inside_a_fatbin() -> None:
    pack = b"MYPACK00" + cubin(90, "a").ljust(512, b"\0") + cubin(80, layout=12)
    assert codes(pack) == {DeviceCode("cubin", 90, "a", 8): 1, DeviceCode("cubin", 80, "", 7): 1}
    assert codes(b"\0" * 8 + fatbin(fatbin_entry(2, 90, payload=cubin(90)))) == {DeviceCode("cubin", 90, "", 7): 1}


@pytest.mark.parametrize(
    "image",
    [
        fatbin(fatbin_entry(2, 80))[:-1],
        fatbin(fatbin_entry(2, 80)[:4] + b"\xff\xff\xff\x7f" + fatbin_entry(2, 80)[8:]),
        fatbin(fatbin_entry(2, 80)[:4] + b"\0\0\0\0" + fatbin_entry(2, 80)[8:]),
    ],
)
def test_lying_fatbins_are_errors(image: bytes) -> None:
    with pytest.raises(FormatError):
        codes(image)


@pytest.mark.parametrize(
    ("code", "arch", "expected"),
    [
        (DeviceCode("cubin", 80), 80, Support.NATIVE),
        (DeviceCode("cubin", 80), 89, Support.NATIVE),
        (DeviceCode("cubin", 86), 80, Support.NONE),
        (DeviceCode("cubin", 80), 90, Support.NONE),
        (DeviceCode("cubin", 87), 87, Support.NATIVE),
        (DeviceCode("cubin", 86), 87, Support.NONE),
        (DeviceCode("cubin", 87), 89, Support.NONE),
        (DeviceCode("ptx", 80), 87, Support.JIT),
        (DeviceCode("cubin", 90, "a"), 90, Support.NATIVE),
        (DeviceCode("cubin", 100, "a"), 103, Support.NONE),
        (DeviceCode("cubin", 100, "f"), 103, Support.NATIVE),
        (DeviceCode("cubin", 100, "f"), 120, Support.NONE),
        (DeviceCode("cubin", 120, "f"), 121, Support.NATIVE),
        (DeviceCode("ptx", 80), 120, Support.JIT),
        (DeviceCode("ptx", 90), 80, Support.NONE),
        (DeviceCode("ptx", 90, "a"), 100, Support.NONE),
    ],
)
def test_what_runs_where(code: DeviceCode, arch: int, expected: Support) -> None:
    assert support([code], arch) is expected


@pytest.mark.parametrize(
    ("code", "driver"),
    [
        (DeviceCode("cubin", 90, "", 7), 525),
        (DeviceCode("cubin", 90, "", 8), 580),
        (DeviceCode("cubin", 100, "", 8), 570),
        (DeviceCode("ptx", 80, "", 0, (8, 7)), 570),
        (DeviceCode("ptx", 80, "", 0, (9, 0)), 580),
    ],
)
def test_driver_floor(code: DeviceCode, driver: int) -> None:
    assert driver_floor(code) == driver


@pytest.mark.parametrize(
    ("name", "arch"),
    [("h100", 90), ("H200", 90), ("RTX 4090", 89), ("NVIDIA A100", 80), ("sm_100", 100), ("9.0a", 90), ("12.0", 120)],
)
def test_names_of_gpus(name: str, arch: int) -> None:
    assert gpu(name).arch == arch


def test_unknown_gpu_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown GPU"):
        gpu("voodoo2")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="compares with the real compiler where there is one")
@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_100f"])
def test_cubins_of_the_installed_nvcc(arch: str, tmp_path: Path) -> None:
    (tmp_path / "k.cu").write_text("__global__ void k(int *p) { *p = 1; }")
    subprocess.run(["nvcc", f"-arch={arch}", "-cubin", "k.cu", "-o", "k.cubin"], cwd=tmp_path, check=True)
    (code,) = codes((tmp_path / "k.cubin").read_bytes())
    assert code.name == arch
    assert read_elf(Blob.of_bytes((tmp_path / "k.cubin").read_bytes())).machine == EM_CUDA
