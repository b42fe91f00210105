"""Small checkpoints of the form that DeepSeek-V3, Qwen3-FP8 and GLM publish."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import barrow

DEEPSEEK = {
    "activation_scheme": "dynamic",
    "fmt": "e4m3",
    "quant_method": "fp8",
    "weight_block_size": [128, 128],
}


def save(
    folder: Path,
    tensors: Mapping[str, Tensor],
    quantization: Any = DEEPSEEK,
    files: int = 1,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write tensors and config.json; over several files with an index, tensor by tensor."""
    config = {"model_type": "test", **(config or {})}
    if quantization is not None:
        config["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(config))
    names = sorted(tensors)
    if files == 1:
        save_file({name: tensors[name].contiguous() for name in names}, folder / "model.safetensors", {"format": "pt"})
        return folder
    weight_map: dict[str, str] = {}
    for i in range(files):
        file = f"model-{i + 1:05}-of-{files:05}.safetensors"
        save_file({name: tensors[name].contiguous() for name in names[i::files]}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(names[i::files], file)
    index = {"metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def published(
    model: nn.Module, keep: Callable[[str], bool] = lambda name: False, scale_dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """The tensors of `model` with its linear layers in FP8, but for those to keep. Shared tensors are stored once."""
    linears = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    found: dict[str, Tensor] = {}
    for key, value in experts_apart(model.state_dict()).items():
        module, _, last = key.rpartition(".")
        if (module in linears or ".experts." in module) and last == "weight" and not keep(module):
            weight, scale = barrow.per_block_quant_fp8(value, use_ue8m0=scale_dtype != torch.float32)
            found |= {key: weight, f"{key}_scale_inv": scale.to(scale_dtype)}
        else:
            found[key] = value
    return found


def experts_apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Layer by layer what transformers keeps as one tensor of all experts: `gate_up_proj` and `down_proj`."""
    found: dict[str, Tensor] = {}
    for key, value in tensors.items():
        module, _, last = key.rpartition(".")
        if value.dim() != 3:
            found[key] = value
            continue
        for i, expert in enumerate(value):
            parts = {last: expert}
            if last == "gate_up_proj":
                parts = dict(zip(("gate_proj", "up_proj"), expert.chunk(2), strict=True))
            found |= {f"{module}.{i}.{name}.weight": part.contiguous() for name, part in parts.items()}
    return found


def experts_together(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `experts_apart`."""
    found = {key: value for key, value in tensors.items() if ".experts." not in key}
    for first in (key for key in tensors if key.endswith(".experts.0.down_proj.weight")):
        module = first.removesuffix(".0.down_proj.weight")
        count = sum(key.startswith(f"{module}.") and key.endswith(".down_proj.weight") for key in tensors)

        def each(name: str, module: str = module, count: int = count) -> Tensor:
            return torch.stack([tensors[f"{module}.{i}.{name}.weight"] for i in range(count)])

        found[f"{module}.gate_up_proj"] = torch.cat([each("gate_proj"), each("up_proj")], 1)
        found[f"{module}.down_proj"] = each("down_proj")
    return found


def dequantized(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The plain twin: every FP8 weight times its scales, in float32."""
    found = {}
    for key, value in tensors.items():
        if value.dtype == torch.float8_e4m3fn:
            scale = tensors[f"{key}_scale_inv"].float().repeat_interleave(128, 0).repeat_interleave(128, 1)
            found[key] = value.float() * scale[: value.shape[0], : value.shape[1]]
        elif not key.endswith("_scale_inv"):
            found[key] = value
    return found
