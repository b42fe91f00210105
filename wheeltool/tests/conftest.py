"""Fixtures: small shared objects that gcc makes on the spot, hand-made fatbins, and wheels around them."""

from __future__ import annotations

import base64
import hashlib
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

GCC = shutil.which("gcc") or "gcc"


@dataclass(frozen=True)
class CSource:
    """A shared object in terms of its symbols. `calls` are undefined functions that it uses, `weak` may be absent."""

    exports: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    text: str = ""
    flags: tuple[str, ...] = ()

    def c(self) -> str:
        lines = [self.text]
        lines += [f'extern void import_{i}(void) __asm__("{name}");' for i, name in enumerate(self.calls)]
        lines += [f'extern void weak_{i}(void) __asm__("{n}") __attribute__((weak));' for i, n in enumerate(self.weak)]
        body = "".join(f"import_{i}();" for i in range(len(self.calls)))
        body += "".join(f"if (weak_{i}) weak_{i}();" for i in range(len(self.weak)))
        lines.append(f"void used_by_nobody(void) {{ {body} }}")
        lines += [f"void *{name}(void) {{ return 0; }}" for name in self.exports]
        return "\n".join(lines)


@pytest.fixture(scope="session")
def compile_so(tmp_path_factory: pytest.TempPathFactory) -> Callable[[CSource], bytes]:
    """Compiles a CSource to the bytes of a shared object; the same source is compiled once."""
    folder = tmp_path_factory.mktemp("so")
    made: dict[CSource, bytes] = {}

    def compile_one(source: CSource) -> bytes:
        if source not in made:
            c_file = folder / f"{len(made)}.c"
            out = folder / f"{len(made)}.so"
            c_file.write_text(source.c())
            subprocess.run(
                [
                    GCC,
                    "-shared",
                    "-fPIC",
                    "-O0",
                    "-nostdlib",
                    "-Wl,--allow-shlib-undefined",
                    str(c_file),
                    "-o",
                    str(out),
                    *list(source.flags),
                ],
                check=True,
            )
            made[source] = out.read_bytes()
        return made[source]

    return compile_one


@pytest.fixture(scope="session")
def link_stub(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, ...]]:
    """Flags that make a shared object NEED a library of the given soname."""
    folder = tmp_path_factory.mktemp("stubs")

    def stub(soname: str) -> tuple[str, ...]:
        path = folder / soname
        if not path.exists():
            empty = folder / "empty.c"
            empty.write_text("")
            subprocess.run(
                [GCC, "-shared", f"-Wl,-soname,{soname}", str(empty), "-nostdlib", "-o", str(path)], check=True
            )
        return ("-Wl,--no-as-needed", str(path))

    return stub


def fatbin_entry(
    kind: int, arch: int, flags: int = 0x11, low: int = 7, high: int = 1, payload: bytes = b"\0" * 16
) -> bytes:
    """One entry of a fatbin: kind 1 PTX (low, high: minor and major PTX version), 2 cubin (low: ELF ABI version)."""
    header = struct.pack("<HHIQ", kind, 0x101, 64, len(payload))
    header += struct.pack("<QHHI", 0, low, high, arch) + struct.pack("<QQ", 0, flags)
    return header.ljust(64, b"\0") + payload


def fatbin(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def cubin(arch: int, variant: str = "", layout: int = 13) -> bytes:
    """A bare cubin with nothing in it but its header (and, for CUDA 13's layout, the note that carries the variant)."""
    if layout == 12:
        ident = b"\x7fELF\x02\x01\x01\x33\x07" + b"\0" * 7
        flags = arch | (0x800 if variant == "a" else 0)
        return ident + struct.pack("<HHIQQQIHHHHHH", 2, 190, 1, 0, 0, 0, flags, 64, 56, 0, 64, 0, 0)
    ident = b"\x7fELF\x02\x01\x01\x41\x08" + b"\0" * 7
    names = b"\0.shstrtab\0.note.nv.tkinfo\0"
    note = f"ptxas\0 -arch sm_{arch}{variant} -O3\0".encode()
    names_at = 64
    note_at = names_at + len(names)
    sections_at = note_at + len(note)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 190, 1, 0, 0, sections_at, arch << 8, 64, 56, 0, 64, 3, 1)
    sections = b"\0" * 64
    sections += struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 11, 7, 0, 0, note_at, len(note), 0, 0, 1, 0)
    return ident + header + names + note + sections


def cuda_source(tmp_path: Path, image: bytes, base: CSource | None = None) -> CSource:
    """A shared object with `image` in .nv_fatbin, as nvcc lays it out."""
    base = base or CSource()
    path = tmp_path / f"{hashlib.sha256(image).hexdigest()[:12]}.fatbin"
    path.write_bytes(image)
    text = f'__asm__(".section .nv_fatbin,\\"a\\"\\n.balign 8\\n.incbin \\"{path}\\"\\n.text");'
    return CSource(base.exports, base.calls, base.weak, base.text + text, base.flags)


@dataclass
class WheelSpec:
    """A wheel to be written. Everything that a check looks at can be made wrong on purpose."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    tag: str = "cp310-abi3-manylinux_2_28_x86_64"
    name: str = "demo"
    version: str = "1.0"
    requires_python: str | None = ">=3.10,<3.15"
    requires_dist: Sequence[str] = ()
    classifiers: Sequence[str] = ()
    wheel_tags: Sequence[str] | None = None
    metadata_version_line: str | None = None
    metadata: bytes | None = None
    record_edit: Callable[[str], str] | None = None
    extra_members: Sequence[tuple[zipfile.ZipInfo, bytes]] = ()
    file_name: str | None = None

    def write(self, folder: Path) -> Path:
        dist_info = f"{self.name}-{self.version}.dist-info"
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {self.name}",
            self.metadata_version_line or f"Version: {self.version}",
        ]
        lines += [f"Requires-Python: {self.requires_python}"] if self.requires_python else []
        lines += [f"Requires-Dist: {requirement}" for requirement in self.requires_dist]
        lines += [f"Classifier: {classifier}" for classifier in self.classifiers]
        tags = self.wheel_tags if self.wheel_tags is not None else expand(self.tag)
        contents = dict(self.files)
        contents[f"{dist_info}/METADATA"] = self.metadata or ("\n".join(lines) + "\n\nA demo.\n").encode()
        contents[f"{dist_info}/WHEEL"] = "\n".join(
            ["Wheel-Version: 1.0", "Generator: test", "Root-Is-Purelib: false", *(f"Tag: {tag}" for tag in tags), ""]
        ).encode()
        rows = [f"{path},{record_hash(data)},{len(data)}" for path, data in contents.items()]
        record = "\n".join([*rows, f"{dist_info}/RECORD,,", ""])
        contents[f"{dist_info}/RECORD"] = (self.record_edit(record) if self.record_edit else record).encode()
        path = folder / (self.file_name or f"{self.name}-{self.version}-{self.tag}.whl")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in contents.items():
                archive.writestr(member, data)
            for info, data in self.extra_members:
                archive.writestr(info, data)
        return path


def record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def expand(tag: str) -> list[str]:
    interpreters, abis, platforms = tag.split("-")
    return [f"{i}-{a}-{p}" for i in interpreters.split(".") for a in abis.split(".") for p in platforms.split(".")]
