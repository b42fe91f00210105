"""A kernel source and every header it includes, as the compiler will see them."""

import re
from pathlib import Path

from barrow_build.aot.environment import BuildError

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<[^>]+>)', re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def read_with_headers(root: Path, source: str) -> dict[str, bytes]:
    """Contents of `source` and of all that it includes, by path from `root`; the source itself comes first.

    Every quoted include names its file from `root`, whatever folder the including file is in: the compiler is handed
    exactly these contents under these names, so a header that the scan missed is an error and never a stale kernel.
    Includes in angle brackets are the host compiler's, behind the preprocessor, and not ours.
    """
    found: dict[str, bytes] = {}
    waiting = [(source, "the catalogue")]
    while waiting:
        name, parent = waiting.pop()
        if name in found:
            continue
        path = root / name
        if not path.is_file() or Path(name).is_absolute() or ".." in Path(name).parts:
            raise BuildError(f'{parent} includes "{name}"; it must be the path of a file, written from {root.name}/')
        found[name] = path.read_bytes()
        text = _COMMENT.sub("", found[name].decode())
        waiting += [(quoted, f"{root.name}/{name}") for quoted in _INCLUDE.findall(text) if quoted]
    return found
