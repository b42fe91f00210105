"""The benchmarks' own logic on CPU tensors, with times that the test decides."""

from collections.abc import Mapping, Sequence

import pytest
import torch

from barrow import ops
from barrow.bench import measure, providers
from barrow.bench.machine import Machine
from barrow.bench.providers import Activation, Weight
from barrow.bench.timing import Call, Timing

H100 = Machine(
    gpu="NVIDIA H100 80GB HBM3",
    slug="h100",
    num_sms=132,
    memory_gb_s=3352,
    driver="580",
    torch=torch.__version__,
    barrow="0",
    commit="c0ffee",
    kernels="0",
    bandwidth_tb_s=3.0,
)


class Peer:
    """A contender whose result is scaled by `factor`, and that may refuse."""

    def __init__(self, name: str, factor: float = 1.0, fp8: bool = True, refusal: str = "") -> None:
        self.name, self.fp8 = name, fp8
        self.prepared = 0
        self.quantised: list[bool] = []
        self._factor, self._refusal = factor, refusal
        self._last: torch.Tensor | None = None

    def prepare(self) -> None:
        self.prepared += 1

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        if self._refusal:
            raise RuntimeError(self._refusal)
        self.quantised.append(self._last is not None and a.q is not self._last)
        self._last = a.q
        result = ops.fp8_gemm_nt(a.q, a.scale, b.q, b.scale, out_dtype=torch.float32) if self.fp8 else None
        out.copy_(a.plain @ b.plain.T if result is None else result * self._factor)


def pretend(monkeypatch: pytest.MonkeyPatch, us: Mapping[str, float]) -> list[dict[str, int]]:
    """Let contenders run on the CPU and take `us`; return how many calls each had, for every timing."""
    seen: list[dict[str, int]] = []

    def interleaved(contenders: Mapping[str, Sequence[Call]], launches: int = 32, rounds: int = 7) -> dict[str, Timing]:
        seen.append({name: len(calls) for name, calls in contenders.items()})
        for calls in contenders.values():
            for call in calls:
                call()
        return {name: Timing((us[name],) * 3) if name in us else Timing(failure="no") for name in contenders}

    monkeypatch.setattr(providers, "DEVICE", torch.device("cpu"))
    monkeypatch.setattr(measure, "interleaved", interleaved)
    return seen
