"""A layer's shards on several processes, experts dealt out to them, and DTensor sharding rules of the operators.

Importing this registers the rules with torch.
"""

from barrow.parallel import sharding
from barrow.parallel.experts import ExpertParallel, experts_of, take_experts
from barrow.parallel.layers import RowParallelFp8Linear, column_parallel, parallelize_, row_parallel

sharding.register()

__all__ = [
    "ExpertParallel",
    "RowParallelFp8Linear",
    "column_parallel",
    "experts_of",
    "parallelize_",
    "row_parallel",
    "take_experts",
]
