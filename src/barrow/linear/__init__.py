"""Linear layers on block-scaled FP8 weights, and the choice of what runs them."""

from barrow.linear.backends import Backend, Choice, choose
from barrow.linear.case import Case
from barrow.linear.explain import Explanation
from barrow.linear.fused import FusedFp8Linear, fuse, take_rows
from barrow.linear.layer import Fp8Linear
from barrow.linear.quantize import quantize_
from barrow.linear.target import Target, here, named

__all__ = [
    "Backend",
    "Case",
    "Choice",
    "Explanation",
    "Fp8Linear",
    "FusedFp8Linear",
    "Target",
    "choose",
    "fuse",
    "here",
    "named",
    "quantize_",
    "take_rows",
]
