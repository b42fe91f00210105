"""What goes where: a model against a checkpoint's headers, with everything that does not fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product

from torch import Tensor, nn

from barrow.checkpoint.errors import raise_for
from barrow.checkpoint.files import Checkpoint, TensorInfo
from barrow.checkpoint.format import Format
from barrow.experts import PROJECTIONS, Fp8Experts
from barrow.linear import Fp8Linear, FusedFp8Linear
from barrow.ops.layout import scale_blocks

FP8 = "F8_E4M3"
# What a scale may be kept in: each is exact in float32.
SCALES = ("F32", "BF16", "F16", "F8_E8M0")
PLAIN = ("BF16", "F16", "F32")

# A layer of the model by the last part of its name, and the layers of a checkpoint whose rows it holds, in order.
FUSED: dict[str, tuple[str, ...]] = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "fused_qkv_a_proj": ("q_a_proj", "kv_a_proj_with_mqa"),
    "fused_qkv_a_proj_with_mqa": ("q_a_proj", "kv_a_proj_with_mqa"),
}

Filter = Callable[[str, nn.Module], bool]


@dataclass(frozen=True)
class LayerStep:
    """A linear layer to make, of FP8 weights or quantized from plain ones, out of one or more of the checkpoint's."""

    name: str
    sources: tuple[str, ...]
    quantize: bool
    bias: bool


@dataclass(frozen=True)
class ExpertsStep:
    """The experts of a mixture that lie here, to make of FP8 weights or quantized from plain ones."""

    name: str
    quantize: bool


@dataclass(frozen=True)
class TensorStep:
    """A parameter or buffer to fill, under all the names that share it; `sources` are stacked along dimension 0."""

    names: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass
class Plan:
    """All steps, and what speaks against them."""

    layers: list[LayerStep] = field(default_factory=list)
    experts: list[ExpertsStep] = field(default_factory=list)
    tensors: list[TensorStep] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)


def _shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def qualified(module: str, name: str) -> str:
    """Name of what a module holds; the model itself has no name."""
    return f"{module}.{name}" if module else name


def _sources(name: str, tensors: Mapping[str, TensorInfo], fused: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The checkpoint's layers that a layer of the model is made of; itself where it is there or nothing is."""
    if qualified(name, "weight") in tensors:
        return (name,)
    parent, _, last = name.rpartition(".")
    parts = tuple(qualified(parent, part) for part in fused.get(last, ()))
    return parts if parts and any(f"{part}.weight" in tensors for part in parts) else (name,)


def _check_scale(weight: TensorInfo, tensors: Mapping[str, TensorInfo]) -> str | None:
    name = f"{weight.name}_scale_inv"
    if (scale := tensors.get(name)) is None:
        return f"{name} is missing: {weight.name} is {FP8}, which means nothing without scales"
    if scale.dtype not in SCALES:
        return f"{name} is {scale.dtype}, but needs {', '.join(SCALES)}"
    needed = tuple(map(scale_blocks, weight.shape))
    if scale.shape != needed:
        return f"{name} has shape {_shape(scale.shape)} but needs {_shape(needed)} for {_shape(weight.shape)}"
    return None


def _holds(value: Tensor, dtype: str) -> bool:
    """Whether a tensor of the model takes a file's dtype: numbers of one kind, for 1.5 would become 1 in silence."""
    if value.is_floating_point():
        return dtype in PLAIN
    return dtype.startswith("C" if value.is_complex() else ("I", "U", "BOOL"))


class _Planner:
    def __init__(
        self, model: nn.Module, checkpoint: Checkpoint, form: Format | None, fused: Mapping[str, Sequence[str]]
    ):
        self.model, self.tensors, self.form, self.fused = model, checkpoint.tensors, form, fused
        self.plan = Plan()

    def problem(self, text: str) -> None:
        self.plan.problems.append(text)

    def layer(self, name: str, module: nn.Linear | Fp8Linear, wanted: bool) -> bool:
        """Plan a layer as FP8, or return False: it is left to `tensor`."""
        sources = _sources(name, self.tensors, self.fused)
        weights = [self.tensors.get(qualified(source, "weight")) for source in sources]
        found = [weight for weight in weights if weight is not None]
        kinds = {weight.dtype for weight in found}
        quantize = FP8 not in kinds
        if not found or (quantize and not (wanted or isinstance(module, Fp8Linear))):
            return False
        for source, weight in zip(sources, weights, strict=True):
            if weight is None:
                self.problem(f"{source}.weight is missing, one of the parts of {name}")
                return True
        if len(kinds) > 1:
            self.problem(f"{name} is made of parts of different dtypes: {', '.join(sorted(kinds))}")
            return True
        if not name and type(module) is not Fp8Linear:
            kind = type(module).__name__
            self.problem(f"the model itself is of type {kind} and cannot be replaced in place; pass an Fp8Linear")
        self._check_weights(name or "the model", module, found, quantize)
        bias = module.bias is not None
        for source in sources:
            self._check_bias(source, bias)
        self.plan.layers.append(LayerStep(name, sources, quantize, bias))
        return True

    def _check_weights(
        self, name: str, module: nn.Linear | Fp8Linear, weights: Sequence[TensorInfo], quantize: bool
    ) -> None:
        rows = 0
        for weight in weights:
            self._use(weight.name)
            if len(weight.shape) != 2 or weight.shape[1] != module.in_features:
                self.problem(
                    f"{weight.name} has shape {_shape(weight.shape)} but needs [*, {module.in_features}] for {name}"
                )
                continue
            rows += weight.shape[0]
            self._check_format(weight, quantize)
        features = module.out_features
        if isinstance(module, FusedFp8Linear):
            features = sum(size for _, size in module.spans)
        if rows and rows != features:
            names = " + ".join(weight.name for weight in weights)
            self.problem(f"{names} has {rows} rows, but {name} has {features} features")

    def _use(self, weight: str) -> None:
        self.plan.used.add(weight)
        # Beside a plain weight nobody reads a scale, so it counts as left over: whoever wrote it meant something.
        if (info := self.tensors.get(weight)) is not None and info.dtype == FP8:
            self.plan.used.add(f"{weight}_scale_inv")

    def _check_format(self, weight: TensorInfo, quantize: bool) -> None:
        """Check the dtype of a weight that is quantized here, or the scales of one that is FP8."""
        if quantize:
            if weight.dtype not in PLAIN:
                self.problem(f"{weight.name} is {weight.dtype}, but needs {FP8} or {', '.join(PLAIN)}")
            return
        if problem := _check_scale(weight, self.tensors):
            self.problem(problem)
        source = weight.name.removesuffix(".weight")
        if self.form is None:
            self.problem(f"{weight.name} is {FP8}, but config.json has no quantization_config")
        elif self.form.ignores(source):
            self.problem(f"{weight.name} is {FP8}, but quantization_config lists {source} as not converted")

    def experts(self, name: str, module: Fp8Experts) -> None:
        """Plan the experts of a mixture, of which a process may hold some; the others' tensors are let be."""
        found: dict[str, tuple[TensorInfo, Sequence[int]]] = {}
        missing: list[str] = []
        called = name or "the model"
        for expert, projection in product(range(module.num_experts), PROJECTIONS):
            weight = qualified(name, f"{expert}.{projection}.weight")
            self._use(weight)
            if expert not in module.local:
                continue
            if info := self.tensors.get(weight):
                found[weight] = (info, module.projection(expert, projection)[0].shape)
            else:
                missing.append(weight)
        for weight in missing if found else missing[:1]:
            self.problem(f"{weight} is missing, one of the {len(found) + len(missing)} weights of {called}")
        kinds = {info.dtype for info, _ in found.values()}
        quantize = FP8 not in kinds
        if len(kinds) > 1:
            self.problem(f"{called} is made of parts of different dtypes: {', '.join(sorted(kinds))}")
            return
        for info, shape in found.values():
            if info.shape != tuple(shape):
                self.problem(f"{info.name} has shape {_shape(info.shape)} but needs {_shape(shape)} for {called}")
            else:
                self._check_format(info, quantize)
        self.plan.experts.append(ExpertsStep(name, quantize))

    def _check_bias(self, source: str, bias: bool) -> None:
        name = qualified(source, "bias")
        found = self.tensors.get(name)
        if bias and found is None:
            self.problem(f"{name} is missing")
        elif bias and found is not None:
            self.plan.used.add(name)
            rows = self.tensors[qualified(source, "weight")].shape[:1]
            if found.shape != rows or found.dtype not in PLAIN:
                self.problem(f"{name} is {found.dtype} of shape {_shape(found.shape)} but needs {_shape(rows)}")

    def tensor(self, names: Sequence[str], value: Tensor) -> None:
        """Plan a parameter or buffer that is no FP8 layer's, known to the model under `names`."""
        name = next((each for each in names if each in self.tensors), names[0])
        layer, _, last = name.rpartition(".")
        sources: tuple[str, ...] = (name,)
        if name not in self.tensors:
            sources = tuple(qualified(part, last) for part in _sources(layer, self.tensors, self.fused))
        found = [info for source in sources if (info := self.tensors.get(source)) is not None]
        self.plan.used.update(each for each in names if each in self.tensors)
        if len(found) < len(sources):
            missing = next(source for source in sources if source not in self.tensors)
            hint = ""
            if value.dim() == 3:
                hint = (
                    ", and experts are not read into one parameter: put a barrow.Fp8Experts there first, or after "
                    "barrow.integrations.transformers.install() let transformers load it"
                )
            self.problem(f"{missing} is missing; the model needs it{hint}")
            return
        self.plan.used.update(sources)
        for info in found:
            if info.dtype.startswith("F8"):
                self.problem(f"{info.name} is {info.dtype}, but {names[0]} is no linear layer that can hold it")
            elif not _holds(value, info.dtype):
                self.problem(
                    f"{info.name} is {info.dtype}, but the model has {value.dtype}, which cannot hold it; "
                    "convert one of the two"
                )
        shape = found[0].shape
        if len(found) > 1:
            shape = (sum(sum(info.shape[:1]) for info in found), *shape[1:])
        if shape != tuple(value.shape) or len({info.shape[1:] for info in found}) > 1:
            self.problem(f"{' + '.join(sources)} has shape {_shape(shape)}, but the model needs {_shape(value.shape)}")
        self.plan.tensors.append(TensorStep(tuple(names), sources))


def make_plan(
    model: nn.Module,
    checkpoint: Checkpoint,
    form: Format | None,
    *,
    fused: Mapping[str, Sequence[str]],
    quantize: Filter | None,
    ignore: Sequence[str],
) -> Plan:
    """Match every parameter and buffer of `model` with the checkpoint. Reads no tensor and changes nothing.

    Raises:
        CheckpointError: naming every tensor that is missing, left over, or of another shape or dtype.
    """
    planner = _Planner(model, checkpoint, form, fused)
    planned: set[str] = set()
    for name, module in model.named_modules(remove_duplicate=False):
        if type(module) in (nn.Linear, Fp8Linear, FusedFp8Linear):
            wanted = quantize is not None and quantize(name, module)
            if planner.layer(name, module, wanted):
                planned.add(name)
        elif type(module) is Fp8Experts:
            planner.experts(name, module)
            planned.add(name)
    shared: dict[int, list[str]] = {}
    state = model.state_dict(keep_vars=True)
    for key, value in state.items():
        if key.rpartition(".")[0] not in planned:
            shared.setdefault(id(value), []).append(key)
    for names in shared.values():
        planner.tensor(names, state[names[0]])
    persistent = set(state)
    for name, buffer in model.named_buffers():
        if name not in persistent and buffer.is_meta:
            planner.problem(
                f"{name} is on meta and in no checkpoint; build the model with its buffers on a real device"
            )
    for name in sorted(set(checkpoint.tensors) - planner.plan.used):
        if not any(fnmatchcase(name, pattern) for pattern in ignore):
            planner.problem(f"{name} has no place in the model; pass ignore=[...] if that is as it should be")
    raise_for(f"{checkpoint.folder} does not fit the model", planner.plan.problems)
    return planner.plan
