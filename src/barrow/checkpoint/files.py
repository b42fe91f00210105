"""The tensors of a folder of safetensors: found and described by their headers, read one by one."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from barrow.checkpoint.errors import CheckpointError

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as the header of its file describes it; `dtype` is safetensors' name, such as F8_E4M3."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    file: str


def _safetensors() -> ModuleType:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError("barrow.checkpoint needs safetensors; pip install barrow[checkpoint]") from error
    return safetensors


def _listed(folder: Path) -> dict[str, str] | None:
    """File by tensor as the index says; None without an index."""
    index = folder / INDEX
    if not index.exists():
        return None
    try:
        weights = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise CheckpointError(f"barrow.checkpoint: {index} cannot be read: {error!r}") from error
    if not isinstance(weights, dict) or not all(isinstance(file, str) for file in weights.values()):
        raise CheckpointError(f"barrow.checkpoint: {index}: weight_map does not name a file for every tensor")
    return weights


class Checkpoint:
    """A folder of safetensors. Opening it reads the headers of all its files and nothing else.

    Attributes:
        folder: where it lies.
        tensors: every tensor by name.

    Raises:
        CheckpointError: if there is no such folder, there are no files, one is missing or damaged, or the index and the
            files disagree.
        ImportError: if safetensors is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder = Path(folder)
        if folder.is_file():
            raise CheckpointError(f"barrow.checkpoint: {folder} is a file; pass the folder that it lies in")
        if not folder.is_dir():
            raise CheckpointError(
                f"barrow.checkpoint: there is no folder {folder}; pass a local one, such as "
                "`hf download NAME --local-dir FOLDER` makes of a model on the Hugging Face hub"
            )
        self._open: dict[tuple[str, str], Any] = {}
        listed = _listed(folder)
        names = sorted(set(listed.values())) if listed else sorted(path.name for path in folder.glob("*.safetensors"))
        if not names:
            raise CheckpointError(f"barrow.checkpoint: {folder} holds no safetensors")
        self.tensors: dict[str, TensorInfo] = {}
        for name in names:
            file = self._file(name, "cpu")
            for tensor in file.keys():  # noqa: SIM118  (not a dictionary)
                if listed and listed.get(tensor) != name:
                    continue
                if tensor in self.tensors:
                    raise CheckpointError(
                        f"barrow.checkpoint: {tensor} is in {name} and in {self.tensors[tensor].file}"
                    )
                piece = file.get_slice(tensor)
                self.tensors[tensor] = TensorInfo(tensor, tuple(piece.get_shape()), piece.get_dtype(), name)
        if missing := sorted(set(listed or ()) - set(self.tensors)):
            raise CheckpointError(f"barrow.checkpoint: {folder / INDEX} lists {missing[0]}, which its file lacks")

    def _file(self, name: str, device: str) -> Any:
        key = (name, device)
        if key not in self._open:
            safetensors = _safetensors()
            path = self.folder / name
            try:
                self._open[key] = safetensors.safe_open(path, framework="pt", device=device)
            except (OSError, safetensors.SafetensorError) as error:
                raise CheckpointError(f"barrow.checkpoint: {path} cannot be opened: {error}") from error
        return self._open[key]

    def read(self, name: str, device: torch.device) -> Tensor:
        """Read one tensor onto a device, in the dtype it is kept in."""
        tensor: Tensor = self._file(self.tensors[name].file, str(device)).get_tensor(name)
        return tensor
