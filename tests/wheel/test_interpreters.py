"""The extension in every CPython that this machine has, each without a torch of its own.

libtorch does not depend on the interpreter, so the one of the environment under test serves them all: the extension is
loaded beside it for real, and only torch's Python package is missing. tools/wheel_matrix.py tries whole environments.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from built_wheel import Wheel

from barrow import launcher

VERSION = "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
LOAD = """
import ctypes, importlib.util, json, sys
ctypes.CDLL(sys.argv[1])
spec = importlib.util.spec_from_file_location("_C", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
try:
    module.choose(-1, 1, 1, "bf16", 132)
except ValueError:
    print(json.dumps([module.kernels(), module.choose(64, 4096, 7168, "bf16", 132), module.driver()["available"]]))
"""


def interpreters() -> dict[str, str]:
    """Path of one CPython for each version from 3.10 on, by version: this one, those on the path, those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = [path for minor in range(10, 20) if (path := shutil.which(f"python3.{minor}"))]
    of_pyenv = [str(path) for path in sorted(pyenv.glob("3.*/bin/python"))]
    found: dict[str, str] = {}
    for path in (sys.executable, *on_path, *of_pyenv):
        told = subprocess.run([path, "-c", VERSION], capture_output=True, text=True).stdout.split()
        # abi3 does not cover free-threaded interpreters, and pip would not install the wheel there.
        if len(told) == 3 and (int(told[0]), int(told[1])) >= (3, 10) and told[2] == "0":
            found.setdefault(".".join(told[:2]), path)
    return found


INTERPRETERS = interpreters()
VERSIONS = sorted(INTERPRETERS, key=lambda version: int(version.split(".")[1]))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_extension_works_in(version: str, wheel: Wheel, tmp_path: Path) -> None:
    extension = tmp_path / "_C.abi3.so"
    extension.write_bytes(wheel.launcher("_C.abi3.so"))
    libtorch = Path(torch.__file__).parent / "lib/libtorch.so"
    command = [INTERPRETERS[version], "-I", "-c", LOAD, str(libtorch), str(extension)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    chosen = launcher.choose(64, 4096, 7168, "bf16", 132)
    assert json.loads(result.stdout) == [launcher.kernels(), chosen, launcher.driver()["available"]]
