"""The CMake package, and the answers it needs. The folder is what `barrow-wheel cmake-dir` prints."""

from __future__ import annotations

from pathlib import Path

CMAKE_DIR = Path(__file__).parent
