"""The wheel under test: the one in dist/, which `make test` has also installed."""

import io

import pytest
from built_wheel import ROOT, Wheel, read_wheel
from elftools.elf.elffile import ELFFile


@pytest.fixture(scope="session")
def wheel() -> Wheel:
    found = sorted((ROOT / "dist").glob("barrow-*.whl"))
    if len(found) != 1:
        pytest.fail(f"these tests need one wheel of barrow in dist/ and found {len(found)}; run `make wheel`")
    return read_wheel(found[0])


@pytest.fixture(scope="session")
def extension(wheel: Wheel) -> ELFFile:
    return ELFFile(io.BytesIO(wheel.launcher("_C.abi3.so")))
