"""The C++ compiler of this machine."""

import shutil


def compiler() -> str | None:
    """What the name c++ or g++ stands for, if either."""
    return shutil.which("c++") or shutil.which("g++")
