"""Tensor parallelism: a layer's shards on several processes, and DTensor sharding rules for barrow's operators.

Importing this registers the rules with torch.
"""

from barrow.parallel import sharding
from barrow.parallel.layers import RowParallelFp8Linear, column_parallel, parallelize_, row_parallel

sharding.register()

__all__ = ["RowParallelFp8Linear", "column_parallel", "parallelize_", "row_parallel"]
