"""Replacing the linear layers of a model by `Fp8Linear`."""

from collections.abc import Callable, Sequence
from typing import cast

from torch import nn

from barrow.linear.arguments import check_filter, check_model
from barrow.linear.case import GEMM_DTYPE
from barrow.linear.layer import Fp8Linear


def _groups(model: nn.Module, filter: Callable[[str, nn.Linear], bool] | None) -> list[list[str]]:
    """Names of the layers to replace, those that share a weight together."""
    groups: dict[int, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        # Subclasses of nn.Linear are left alone: others read their weight directly (nn.MultiheadAttention's out_proj)
        # or they compute something else.
        if type(module) is not nn.Linear or not (filter is None or filter(name, module)):
            continue
        if module.weight.dtype not in GEMM_DTYPE:
            raise RuntimeError(
                f"barrow.quantize_: {name}.weight has dtype {module.weight.dtype}; "
                "convert it to bfloat16, float16 or float32, or leave the layer out by a filter"
            )
        groups.setdefault(id(module.weight), []).append(name)
    return list(groups.values())


def _replace(model: nn.Module, names: list[str], use_ue8m0: bool, backends: Sequence[str] | None) -> None:
    """Replace the layers of one group. Once done, nothing here holds their weight: models larger than half of the
    memory can be quantized."""
    linears = [cast(nn.Linear, model.get_submodule(name)) for name in names]
    layers: dict[nn.Linear, Fp8Linear] = {}
    for linear in linears:
        if linear not in layers:
            layer = layers[linear] = Fp8Linear.from_linear(linear, use_ue8m0=use_ue8m0, backends=backends)
            twin = layers[linears[0]]
            layer.weight, layer.weight_scale_inv = twin.weight, twin.weight_scale_inv
    for name, linear in zip(names, linears, strict=True):
        parent_name, _, attribute = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        setattr(parent, attribute, layers[linear])
        if isinstance(parent, nn.TransformerEncoderLayer):
            # Its fused inference path reads the weights of its linears itself; this is the switch it checks.
            parent.activation_relu_or_gelu = 0


def quantize_(
    model: nn.Module,
    filter: Callable[[str, nn.Linear], bool] | None = None,
    *,
    use_ue8m0: bool = False,
    backends: Sequence[str] | None = None,
) -> list[str]:
    """Replace the nn.Linear layers of `model` by `Fp8Linear`, in place.

    A layer that occurs under several names stays one layer, and layers that share a weight share its quantized form.
    Subclasses of nn.Linear are left alone, and hooks on a replaced layer are lost. In language models, the last layer
    (`lm_head`) is worth a filter: it costs the most accuracy, and where its weight is tied to the embedding,
    quantizing it adds memory instead of saving it.

        quantize_(model, lambda name, linear: not name.endswith("lm_head") and linear.in_features >= 512)

    Args:
        model: any module that contains nn.Linear layers; its weights may lie on any device.
        filter: called with the qualified name and the layer; False keeps the layer. All are replaced if None.
        use_ue8m0, backends: see `Fp8Linear`.

    Returns:
        The qualified names that were replaced, in the order of the model's modules.

    Raises:
        TypeError: if `model` is no module, or `filter` no function.
        ValueError: if `model` is itself an nn.Linear, which cannot be replaced in place.
        RuntimeError: if a weight is not bfloat16, float16 or float32; the model is then unchanged.
    """
    check_model("quantize_", model)
    check_filter("quantize_", "filter", filter)
    if type(model) is nn.Linear:
        raise ValueError(
            "barrow.quantize_: model is itself an nn.Linear and cannot be replaced in place; "
            "use Fp8Linear.from_linear(model)"
        )
    replaced: set[str] = set()
    for names in _groups(model, filter):
        _replace(model, names, use_ue8m0, backends)
        replaced.update(names)
    for module in model.modules():
        # Only the fused path can take the nested tensor that it makes of a padding mask.
        if isinstance(module, nn.TransformerEncoder) and any(isinstance(part, Fp8Linear) for part in module.modules()):
            module.use_nested_tensor = False
    return [name for name, _ in model.named_modules(remove_duplicate=False) if name in replaced]
