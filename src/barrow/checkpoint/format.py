"""`quantization_config` of a model's config.json: what barrow can read, and an error for everything else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from barrow.checkpoint.errors import CheckpointError
from barrow.ops.layout import SCALE_BLOCK

# Keys that change nothing here: how others run or write the checkpoint.
_WITHOUT_EFFECT = {"dequantize", "is_checkpoint_fp8_serialized", "kv_cache_scheme"}
_KNOWN = {
    "quant_method",
    "fmt",
    "activation_scheme",
    "weight_block_size",
    "modules_to_not_convert",
    "modules_to_convert",
    "ignored_layers",
    "scale_fmt",
    "expert_dtype",
} | _WITHOUT_EFFECT


@dataclass(frozen=True)
class Format:
    """Block-scaled FP8: e4m3 weights, a `weight_scale_inv` per 128 x 128 block, inputs quantized at run time.

    Attributes:
        use_ue8m0: whether scales are powers of two, the input's too; None where nothing is said.
        ignored: names of modules that stay as they are; whatever lies below one as well.
    """

    use_ue8m0: bool | None = None
    ignored: tuple[str, ...] = ()

    def ignores(self, module: str) -> bool:
        """Whether a module is to stay as it is. A name matches whole parts: `mlp.gate` is not `mlp.gate_proj`."""
        return any(f".{name}." in f".{module}." for name in self.ignored)

    @classmethod
    def from_config(cls, quantization: Mapping[str, Any], where: str) -> "Format":
        """Read a `quantization_config`.

        Raises:
            CheckpointError: naming `where` and the key that says something that barrow cannot do.
        """

        def expect(key: str, allowed: tuple[Any, ...], default: Any) -> Any:
            if (value := quantization.get(key, default)) not in allowed:
                raise CheckpointError(
                    f"barrow.checkpoint: {where}: quantization_config.{key} is {value!r}, but barrow reads "
                    f"{' or '.join(repr(each) for each in allowed if each is not None)}"
                )
            return value

        expect("quant_method", ("fp8",), None)
        expect("fmt", ("e4m3", "float8_e4m3fn"), "e4m3")
        expect("activation_scheme", ("dynamic",), "dynamic")
        expect("weight_block_size", ([SCALE_BLOCK, SCALE_BLOCK],), None)
        # transformers writes both of these always: embeddings in FP8 too, and experts in FP4.
        expect("modules_to_convert", ([], None), None)
        expect("expert_dtype", ("fp8", None), None)
        scale_fmt = expect("scale_fmt", ("ue8m0", "float", None), None)
        if unknown := sorted(set(quantization) - _KNOWN):
            raise CheckpointError(
                f"barrow.checkpoint: {where}: quantization_config.{unknown[0]} is not known, and may change the numbers"
            )
        ignored: list[str] = []
        for key in ("modules_to_not_convert", "ignored_layers"):
            names = quantization.get(key) or []
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise CheckpointError(
                    f"barrow.checkpoint: {where}: quantization_config.{key} is {names!r}, not a list of names"
                )
            ignored += names
        return cls(None if scale_fmt is None else scale_fmt == "ue8m0", tuple(ignored))


def read_config(path: Path) -> dict[str, Any]:
    """Return config.json as a dictionary.

    Raises:
        CheckpointError: if it cannot be read or is no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"barrow.checkpoint: {path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"barrow.checkpoint: {path} is not a JSON object")
    return config


def read_format(config: Mapping[str, Any], where: str) -> Format | None:
    """Return the format that a config.json declares; None for a model that is not quantized."""
    quantization = config.get("quantization_config")
    if quantization is None:
        return None
    if not isinstance(quantization, dict):
        raise CheckpointError(f"barrow.checkpoint: {where}: quantization_config is not an object")
    return Format.from_config(quantization, where)
