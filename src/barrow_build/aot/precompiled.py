"""Takes the binaries out of a wheel of barrow that was built before."""

import zipfile
from email.parser import Parser
from pathlib import Path

from barrow_build.aot.environment import BuildError

FOLDER = "barrow/launcher"
EXTENSION = "_C.abi3.so"
MANIFEST = "manifest.json"
PACK = "kernels.pack"


def unpack(wheel: Path, version: str, folder: Path) -> tuple[str, ...]:
    """Write the binaries of `wheel` into `folder` and return their names. A wheel without kernels has no pack.

    Raises BuildError when the file is not a wheel of barrow, or of another version than `version`.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            metadata = next((name for name in names if name.endswith(".dist-info/METADATA")), None)
            fields = Parser().parsestr(archive.read(metadata).decode() if metadata else "")
            found = f"{fields['Name']} {fields['Version']}"
            if found != f"barrow {version}":
                raise BuildError(f"BARROW_USE_PRECOMPILED: {wheel.name} is {found}; it must be barrow {version}")
            if missing := [name for name in (EXTENSION, MANIFEST) if f"{FOLDER}/{name}" not in names]:
                raise BuildError(f"BARROW_USE_PRECOMPILED: {wheel.name} has no {' and no '.join(missing)} in {FOLDER}")
            taken = tuple(name for name in (EXTENSION, MANIFEST, PACK) if f"{FOLDER}/{name}" in names)
            folder.mkdir(parents=True, exist_ok=True)
            for name in taken:
                (folder / name).write_bytes(archive.read(f"{FOLDER}/{name}"))
    except zipfile.BadZipFile as error:
        raise BuildError(f"BARROW_USE_PRECOMPILED: {wheel.name} is damaged: {error}") from error
    return taken
