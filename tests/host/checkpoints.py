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
    for key, value in model.state_dict().items():
        module, _, last = key.rpartition(".")
        if module in linears and last == "weight" and not keep(module):
            weight, scale = barrow.per_block_quant_fp8(value, use_ue8m0=scale_dtype != torch.float32)
            found |= {key: weight, f"{key}_scale_inv": scale.to(scale_dtype)}
        else:
            found[key] = value
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
