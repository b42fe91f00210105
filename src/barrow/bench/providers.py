"""Who computes the block-scaled FP8 product in a benchmark: barrow and what people run today."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Protocol, TypeVar

import torch

from barrow import ops
from barrow.bench.shapes import Problem

DEVICE = torch.device("cuda")

T = TypeVar("T")


@dataclass(frozen=True)
class Weight:
    """One copy of B [N, K]: e4m3 with a float32 scale per 128x128 block, and the bfloat16 it came from."""

    q: torch.Tensor
    scale: torch.Tensor
    plain: torch.Tensor


@dataclass(frozen=True)
class Activation:
    """A [M, K]: e4m3 with K-block-major float32 scales per 1x128 group, and the bfloat16 it came from."""

    q: torch.Tensor
    scale: torch.Tensor
    plain: torch.Tensor

    def requantised(self) -> "Activation":
        """The same, quantised anew. All FP8 contenders read this layout, so all get the same quantizer."""
        return Activation(*ops.per_token_group_quant_fp8(self.plain), self.plain)


class Provider(Protocol):
    """One contender."""

    name: str
    fp8: bool  # False: it multiplies the unquantised operands

    def prepare(self) -> None:
        """Set what is global to the contender's library."""

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        """out[M, N] bfloat16 = A x B^T."""


class UsesBarrow:
    """What contenders on barrow share: weights loaded ahead of the work in front or not, of groups these too."""

    def __init__(self, prefetch: bool = False) -> None:
        self.name = "barrow_prefetch" if prefetch else "barrow"
        self._prefetch = prefetch

    def prepare(self) -> None:
        pass


class Barrow(UsesBarrow):
    """barrow's plain product."""

    fp8 = True

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        ops.fp8_gemm_nt(a.q, a.scale, b.q, b.scale, out=out, prefetch_b=self._prefetch)


class UsesDeepGemm:
    """What contenders on DeepGEMM share: its overlap of launches (programmatic dependent launch) on or off."""

    def __init__(self, module: ModuleType, pdl: bool) -> None:
        self.name = "deep_gemm_pdl" if pdl else "deep_gemm"
        self._module = module
        self._pdl = pdl

    def prepare(self) -> None:
        set_overlap(self._module, self._pdl)


class DeepGemm(UsesDeepGemm):
    """DeepGEMM's plain product."""

    fp8 = True

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        self._module.fp8_gemm_nt((a.q, a.scale), (b.q, b.scale), out)


class CublasLt:
    """cuBLASLt's block-scaled product, as torch offers it."""

    name = "cublaslt"
    fp8 = True

    def prepare(self) -> None:
        pass

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        torch._scaled_mm(a.q, b.q.t(), scale_a=a.scale, scale_b=b.scale.t(), out_dtype=torch.bfloat16, out=out)


class TritonGemm:
    """A block-scaled product in Triton, tuned for each shape at its first call."""

    name = "triton"
    fp8 = True

    def __init__(self) -> None:
        from barrow.bench import triton_gemm

        self._gemm = triton_gemm.fp8_gemm_nt

    def prepare(self) -> None:
        pass

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        self._gemm(a.q, a.scale, b.q, b.scale, out)


class Bf16:
    """The unquantised product: what FP8 is meant to beat."""

    name = "bf16"
    fp8 = False

    def prepare(self) -> None:
        pass

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        torch.mm(a.plain, b.plain.t(), out=out)


def import_deep_gemm(folder: Path | None) -> ModuleType:
    """DeepGEMM from the folder that holds `deep_gemm/`; without one as installed, alone or inside vLLM.

    It compiles at run time and looks for CUDA_HOME.
    """
    os.environ.setdefault("CUDA_HOME", "/usr/local/cuda")
    if folder is not None:
        if not (folder / "deep_gemm/__init__.py").is_file():
            raise ImportError(f"{folder} holds no deep_gemm/__init__.py")
        sys.path.insert(0, str(folder))
    installed = folder is not None or importlib.util.find_spec("deep_gemm") is not None
    module = importlib.import_module("deep_gemm" if installed else "vllm.third_party.deep_gemm")
    # An engine's plugin may have put barrow in DeepGEMM's place, and nobody is his own rival.
    if module.__name__.partition(".")[0] == "barrow":
        raise ImportError("what is imported as deep_gemm here is barrow")
    return module


def overlaps(deep_gemm: ModuleType) -> tuple[bool, ...]:
    """Whether to overlap the launches of DeepGEMM: off, and on if this release can."""
    return (False, True) if hasattr(deep_gemm, "set_pdl") else (False,)


def set_overlap(deep_gemm: ModuleType, on: bool) -> None:
    if hasattr(deep_gemm, "set_pdl"):
        deep_gemm.set_pdl(on)


def deep_gemms(module: ModuleType) -> list[Provider]:
    """DeepGEMM as it is, and with its launches overlapped if this release can."""
    return [DeepGemm(module, pdl) for pdl in overlaps(module)]


PEERS = ("deep_gemm", "cublaslt", "triton", "bf16")


def providers(peers: Sequence[str], deep_gemm: Path | None) -> tuple[list[Provider], dict[str, str]]:
    """barrow and those of `peers` (names of `PEERS`) that can be imported, and why the others cannot.

    barrow and DeepGEMM come twice, with their launches overlapped or not. Raises ImportError for a `deep_gemm` folder
    without it.
    """

    makers: dict[str, Callable[[], list[Provider]]] = {
        "deep_gemm": lambda: deep_gemms(import_deep_gemm(deep_gemm)),
        "cublaslt": lambda: [CublasLt()],
        "triton": lambda: [TritonGemm()],
        "bf16": lambda: [Bf16()],
    }
    found, missing = collect(makers, peers, deep_gemm)
    return [Barrow(), Barrow(prefetch=True), *found], missing


def collect(
    makers: Mapping[str, Callable[[], list[T]]], peers: Sequence[str], deep_gemm: Path | None
) -> tuple[list[T], dict[str, str]]:
    """What is made for `peers` that can be imported, and why the others cannot; raises as `providers` does."""
    found: list[T] = []
    missing: dict[str, str] = {}
    for peer in peers:
        try:
            found += makers[peer]()
        # DeepGEMM asserts that it finds a CUDA toolkit, and its extension may need other libraries.
        except (ImportError, OSError, RuntimeError, AssertionError) as error:
            if peer == "deep_gemm" and deep_gemm is not None:
                raise ImportError(f"DeepGEMM in {deep_gemm} cannot be imported: {error}") from error
            missing[peer] = f"{type(error).__name__}: {error}"
    return found, missing


def weight(n: int, k: int) -> Weight:
    plain = torch.randn(n, k, device=DEVICE, dtype=torch.bfloat16)
    return Weight(*ops.per_block_quant_fp8(plain), plain)


def activation(m: int, k: int) -> Activation:
    plain = torch.randn(m, k, device=DEVICE, dtype=torch.bfloat16)
    return Activation(*ops.per_token_group_quant_fp8(plain), plain)


def result(a: Activation, n: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """Memory for A x B^T with B [n, K]."""
    return a.plain.new_empty((a.plain.shape[0], n), dtype=dtype)


def _compile(folder: Path | None, shapes: Sequence[Problem]) -> None:
    module = import_deep_gemm(folder)
    for m, n, k in shapes:
        a, b = activation(m, k), weight(n, k)
        out = result(a, n)
        for provider in deep_gemms(module):
            provider.prepare()
            # What it refuses here it refuses again when it is timed, and is quoted then.
            with suppress(Exception):
                provider.run(a, b, out)
        torch.cuda.synchronize()


def warm_deep_gemm(folder: Path | None, shapes: Sequence[Problem], processes: int) -> None:
    """Let several processes fill DeepGEMM's cache on disk: it takes seconds for each configuration."""
    in_processes(_compile, folder, shapes, processes)


def in_processes(
    work: Callable[[Path | None, Sequence[T]], None], folder: Path | None, tasks: Sequence[T], processes: int
) -> None:
    """Deal `tasks` out to at most so many processes, each of which calls `work` with the folder and its share."""
    # In turn: tasks that take long, such as those of a large M, would otherwise meet in one share.
    shares = [tasks[i::processes] for i in range(min(processes, len(tasks)))]
    with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(work, folder, share) for share in shares]:
            future.result()
