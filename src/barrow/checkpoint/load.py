"""Loading a checkpoint into a model: all of it or nothing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from barrow.checkpoint.files import Checkpoint
from barrow.checkpoint.format import read_config, read_format
from barrow.checkpoint.plan import FUSED, ExpertsStep, Filter, LayerStep, TensorStep, make_plan, qualified
from barrow.experts import PROJECTIONS, Fp8Experts
from barrow.linear import Fp8Linear
from barrow.linear.arguments import check_filter, check_model
from barrow.linear.backends import quantize_weight
from barrow.linear.fused import fuse

Progress = Callable[[int, int, str], None]


def _line(done: int, total: int, name: str) -> None:
    """One line on a terminal, rewritten for every layer; silent where nobody watches."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r\x1b[Kloading {done}/{total} {name}", end=end, file=sys.stderr, flush=True)


class _Loader:
    def __init__(
        self,
        model: nn.Module,
        checkpoint: Checkpoint,
        device: torch.device,
        ue8m0: bool | None,
        backends: Sequence[str] | None,
    ) -> None:
        self.model, self.checkpoint, self.device = model, checkpoint, device
        self.ue8m0, self.backends = ue8m0, backends

    def _settings(self, like: nn.Linear | Fp8Linear | Fp8Experts) -> tuple[bool, Sequence[str] | None]:
        """use_ue8m0 and backends of a layer: its own where it has some and nothing else is said."""
        own = (False, None) if isinstance(like, nn.Linear) else (like.use_ue8m0, like.backends)
        return own[0] if self.ue8m0 is None else self.ue8m0, own[1] if self.backends is None else self.backends

    def _part(self, step: LayerStep, source: str, like: nn.Linear | Fp8Linear) -> Fp8Linear:
        weight = self.checkpoint.read(qualified(source, "weight"), self.device)
        ue8m0, backends = self._settings(like)
        layer = Fp8Linear(like.in_features, weight.shape[0], False, use_ue8m0=ue8m0, device="meta", backends=backends)
        if step.quantize:
            layer.weight, layer.weight_scale_inv = quantize_weight(weight, ue8m0)
        else:
            layer.weight = weight
            layer.weight_scale_inv = self.checkpoint.read(qualified(source, "weight_scale_inv"), self.device).float()
        if step.bias:
            bias = self.checkpoint.read(qualified(source, "bias"), self.device)
            layer.bias = bias.to(cast(Tensor, like.bias).dtype)
        return layer

    def layer(self, step: LayerStep) -> Fp8Linear:
        like = cast("nn.Linear | Fp8Linear", self.model.get_submodule(step.name))
        parts = [self._part(step, source, like) for source in step.sources]
        return (parts[0] if len(parts) == 1 else fuse(parts)).train(like.training)

    def experts(self, step: ExpertsStep) -> Fp8Experts:
        like = cast(Fp8Experts, self.model.get_submodule(step.name))
        ue8m0, backends = self._settings(like)
        layer = Fp8Experts(
            like.num_experts,
            like.hidden,
            like.intermediate,
            local=like.local,
            use_ue8m0=ue8m0,
            device=self.device,
            backends=backends,
        )
        for expert, projection in product(like.local, PROJECTIONS):
            weight = qualified(step.name, f"{expert}.{projection}.weight")
            scale = None if step.quantize else self.checkpoint.read(f"{weight}_scale_inv", self.device)
            layer.fill(expert, projection, self.checkpoint.read(weight, self.device), scale)
        return layer.train(like.training)

    def tensor(self, step: TensorStep, like: Tensor) -> Tensor:
        parts = [self.checkpoint.read(source, self.device) for source in step.sources]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).to(like.dtype)


def _put_layer(model: nn.Module, name: str, layer: Fp8Linear | Fp8Experts) -> None:
    if not name:
        # Nothing here holds the model itself, so it takes over all that the layer has.
        vars(model).update(vars(layer))
        return
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, layer)


def _put_tensor(model: nn.Module, step: TensorStep, tensor: Tensor) -> None:
    parent, _, attribute = step.names[0].rpartition(".")
    old = getattr(model.get_submodule(parent), attribute)
    new = nn.Parameter(tensor, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else tensor
    for name in step.names:
        parent, _, attribute = name.rpartition(".")
        module = model.get_submodule(parent)
        if isinstance(new, nn.Parameter):
            module._parameters[attribute] = new
        else:
            module._buffers[attribute] = new


def _place(model: nn.Module, device: torch.device | str | None) -> torch.device:
    if device is not None:
        return torch.device(device)
    first = next(iter(model.parameters()), None)
    return first.device if first is not None and not first.is_meta else torch.device("cpu")


@torch.no_grad()
def load_(
    model: nn.Module,
    folder: str | Path,
    *,
    device: torch.device | str | None = None,
    quantize: Filter | None = None,
    fused: Mapping[str, Sequence[str]] = FUSED,
    ignore: Sequence[str] = (),
    use_ue8m0: bool | None = None,
    backends: Sequence[str] | None = None,
    progress: Progress = _line,
) -> list[str]:
    """Load a folder of safetensors with its config.json into `model`, in place.

    Linear layers whose weights are FP8 become `Fp8Linear`, and read their weights as they lie in the file: nothing is
    widened. Linear layers that `quantize` picks are quantized as they are read, one at a time, so that a bfloat16 model
    never lies in memory whole. Everything else is loaded in the dtype that the model has, but whole numbers are not
    made of others, nor others of whole numbers. Layers that are `Fp8Linear` already are filled either way, and so are
    `Fp8Experts`, with those of the checkpoint's experts (`NAME.0.gate_proj.weight` and so on) that lie here.

    The model is best built without memory for its weights (`accelerate.init_empty_weights`). It changes only once
    every tensor has been checked by the headers and read, so an error leaves it as it was.

    Args:
        model: names its modules as the checkpoint does, but for `fused`.
        folder: with config.json and *.safetensors, an index if there are several.
        device: where to load to; None for the model's own, or the CPU if it lies on meta.
        quantize: called with name and module of every linear layer; True quantizes its plain weight.
        fused: layers of the model by the last part of their name, and the parts they are made of; see
            `barrow.linear.fuse` for how their scales stay exact.
        ignore: patterns (fnmatch) of tensors that the model has no place for: `model.layers.61.*`.
        use_ue8m0: whether scales are powers of two; None for what quantization_config says. Where it says nothing,
            layers that have this setting already keep it, and the others do without.
        backends: preference of the layers, see `Fp8Linear`; None for what layers that have one already prefer.
        progress: called with layers done, all layers, and a name; by default a line on a terminal.

    Returns:
        Names of the layers that are `Fp8Linear` now, then those of `Fp8Experts`; "" for the model itself.

    Raises:
        CheckpointError: naming the file, key or tensor that is wrong; the model is then unchanged.
        TypeError: if `model` is no module, or `quantize` no function.
        ValueError: if `ignore` is a string, whose characters would each be a pattern.
        ImportError: if safetensors is not installed.
    """
    check_model("checkpoint.load_", model)
    check_filter("checkpoint.load_", "quantize", quantize)
    if isinstance(ignore, str):
        raise ValueError(
            f"barrow.checkpoint.load_: ignore is the string {ignore!r}; pass a list of patterns: [{ignore!r}]"
        )
    checkpoint = Checkpoint(folder)
    config = checkpoint.folder / "config.json"
    form = read_format(read_config(config), str(config))
    plan = make_plan(model, checkpoint, form, fused=fused, quantize=quantize, ignore=ignore)
    where = _place(model, device)
    if use_ue8m0 is None and form is not None:
        use_ue8m0 = form.use_ue8m0
    loader = _Loader(model, checkpoint, where, use_ue8m0, backends)

    state = model.state_dict(keep_vars=True)
    total = len(plan.layers) + len(plan.experts) + len(plan.tensors)
    layers: dict[str, Fp8Linear | Fp8Experts] = {}
    tensors: list[Tensor] = []
    for layer_step in plan.layers:
        layers[layer_step.name] = loader.layer(layer_step)
        progress(len(layers), total, layer_step.name)
    for experts_step in plan.experts:
        layers[experts_step.name] = loader.experts(experts_step)
        progress(len(layers), total, experts_step.name)
    for step in plan.tensors:
        tensors.append(loader.tensor(step, state[step.names[0]]))
        progress(len(layers) + len(tensors), total, step.names[0])

    for name, layer in layers.items():
        _put_layer(model, name, layer)
    for step, tensor in zip(plan.tensors, tensors, strict=True):
        _put_tensor(model, step, tensor)
    # What is in no checkpoint, rotary frequencies for example, goes along.
    for module in model.modules():
        for key in module._non_persistent_buffers_set:
            if (buffer := module._buffers[key]) is not None:
                module._buffers[key] = buffer.to(where)
    return list(layers)
