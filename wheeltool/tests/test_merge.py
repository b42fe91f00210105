"""Merging: what is refused and why, and what comes out."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CSource, WheelSpec, record_hash

from barrow_wheel.check import check, read_archive
from barrow_wheel.cli.main import main
from barrow_wheel.errors import MergeError
from barrow_wheel.merge import merge, plan_merge

PRIVATE = CSource(exports=("PyInit__C",), calls=("_PyObject_GetDictPtr",))


def spec(minor: int, library: bytes, **changes: object) -> WheelSpec:
    files = {f"demo/_C.cpython-3{minor}-x86_64-linux-gnu.so": library, "demo/__init__.py": b"VERSION = 1\n"}
    fields = {"tag": f"cp3{minor}-cp3{minor}-manylinux_2_28_x86_64", "requires_python": ">=3.10", **changes}
    return WheelSpec({**files, **fields.pop("files", {})}, **fields)  # type: ignore[arg-type, dict-item]


@pytest.fixture
def library(compile_so: Callable[[CSource], bytes]) -> bytes:
    return compile_so(PRIVATE)


def test_three_into_one(library: bytes, tmp_path: Path) -> None:
    paths = [spec(minor, library).write(tmp_path) for minor in (10, 11, 12)]
    merged = merge(paths, tmp_path / "out")
    assert merged.name == "demo-1.0-cp310.cp311.cp312-cp310.cp311.cp312-manylinux_2_28_x86_64.whl"
    wheel = read_archive(merged)
    assert str(wheel.metadata.requires_python) == "<3.13,>=3.10"
    assert len([p for p in wheel.paths if p.endswith(".so")]) == 3
    assert check([str(merged)]).findings == ()
    assert [str(p) for p in check([str(merged)]).wheels[0].matrix.pythons] == ["3.10", "3.11", "3.12"]


def test_the_same_inputs_give_the_same_bytes(library: bytes, tmp_path: Path) -> None:
    paths = [spec(minor, library).write(tmp_path) for minor in (10, 11)]
    first = merge(paths, tmp_path / "a").read_bytes()
    assert merge(paths, tmp_path / "b").read_bytes() == first


def test_record_is_regenerated_and_modes_are_kept(library: bytes, tmp_path: Path) -> None:
    script = zipfile.ZipInfo("demo-1.0.data/scripts/run", (2024, 5, 4, 3, 2, 0))
    script.external_attr = 0o100755 << 16
    listed = f"demo-1.0.data/scripts/run,{record_hash(b'#!python')},8\n"
    changes = {"extra_members": [(script, b"#!python")], "record_edit": lambda record: listed + record}
    merged = merge([spec(minor, library, **changes).write(tmp_path) for minor in (10, 11)], tmp_path / "out")
    with zipfile.ZipFile(merged) as archive:
        info = archive.getinfo("demo-1.0.data/scripts/run")
        assert info.external_attr >> 16 == 0o100755 and info.date_time == script.date_time
        assert archive.namelist()[-1] == "demo-1.0.dist-info/RECORD"
        assert len(archive.read("demo-1.0.dist-info/RECORD").decode().splitlines()) == len(archive.namelist())


BODY = b"\n# Demo\n\nRequires-Python: >=3.8\n is a line of METADATA.\r\n\xff"


@pytest.mark.parametrize(
    "header",
    [
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        b"Metadata-Version: 2.1\nName: demo\nversion: 1.0\n",
        b"metadata-version: 2.1\nname: demo\nversion: 1.0\nREQUIRES-PYTHON: >=3.10\n",
        b"Metadata-Version: 2.1\r\nName: demo\r\nRequires-Python: >=3.10,\r\n\t<4\r\nVersion: 1.0\r\n",
        b"Metadata-Version: 2.1\nRequires-Python: >=3.10,\n <4\nName: demo\nVersion: 1.0\nSummary: a\n demo\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nno field, and so the first line of the body\n",
    ],
    ids=["without", "lower case", "upper case", "folded and CRLF", "folded", "no empty line"],
)
@pytest.mark.parametrize("body", [BODY, b""], ids=["body", "no body"])
def test_requires_python_is_a_field_of_the_header(header: bytes, body: bytes, library: bytes, tmp_path: Path) -> None:
    metadata = header + body if body else header.rstrip()
    paths = [spec(minor, library, metadata=metadata).write(tmp_path) for minor in (10, 11)]
    wheel = read_archive(merged := merge(paths, tmp_path / "out"))
    assert (wheel.metadata.version, wheel.metadata.invalid) == ("1.0", ())
    clauses = str(wheel.metadata.requires_python).split(",")
    assert set(clauses) == {">=3.10", "<3.12"}
    with zipfile.ZipFile(merged) as archive:
        written = archive.read("demo-1.0.dist-info/METADATA")
    assert written.endswith(body) and written.lower().startswith(b"metadata-version:")


def test_the_build_number_is_kept(library: bytes, tmp_path: Path) -> None:
    tag = "1local-cp3{0}-cp3{0}-manylinux_2_28_x86_64"
    paths = [spec(minor, library, file_name=f"demo-1.0-{tag.format(minor)}.whl").write(tmp_path) for minor in (10, 11)]
    merged = merge(paths, tmp_path / "out")
    assert merged.name.startswith("demo-1.0-1local-cp310.cp311-")
    with zipfile.ZipFile(merged) as archive:
        assert "Build: 1local" in archive.read("demo-1.0.dist-info/WHEEL").decode().splitlines()
    plain = merge([spec(minor, library).write(tmp_path) for minor in (10, 11)], tmp_path / "out")
    with zipfile.ZipFile(plain) as archive:
        assert b"Build" not in archive.read("demo-1.0.dist-info/WHEEL")


def test_a_gap_becomes_an_exclusion(library: bytes, tmp_path: Path) -> None:
    plan = plan_merge([spec(minor, library).write(tmp_path) for minor in (10, 12)])
    assert plan.requires_python == ">=3.10,!=3.11.*,<3.13"


@pytest.mark.parametrize(
    ("minors", "spec_text", "expected"),
    [
        ((9, 10, 11), None, ">=3.9,<3.12"),
        ((8, 9, 11), ">=3.5", ">=3.8,!=3.10.*,<3.12"),
        ((10, 11), ">=3.10.2,!=3.10.4,<4,<=3.13", ">=3.10.2,!=3.10.4,<3.12,<=3.13"),
    ],
)
def test_cpythons_past_their_end_are_not_locked_out(
    minors: tuple[int, ...], spec_text: str | None, expected: str, library: bytes, tmp_path: Path
) -> None:
    plan = plan_merge([spec(minor, library, requires_python=spec_text).write(tmp_path) for minor in minors])
    assert plan.requires_python == expected


def test_abi3_keeps_the_upper_end_open(library: bytes, compile_so: Callable[[CSource], bytes], tmp_path: Path) -> None:
    stable = compile_so(CSource(exports=("PyInit__C",), calls=("PyVectorcall_Call",)))
    abi3 = WheelSpec(
        {"demo/_C.abi3.so": stable, "demo/__init__.py": b"VERSION = 1\n"},
        tag="cp312-abi3-manylinux_2_28_x86_64",
        requires_python=">=3.10",
    )
    merged = merge(
        [spec(10, library).write(tmp_path), spec(11, library).write(tmp_path), abi3.write(tmp_path)], tmp_path / "out"
    )
    assert str(read_archive(merged).metadata.requires_python) == ">=3.10"
    assert check([str(merged)]).findings == ()


def test_every_conflict_is_listed(library: bytes, tmp_path: Path) -> None:
    first = spec(10, library, files={"demo/a.py": b"1", "demo/b.py": b"1"}).write(tmp_path)
    second = spec(11, library, files={"demo/a.py": b"2", "demo/b.py": b"2"}).write(tmp_path)
    with pytest.raises(MergeError) as refusal:
        merge([first, second], tmp_path / "out")
    assert "demo/a.py" in str(refusal.value) and "demo/b.py" in str(refusal.value)
    assert not (tmp_path / "out").exists()
    assert main(["merge", str(first), str(second), "-o", str(tmp_path / "out")]) == 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "2.0"}, "different releases"),
        ({"tag": "cp311-cp311-manylinux_2_28_aarch64"}, "different platforms"),
        ({"file_name": "demo-1.0-2-cp311-cp311-manylinux_2_28_x86_64.whl"}, "different builds .2; none."),
        ({"requires_dist": ["torch"]}, "METADATA differs"),
        (
            {"metadata": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\nRequires-Python: >=3.9\nA demo.\n"},
            "METADATA differs",
        ),
        ({"record_edit": lambda record: record.replace("sha256=", "sha256=A", 1)}, "RECORD"),
        ({"record_edit": lambda record: record.split("\n", 1)[1]}, "_C.*: 1 file.s. not in RECORD"),
        ({"record_edit": lambda record: f"demo/gone.py,,\n{record}"}, "demo/gone.py: .* but absent"),
    ],
)
def test_what_cannot_be_merged(changes: dict[str, object], words: str, library: bytes, tmp_path: Path) -> None:
    with pytest.raises(MergeError, match=words):
        plan_merge([spec(10, library).write(tmp_path), spec(11, library, **changes).write(tmp_path)])


def test_one_wheel_is_nothing_to_merge(library: bytes, tmp_path: Path) -> None:
    with pytest.raises(MergeError, match="at least two"):
        plan_merge([spec(10, library).write(tmp_path)])
