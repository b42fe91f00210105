"""The benchmarks' own logic on CPU tensors, with times that the test decides."""

from collections.abc import Callable, Mapping, Sequence

import pytest
import torch

from barrow import ops
from barrow.bench import expert_layers, experts, grouped_problems, groups, measure, providers
from barrow.bench.machine import Machine
from barrow.bench.providers import Activation, Weight
from barrow.bench.timing import Call, Timing
from barrow.deep_gemm import settings
from barrow.deep_gemm.utils import layout

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

    def interleaved(contenders: Mapping[str, Sequence[Call]], launches: int, rounds: int) -> dict[str, Timing]:
        seen.append({name: len(calls) for name, calls in contenders.items()})
        for calls in contenders.values():
            for call in calls:
                call()
        return {name: Timing((us[name],) * rounds) if name in us else Timing(failure="no") for name in contenders}

    for module in (expert_layers, experts, grouped_problems, groups, providers):
        monkeypatch.setattr(module, "DEVICE", torch.device("cpu"))
    # Contenders set them, and barrow.deep_gemm stands in for DeepGEMM: afterwards they are as before.
    monkeypatch.setattr(settings, "_pdl", settings._pdl)
    monkeypatch.setattr(layout, "_group_alignment", layout._group_alignment)
    monkeypatch.setattr(measure, "interleaved", interleaved)
    return seen


class Unable:
    """A module in DeepGEMM's place that notes what is called, and computes nothing."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def switch(value: object) -> None:
            self.calls.append(f"{name} {value}")

        def compute(*arguments: object, **named: object) -> None:
            self.calls.append(name)
            raise RuntimeError("not this shape")

        return switch if name.startswith("set_") else compute


class TorchGlue:
    """What `barrow.bench.triton_experts` does, in torch."""

    def route(
        self, ids: torch.Tensor, experts: int, layout: str, rows: int, alignment: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        flat = ids.flatten().long()
        counts = torch.bincount(flat, minlength=experts)
        order = flat.argsort(stable=True)
        rank = torch.empty_like(flat)
        rank[order] = torch.arange(len(flat)) - (counts.cumsum(0) - counts)[flat[order]]
        aligned = -(-counts // alignment) * alignment
        begins = torch.arange(experts) * rows if layout == "masked" else aligned.cumsum(0) - aligned
        groups = {"masked": counts, "ends": begins + counts}.get(layout)
        if groups is None:
            groups = torch.full((rows,), -1)
            groups[: int(aligned.sum())] = torch.arange(experts).repeat_interleave(aligned)
        return (begins[flat] + rank).view_as(ids).int(), groups.int()

    def scatter(self, x: torch.Tensor, positions: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None:
        self._store(x.repeat_interleave(positions.shape[1], 0), positions, q, scale)

    def activate(self, x: torch.Tensor, positions: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None:
        gate, up = x.flatten(0, 1)[positions.flatten().long()].float().chunk(2, -1)
        self._store(torch.nn.functional.silu(gate) * up, positions, q, scale)

    def gather(self, y: torch.Tensor, positions: torch.Tensor, weights: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_((y.flatten(0, 1)[positions.long()].float() * weights[..., None]).sum(1))

    @staticmethod
    def _store(x: torch.Tensor, positions: torch.Tensor, q: torch.Tensor, scale: torch.Tensor) -> None:
        slab, row = (f(positions.flatten().long(), q.shape[1]) for f in (torch.floor_divide, torch.remainder))
        q[slab, row], scale.mT[slab, row] = ops.per_token_group_quant_fp8(x)
