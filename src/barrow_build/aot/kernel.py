"""What a build makes of the catalogue."""

from dataclasses import dataclass
from pathlib import Path

from barrow_build.config import AuxSpec, GemmSpec


@dataclass(frozen=True)
class Cubin:
    """One compiled kernel and what it takes of a multiprocessor: registers a thread, bytes of static shared memory."""

    image: bytes
    registers: int
    spill_bytes: int
    static_smem_bytes: int


@dataclass(frozen=True)
class Kernel:
    """A spec of the catalogue and what it was compiled to."""

    spec: GemmSpec | AuxSpec
    cubin: Cubin


@dataclass(frozen=True)
class Compiled:
    """The catalogue in its own order, the files that were read for it, the compiler; nothing without kernels."""

    kernels: tuple[Kernel, ...] = ()
    inputs: tuple[Path, ...] = ()
    toolchain: str | None = None
