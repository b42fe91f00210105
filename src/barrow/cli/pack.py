"""The kernels of this installation as their manifest describes them, checked against the pack."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from barrow import launcher


@dataclass(frozen=True)
class Contents:
    """The manifest's rows; `error` says what is wrong with pack or manifest, None if nothing is."""

    path: str
    toolchain: str | None
    kernels: list[dict[str, Any]]
    error: str | None


def _damage(path: Path, kernels: list[dict[str, Any]]) -> str | None:
    """Compare pack and manifest, beyond what the launcher checks before it loads a kernel."""
    try:
        launcher.verify_pack(path)
    except RuntimeError as error:
        return str(error).removeprefix("barrow: ")
    if {kernel["name"] for kernel in kernels} != {kernel["name"] for kernel in launcher.kernels()}:
        return "manifest.json lists other kernels than the extension; reinstall barrow"
    data = path.read_bytes()
    for kernel in kernels:
        cubin = data[kernel["offset"] : kernel["offset"] + kernel["size"]]
        if hashlib.sha256(cubin).hexdigest() != kernel["sha256"]:
            return f"kernel {kernel['name']} does not have the SHA-256 of manifest.json; reinstall barrow"
    return None


def inspect() -> Contents:
    """Read the manifest beside the pack and check every kernel's bytes."""
    path = Path(launcher.pack_path())
    try:
        manifest = json.loads(path.with_name("manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Contents(str(path), None, [], f"manifest.json cannot be read ({error}); reinstall barrow")
    kernels = manifest["kernels"]
    # A build without kernels has an empty manifest and no pack.
    damage = _damage(path, kernels) if kernels or launcher.kernels() else None
    return Contents(str(path), manifest["toolchain"], kernels, damage)
