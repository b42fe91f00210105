"""Reads a wheel for the tests."""

import calendar
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Wheel:
    """A wheel file, what lies in it by path, and the time stamp of that in seconds since 1970."""

    path: Path
    files: dict[str, bytes]
    epoch: int

    def launcher(self, name: str) -> bytes:
        """A file of barrow/launcher."""
        return self.files[f"barrow/launcher/{name}"]

    @property
    def kernels(self) -> list[dict[str, Any]]:
        """Rows of the manifest."""
        rows: list[dict[str, Any]] = json.loads(self.launcher("manifest.json"))["kernels"]
        return rows

    def cubin(self, row: dict[str, Any]) -> bytes:
        """The bytes of one kernel in the pack."""
        return self.launcher("kernels.pack")[row["offset"] : row["offset"] + row["size"]]


def read_wheel(path: Path) -> Wheel:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
        epoch = calendar.timegm((*archive.infolist()[0].date_time, 0, 0, 0))
    return Wheel(path, files, epoch)
