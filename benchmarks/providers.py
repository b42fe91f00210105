"""Who computes the block-scaled FP8 product in a benchmark: barrow and what people run today."""

import importlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch
from timing import copies_for

import barrow


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


class Provider(Protocol):
    """One contender."""

    name: str

    def prepare(self) -> None:
        """Set what is global to the contender's library."""

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        """out[M, N] bfloat16 = A x B^T."""


class Barrow:
    name = "barrow"

    def prepare(self) -> None:
        pass

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        barrow.fp8_gemm_nt(a.q, a.scale, b.q, b.scale, out=out)


class DeepGemm:
    """DeepGEMM, with its overlap of launches (programmatic dependent launch) on or off."""

    def __init__(self, module: ModuleType, pdl: bool) -> None:
        self.name = "deep_gemm_pdl" if pdl else "deep_gemm"
        self._module = module
        self._pdl = pdl

    def prepare(self) -> None:
        self._module.set_pdl(self._pdl)

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        self._module.fp8_gemm_nt((a.q, a.scale), (b.q, b.scale), out)


class CublasLt:
    """cuBLASLt's block-scaled product, as torch offers it."""

    name = "cublaslt"

    def prepare(self) -> None:
        pass

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        torch._scaled_mm(a.q, b.q.t(), scale_a=a.scale, scale_b=b.scale.t(), out_dtype=torch.bfloat16, out=out)


class Bf16:
    """The unquantised product: what FP8 is meant to beat."""

    name = "bf16"

    def prepare(self) -> None:
        pass

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        torch.mm(a.plain, b.plain.t(), out=out)


def import_deep_gemm(folder: Path) -> ModuleType:
    """DeepGEMM from the folder that holds `deep_gemm/`. It compiles at run time and looks for CUDA_HOME."""
    os.environ.setdefault("CUDA_HOME", "/usr/local/cuda")
    sys.path.insert(0, str(folder))
    return importlib.import_module("deep_gemm")


def providers(deep_gemm: Path | None) -> list[Provider]:
    """Every contender; DeepGEMM where a folder is given."""
    found: list[Provider] = [Barrow()]
    if deep_gemm is not None:
        module = import_deep_gemm(deep_gemm)
        found += [DeepGemm(module, pdl=False), DeepGemm(module, pdl=True)]
    return [*found, CublasLt(), Bf16()]


def weight(n: int, k: int) -> Weight:
    plain = torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
    return Weight(*barrow.per_block_quant_fp8(plain), plain)


def weights(n: int, k: int) -> list[Weight]:
    """Weights of one shape, as many as it takes to keep the L2 cache cold."""
    return [weight(n, k) for _ in range(copies_for(n * k))]


def activation(m: int, k: int) -> Activation:
    plain = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
    return Activation(*barrow.per_token_group_quant_fp8(plain), plain)


def _compile(folder: Path, shapes: Sequence[tuple[int, int, int]]) -> int:
    module = import_deep_gemm(folder)
    for m, n, k in shapes:
        a, b, out = activation(m, k), weight(n, k), torch.empty(m, n, device="cuda", dtype=torch.bfloat16)
        for pdl in (False, True):
            provider = DeepGemm(module, pdl)
            provider.prepare()
            provider.run(a, b, out)
        torch.cuda.synchronize()
    return len(shapes)


def warm_deep_gemm(folder: Path, shapes: Sequence[tuple[int, int, int]], processes: int) -> None:
    """Let several processes fill DeepGEMM's cache on disk: it takes seconds for each configuration."""
    shares = [shapes[i::processes] for i in range(min(processes, len(shapes)))]
    with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(_compile, folder, share) for share in shares]:
            future.result()
