"""The pack of cubins, its manifest, the table for the launcher, and binaries taken from a wheel."""

import hashlib
import json
import re
import struct
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path

import pytest

from barrow_build.aot.environment import BuildError
from barrow_build.aot.kernel import Cubin, Kernel
from barrow_build.aot.pack import manifest, pack
from barrow_build.aot.precompiled import unpack
from barrow_build.aot.table import GEMM_NUMBERS, table
from barrow_build.config import AuxSpec, CostModel, GemmSpec
from barrow_build.config.tuning import M_EDGES

GEMM = GemmSpec(
    128, 64, 4, cluster_k=2, warpgroups=2, out="f32", cost=CostModel(2.5, 1e-05, 0.25, 0.5, 1.0, 0.125, 0.0, 0.75)
)
AUX = AuxSpec("pad_rows", "pad_rows.cu", (("WIDTH", "16"),))
KERNELS = (
    Kernel(GEMM, Cubin(b"gemm" * 33, registers=168, spill_bytes=0, static_smem_bytes=48)),
    Kernel(AUX, Cubin(b"aux", registers=20, spill_bytes=0, static_smem_bytes=0)),
)


def test_pack_format() -> None:
    content, placed = pack(KERNELS)
    assert content[:8] == b"BARROWPK"
    assert struct.unpack("<II", content[8:16]) == (1, 2)
    assert [packed.offset for packed in placed] == [64, 256]
    assert [content[p.offset : p.offset + p.size] for p in placed] == [k.cubin.image for k in KERNELS]
    assert len(content) == 256 + 3


def test_manifest_tells_all_about_a_kernel() -> None:
    content, placed = pack(KERNELS)
    told = json.loads(manifest(placed, "nvrtc 1.2.3"))
    assert (told["format"], told["toolchain"]) == (1, "nvrtc 1.2.3")
    gemm, aux = told["kernels"]
    image = b"gemm" * 33
    assert gemm == {
        "name": GEMM.name,
        "arch": "90a",
        "source": GEMM.source,
        "out": "f32",
        "block_m": 128,
        "block_n": 64,
        "stages": 4,
        "cluster_k": 2,
        "cluster_n": 1,
        "warpgroups": 2,
        "swapped": False,
        "row_scales_b": False,
        "grouped": False,
        "k_groups": False,
        "blocks_ahead": 4,
        "alternates": False,
        "part_rows": 128,
        "threads": 384,
        "smem_bytes": GEMM.smem_bytes,
        "ctas_per_sm": 1,
        "store_rows": 64,
        "store_columns": 0,
        "registers": 168,
        "spill_bytes": 0,
        "static_smem_bytes": 48,
        "offset": 64,
        "size": len(image),
        "sha256": hashlib.sha256(image).hexdigest(),
        "crc32": zlib.crc32(image),
    }
    assert (aux["name"], aux["symbol"], aux["registers"]) == ("pad_rows_sm90a", "pad_rows", 20)
    assert hashlib.sha256(content[aux["offset"] :]).hexdigest() == aux["sha256"]


def test_manifest_is_sorted_by_name() -> None:
    names = [row["name"] for row in json.loads(manifest(pack(KERNELS[::-1])[1], "t"))["kernels"]]
    assert names == sorted(names)


def test_table_has_the_members_of_the_header() -> None:
    header = (Path(__file__).parents[2] / "launcher/catalogue.h").read_text()

    def members(struct: str) -> list[str]:
        (body,) = re.findall(rf"struct {struct} \{{(.*?)\}};", header, re.DOTALL)
        return re.findall(r"^\s*[\w ]+\*? (\w+);", body, re.MULTILINE)

    assert members("GemmKernel") == ["name", "arch", "out", *GEMM_NUMBERS, "cost", "image"]
    assert members("AuxKernel") == ["name", "symbol", "image"]
    assert members("CostModel") == [field.name for field in fields(CostModel)]
    assert members("TunedGpu") == ["name", "num_sms", "memory_gb_s", "first", "count"]
    assert members("TunedChoice") == ["out", "groups", "n", "k", "m", "kernel"]
    assert members("Image") == ["offset", "size", "crc32"]


def test_table_of_one_gemm_and_one_other_kernel() -> None:
    content, placed = pack(KERNELS)
    text = table(placed, len(content), ())
    crc = zlib.crc32(KERNELS[0].cubin.image)
    assert (
        f'{{"{GEMM.name}", 90, Dtype::f32, 128, 64, 4, 0, 0, 0, 2, 1, 4, 0, 128, 2, 384, {GEMM.smem_bytes}, 1, 64, 0, '
        f"{{2.5f, 1e-05f, 0.25f, 0.5f, 1.0f, 0.125f, 0.0f, 0.75f}}, {{64, 132, {crc}u}}}},"
    ) in text
    assert f'{{"pad_rows_sm90a", "pad_rows", {{256, 3, {zlib.crc32(b"aux")}u}}}},' in text
    assert re.findall(r"k(\w+)Count = (\d+)", text) == [
        ("GemmKernel", "1"),
        ("AuxKernel", "1"),
        ("TunedM", str(len(M_EDGES))),
        ("TunedGpu", "0"),
        ("TunedChoice", "0"),
    ]
    assert f"kPackSize = {len(content)};" in text


def test_a_flag_is_a_number_in_the_table() -> None:
    spec = GemmSpec(64, 64, 4, row_scales_b=True)
    content, placed = pack([Kernel(spec, Cubin(b"gemm", registers=1, spill_bytes=0, static_smem_bytes=0))])
    assert f'{{"{spec.name}", 90, Dtype::bf16, 64, 64, 4, 1, 0, 0, 1, 1, 4, 0, 64, 1, 192, ' in table(
        placed, len(content), ()
    )


def test_without_kernels() -> None:
    content, placed = pack(())
    assert content == b""
    assert json.loads(manifest(placed, None)) == {"format": 1, "toolchain": None, "kernels": []}
    text = table(placed, 0, ())
    assert re.findall(r"Count = (\d+)", text) == ["0", "0", str(len(M_EDGES)), "0", "0"]
    assert "kPackSize = 0;" in text
    assert re.findall(r"\[\] = \{\s*\}", text) == [], "C++ has no empty arrays"


def _wheel(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def _metadata(name: str, version: str) -> dict[str, str]:
    return {"barrow.dist-info/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\nText\n"}


BINARIES = {f"barrow/launcher/{name}": name for name in ("_C.abi3.so", "manifest.json", "kernels.pack")}


def test_precompiled_takes_the_binaries_alone(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path, {**_metadata("barrow", "0.1.0"), **BINARIES, "barrow/__init__.py": ""})
    assert unpack(wheel, "0.1.0", tmp_path / "out") == ("_C.abi3.so", "manifest.json", "kernels.pack")
    found = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert found == {name: name for name in ("_C.abi3.so", "manifest.json", "kernels.pack")}


def test_precompiled_without_kernels_has_no_pack(tmp_path: Path) -> None:
    files = {**_metadata("barrow", "0.1.0"), **BINARIES}
    del files["barrow/launcher/kernels.pack"]
    assert unpack(_wheel(tmp_path, files), "0.1.0", tmp_path / "out") == ("_C.abi3.so", "manifest.json")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({**_metadata("barrow", "0.0.9"), **BINARIES}, "is barrow 0.0.9; it must be barrow 0.1.0"),
        ({**_metadata("torch", "0.1.0"), **BINARIES}, "is torch 0.1.0; it must be barrow 0.1.0"),
        (BINARIES, "it must be barrow 0.1.0"),
        (_metadata("barrow", "0.1.0"), "has no _C.abi3.so and no manifest.json in barrow/launcher"),
    ],
    ids=["version", "project", "no metadata", "no binaries"],
)
def test_precompiled_from_a_wrong_wheel(tmp_path: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(BuildError, match=f"BARROW_USE_PRECOMPILED: some.whl .*{re.escape(told)}"):
        unpack(_wheel(tmp_path, files), "0.1.0", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_precompiled_from_a_damaged_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "some.whl"
    wheel.write_bytes(b"PK no")
    with pytest.raises(BuildError, match=r"BARROW_USE_PRECOMPILED: some\.whl is damaged"):
        unpack(wheel, "0.1.0", tmp_path / "out")
