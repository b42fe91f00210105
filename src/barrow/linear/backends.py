"""What can run an FP8 linear layer, in order of preference, and why the rest cannot."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points

import torch
from torch import Tensor

from barrow import ops
from barrow.linear import matmuls, rules
from barrow.linear.case import Case
from barrow.linear.target import here

ENTRY_POINTS = "barrow.backends"
VARIABLE = "BARROW_BACKENDS"

Matmul = Callable[[Tensor, Tensor, Tensor, bool], Tensor]


@dataclass(frozen=True)
class Backend:
    """One way to compute y = x W^T, for x [M, K] and block-scaled W [N, K].

    Attributes:
        name: what a preference calls it.
        summary: what it is, in a few words.
        why_not: None for a case that it can run, otherwise one sentence that says what is missing. It must depend on
            the case alone, so that it answers for a GPU that is elsewhere.
        matmul: takes x (last stride 1), W, its scales and use_ue8m0; y [M, N] may be wider than x in dtype, but must
            not be narrower. It must be traceable by torch.compile: plain torch, or registered operators.
        experts: whether `barrow.experts` can run on it, which then knows how.
    """

    name: str
    summary: str
    why_not: Callable[[Case], str | None] = field(repr=False)
    matmul: Matmul = field(repr=False)
    experts: bool = False

    def refuses(self, case: Case) -> str | None:
        """`why_not`, for experts as well."""
        if case.experts and not self.experts:
            return "it multiplies by one matrix, not by those of many experts"
        return self.why_not(case)


# Fastest first. A preference can put any of them first, or leave some out.
KERNELS = Backend(
    "barrow", "barrow's Hopper kernels, activations in FP8", rules.barrow, matmuls.operators, experts=True
)
PORTABLE = (
    Backend("cublaslt", "cuBLASLt through torch, activations in FP8", rules.cublaslt, matmuls.scaled_mm),
    Backend("triton", "barrow's Triton kernel", rules.triton, matmuls.triton),
    Backend("cpu", "barrow's CPU implementation, activations in FP8", rules.cpu, matmuls.operators, experts=True),
    Backend("torch", "torch's matmul on dequantised weights", rules.torch_matmul, matmuls.dequantized, experts=True),
)
# What a layer calls, by the name it has chosen. A plain dictionary, which torch.compile can read.
MATMULS: dict[str, Matmul] = {backend.name: backend.matmul for backend in (KERNELS, *PORTABLE)}


@dataclass(frozen=True)
class Choice:
    """The backend for a case, and for each backend that was passed over or not needed: why."""

    backend: Backend
    others: dict[str, str]


@cache
def registered() -> dict[str, Backend]:
    """Every backend by name, in the default order: barrow's kernels, out-of-tree backends by name, the rest.

    Raises:
        RuntimeError: if an entry point of the group `barrow.backends` cannot be loaded, is no `Backend`, or takes a
            name that is taken.
    """
    found = {KERNELS.name: KERNELS}
    built_in = {KERNELS.name, *(backend.name for backend in PORTABLE)}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        origin = f"barrow: the backend {point.name!r} ({point.value})"
        try:
            backend = point.load()
        except Exception as error:  # a package of somebody else's, which may fail in any way
            raise RuntimeError(f"{origin} cannot be loaded: {error!r}; mend or uninstall its package") from error
        if not isinstance(backend, Backend) or backend.name != point.name:
            raise RuntimeError(f"{origin} is {backend!r}, not a barrow.linear.Backend of that name")
        if backend.name in built_in or backend.name in found:
            raise RuntimeError(f"{origin} takes a name that is taken; rename it")
        found[backend.name] = backend
        MATMULS[backend.name] = backend.matmul
    return found | {backend.name: backend for backend in PORTABLE}


def preferred(backends: Sequence[str] | None) -> tuple[str, ...] | None:
    """The preference that a layer keeps; ValueError for a string, whose letters are no names."""
    if isinstance(backends, str):
        raise ValueError(f"barrow: backends is {backends!r} but needs to be names in order; pass ({backends!r},)")
    return None if backends is None else tuple(backends)


def _order(preference: Sequence[str] | None) -> list[Backend]:
    """The backends to try: those of `preference`, of the environment variable, or all."""
    known = registered()
    source = "backends"
    if preference is None and (text := os.environ.get(VARIABLE, "").strip()):
        source, preference = VARIABLE, [name.strip() for name in text.split(",")]
    if preference is None:
        return list(known.values())
    if unknown := [name for name in preference if name not in known]:
        raise ValueError(f"barrow: {source} names {unknown[0]!r}; pass names out of {', '.join(known)}, in order")
    return [known[name] for name in dict.fromkeys(preference)]


@cache
def choose(case: Case, preference: tuple[str, ...] | None = None) -> Choice:
    """Return the first backend of the preference that can run `case`; by default the last one can run anywhere.

    Args:
        case: the layer and where.
        preference: names of backends, best first; others are not used. If None, those of the environment variable
            BARROW_BACKENDS (comma-separated), which is read once for a case, or else all.

    Raises:
        ValueError: if the preference names a backend that is not there.
        RuntimeError: if none can run the case; with every reason.
    """
    chosen: Backend | None = None
    order = _order(preferred(preference))
    others = {name: "the preference leaves it out" for name in registered() if name not in {b.name for b in order}}
    for backend in order:
        if reason := backend.refuses(case):
            others[backend.name] = reason
        elif chosen is None:
            chosen = backend
        else:
            others[backend.name] = f"it could, but {chosen.name} comes first"
    if chosen is None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in others.items())
        what = f"{case.experts} experts" if case.experts else "a layer"
        raise RuntimeError(
            f"barrow: no backend can run {what} with N = {case.n}, K = {case.k} on {case.target.name}: {reasons}"
        )
    return Choice(chosen, others)


@cache
def _name_for(
    device: torch.device,
    n: int,
    k: int,
    dtype: torch.dtype,
    bias: bool,
    use_ue8m0: bool,
    preference: tuple[str, ...] | None,
    experts: int,
) -> str:
    case = Case(n=n, k=k, target=here(device), dtype=dtype, bias=bias, use_ue8m0=use_ue8m0, experts=experts)
    return choose(case, preference).backend.name


def name_for(
    device: torch.device,
    n: int,
    k: int,
    dtype: torch.dtype,
    bias: bool,
    use_ue8m0: bool,
    preference: tuple[str, ...] | None,
    experts: int = 0,
) -> str:
    """`choose` for a layer on a device of this machine, for every M: what a layer asks in every call.

    A constant for torch.compile, which could not trace the questions to the driver.
    """
    return _name_for(device, n, k, dtype, bias, use_ue8m0, preference, experts)


# All that torch.compiler.assume_constant_result sets, but calling it imports torch._dynamo, and with it half a second.
name_for._dynamo_marked_constant = True  # type: ignore[attr-defined]


def on_device(device: torch.device) -> Choice:
    """The choice for a bfloat16 layer of a friendly shape: what a device is good for in general."""
    return choose(Case(n=4096, k=4096, target=here(device)))


def quantize_weight(weight: Tensor, use_ue8m0: bool) -> tuple[Tensor, Tensor]:
    """`per_block_quant_fp8` for a weight of any strides on any device: by the CPU where the operators do not run."""
    device = weight.device
    if weight.stride(-1) != 1:
        weight = weight.contiguous()
    if device.type not in ("meta", "cpu") and rules.no_kernels(here(device)) is not None:
        weight = weight.cpu()
    q, scale = ops.per_block_quant_fp8(weight, use_ue8m0=use_ue8m0)
    return q.to(device), scale.to(device)
