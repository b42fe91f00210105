"""torch.compile with a number of rows that changes."""

from collections.abc import Callable
from typing import Any

import torch
from reference import same_bits
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

# Of x and weights.
Product = Callable[..., Tensor]


def check_compiles_once(function: Product, backend: str, columns: int, *weights: Tensor) -> Product:
    """One graph for all M > 1 of x [M, columns], and the bits that `function` gives without it; returns the graph."""
    torch.compiler.reset()
    counter: Any = CompileCounterWithBackend(backend)
    compiled: Product = torch.compile(function, backend=counter, fullgraph=True, dynamic=True)
    # 4 and 8 divide evenly into the groups of four rows that the scales are padded to, the others do not.
    for m in (5, 4, 8, 131, 2):
        x = torch.randn(m, columns)
        assert same_bits(compiled(x, *weights), function(x, *weights))
    assert counter.frame_count == 1
    return compiled
