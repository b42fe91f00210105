from os import PathLike
from typing import Literal

from barrow.launcher import AuxKernel, Candidate, DriverInfo, GemmKernel, Tuned

def choose(
    m: int,
    n: int,
    k: int,
    out_dtype: Literal["bf16", "f32"],
    num_sms: int,
    memory_gb_s: int = 0,
    row_scales_b: bool = False,
    groups: int = 0,
) -> list[Candidate]: ...
def tuned() -> Tuned: ...
def kernels() -> list[GemmKernel | AuxKernel]: ...
def pack_path() -> str: ...
def verify_pack(path: str | PathLike[str]) -> None: ...
def driver() -> DriverInfo: ...
