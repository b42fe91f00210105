"""Finds the torch whose headers the extension is compiled with, without importing it (which takes seconds)."""

from importlib import metadata, util
from pathlib import Path

from barrow_build.aot.environment import BuildError

MINIMUM = (2, 10)


def torch_folder() -> Path:
    """The folder of the installed torch package. Raises BuildError when there is none, or one that is too old."""
    spec = util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise BuildError("torch is not installed here, and its headers are needed; install any torch from 2.10 on")
    version = metadata.version("torch")
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM:
        raise BuildError(f"torch is {version}; the stable interface that barrow uses is in torch from 2.10 on")
    return Path(spec.submodule_search_locations[0])
