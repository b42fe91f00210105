"""Checkpoints in safetensors with block-scaled FP8 weights, as DeepSeek-V3, Qwen3-FP8 and GLM publish them."""

from barrow.checkpoint.errors import CheckpointError
from barrow.checkpoint.files import Checkpoint, TensorInfo
from barrow.checkpoint.format import Format
from barrow.checkpoint.load import load_
from barrow.checkpoint.plan import FUSED

__all__ = ["FUSED", "Checkpoint", "CheckpointError", "Format", "TensorInfo", "load_"]
