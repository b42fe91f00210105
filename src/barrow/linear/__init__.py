"""Linear layers on block-scaled FP8 weights."""

from barrow.linear.explain import Explanation
from barrow.linear.layer import Fp8Linear
from barrow.linear.quantize import quantize_

__all__ = ["Explanation", "Fp8Linear", "quantize_"]
