"""A missing, truncated or damaged pack is an error that says so; nothing of it reaches the driver."""

import struct
from pathlib import Path

import pytest

from barrow.launcher import kernels, pack_path, verify_pack

PACK = Path(pack_path()).read_bytes()
# Cubins start at multiples of 64 after the header of 16 bytes.
FIRST_IMAGE = 64


def replaced(offset: int, data: bytes) -> bytes:
    return PACK[:offset] + data + PACK[offset + len(data) :]


def test_the_pack_of_this_build_is_whole() -> None:
    verify_pack(pack_path())


def test_any_path_object_serves() -> None:
    verify_pack(Path(pack_path()))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"", "has 0 bytes but .* truncated", id="empty"),
        pytest.param(PACK[:8], "has 8 bytes but .* truncated", id="half a header"),
        pytest.param(PACK[:-1], f"has {len(PACK) - 1} bytes but {len(PACK)} were built.* truncated", id="a byte short"),
        pytest.param(PACK + b"\0", f"has {len(PACK) + 1} bytes .* not of this build", id="a byte long"),
        pytest.param(replaced(0, b"NOTAPACK"), "does not start with BARROWPK", id="magic"),
        pytest.param(replaced(8, struct.pack("<I", 2)), "has format 2 but this build reads 1", id="version"),
        pytest.param(
            replaced(12, struct.pack("<I", 3)), f"holds 3 kernels but this build has {len(kernels())}", id="count"
        ),
        pytest.param(
            replaced(FIRST_IMAGE, bytes([PACK[FIRST_IMAGE] ^ 1])), "is damaged: kernel .* has CRC-32", id="first cubin"
        ),
        pytest.param(
            replaced(len(PACK) - 1, bytes([PACK[-1] ^ 128])), "is damaged: kernel .* has CRC-32", id="last cubin"
        ),
        pytest.param(PACK[:FIRST_IMAGE] + bytes(len(PACK) - FIRST_IMAGE), "is damaged", id="zeros"),
    ],
)
def test_a_bad_pack_is_refused(data: bytes, complaint: str, tmp_path: Path) -> None:
    bad = tmp_path / "kernels.pack"
    bad.write_bytes(data)
    with pytest.raises(RuntimeError, match=complaint) as error:
        verify_pack(bad)
    assert str(bad) in str(error.value)
    assert str(error.value).endswith("reinstall barrow")


def test_a_missing_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"cannot open the kernels in .*absent: No such file or directory"):
        verify_pack(tmp_path / "absent")


def test_a_folder_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=str(tmp_path)):
        verify_pack(tmp_path)


def test_every_bit_of_a_cubin_counts(tmp_path: Path) -> None:
    bad = tmp_path / "kernels.pack"
    size = kernels()[0]["size"]
    for offset in range(FIRST_IMAGE, FIRST_IMAGE + min(size, 2048), 97):
        bad.write_bytes(replaced(offset, bytes([PACK[offset] ^ (1 << offset % 8)])))
        with pytest.raises(RuntimeError, match="is damaged"):
            verify_pack(bad)
