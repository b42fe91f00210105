"""The kernels of the wheel: whole, all of the catalogue, none spilled, known to the launcher as to the manifest."""

import hashlib
import io
import json
import struct
import zlib
from typing import Any

from built_wheel import Wheel
from elftools.elf.elffile import ELFFile

from barrow import launcher
from barrow_build.aot.table import GEMM_NUMBERS
from barrow_build.config import ARCHS, GemmSpec, catalogue

# The ELF of CUDA 12's cubins, which drivers from 525 on can load; CUDA 13's is 0x41 and needs 580.
OSABI_CUDA_12 = 0x33


def _elf(image: bytes) -> ELFFile:
    return ELFFile(io.BytesIO(image))


def test_header_of_the_pack(wheel: Wheel) -> None:
    pack = wheel.launcher("kernels.pack")
    assert (pack[:8], *struct.unpack("<II", pack[8:16])) == (b"BARROWPK", 1, len(wheel.kernels))


def test_cubins_are_whole_and_do_not_overlap(wheel: Wheel) -> None:
    end = 16
    for row in sorted(wheel.kernels, key=lambda row: row["offset"]):
        assert row["offset"] % 64 == 0
        assert row["offset"] >= end
        end = row["offset"] + row["size"]
        image = wheel.cubin(row)
        assert hashlib.sha256(image).hexdigest() == row["sha256"], row["name"]
        assert zlib.crc32(image) == row["crc32"], row["name"]
    assert end == len(wheel.launcher("kernels.pack"))


def test_all_kernels_of_the_catalogue_are_there(wheel: Wheel) -> None:
    specs = {spec.name: spec for arch in ARCHS for spec in catalogue(arch)}
    rows = {row["name"]: row for row in wheel.kernels}
    assert set(rows) == set(specs)
    for name, spec in specs.items():
        if isinstance(spec, GemmSpec):
            for field in ("out", *GEMM_NUMBERS):
                assert rows[name][field] == getattr(spec, field), (name, field)


def test_toolchain_is_the_pinned_one(wheel: Wheel) -> None:
    assert json.loads(wheel.launcher("manifest.json"))["toolchain"] == "nvrtc 12.9.86"


def test_no_kernel_spills(wheel: Wheel) -> None:
    assert {row["name"]: row["spill_bytes"] for row in wheel.kernels if row["spill_bytes"] != 0} == {}


def test_registers_fit_the_block(wheel: Wheel) -> None:
    for row in wheel.kernels:
        assert 0 < row["registers"] <= 255
        if "threads" in row:
            assert row["registers"] * row["threads"] <= 65536, row["name"]


def test_cubins_are_machine_code_for_their_architecture(wheel: Wheel) -> None:
    for row in wheel.kernels:
        elf = _elf(wheel.cubin(row))
        assert elf["e_machine"] == "EM_CUDA", row["name"]
        assert elf["e_ident"]["EI_OSABI"] == OSABI_CUDA_12, row["name"]
        digits, variant = row["arch"].rstrip("af"), row["arch"].endswith("a")
        assert elf["e_flags"] & 0xFF == int(digits), row["name"]
        assert bool(elf["e_flags"] & 0x800) is variant, row["name"]


def test_a_cubin_has_the_kernel_that_the_manifest_names(wheel: Wheel) -> None:
    for row in wheel.kernels:
        sections = {section.name for section in _elf(wheel.cubin(row)).iter_sections()}
        assert {name for name in sections if name.startswith(".text.")} == {f".text.{row['name']}"}


def test_a_cubin_tells_no_folder(wheel: Wheel) -> None:
    assert [row["name"] for row in wheel.kernels if b"/kernels" in wheel.cubin(row)] == []


def _launcher_rows() -> dict[str, dict[str, Any]]:
    return {row["name"]: dict(row) for row in launcher.kernels()}


def test_the_launcher_knows_every_kernel_as_the_manifest_does(wheel: Wheel) -> None:
    known = _launcher_rows()
    assert set(known) == {row["name"] for row in wheel.kernels}
    for row in wheel.kernels:
        shared = set(row) & set(known[row["name"]]) - {"arch"}
        assert {field: known[row["name"]][field] for field in shared} == {field: row[field] for field in shared}
        if "block_m" in row:
            # The launcher tells it as another kind.
            assert shared >= {"out", *GEMM_NUMBERS} - {"grouped"}
            assert known[row["name"]]["kind"] == ("grouped_gemm" if row["grouped"] else "gemm")


def test_the_launcher_finds_the_pack_whole() -> None:
    launcher.verify_pack(launcher.pack_path())
