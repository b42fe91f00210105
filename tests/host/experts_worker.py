"""What each of several processes checks in tests/host/test_parallel_experts.py."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import mixture
import pytest
import reference
import torch
import torch.distributed as dist
from mixture import Routing
from torch import Tensor, nn

from barrow import Fp8Experts, parallel

HIDDEN, INNER, TOP_K = 200, 192, 3


def whole(count: int, *, integers: bool) -> Fp8Experts:
    """The same mixture on every process."""
    return mixture.layer_of((mixture.integers if integers else mixture.randoms)(count, HIDDEN, INNER))


def tokens_of(counts: Sequence[int], rank: int, kind: str, experts: int) -> tuple[Tensor, Routing]:
    """The tokens that process `rank` brings."""
    x = mixture.integer_tokens(counts[rank], HIDDEN, rank)
    return x, mixture.route(kind, counts[rank], TOP_K, experts, rank)


def check_exact(rank: int, world: int, experts: int) -> None:
    """On integers only the rounding of each process's sums shows: so they are rounded, and added, no other way."""
    layer = whole(experts, integers=True)
    shares = [parallel.take_experts(layer, parallel.experts_of(experts, each, world)) for each in range(world)]
    split = parallel.ExpertParallel(shares[rank])
    for counts in ([7, 0, 1, 30], [0, 0, 0, 0], [0, 9, 0, 0], [5, 5, 5, 5]):
        for kind in mixture.ROUTINGS:
            x, routing = tokens_of(counts, rank, kind, experts)
            for dtype in (torch.bfloat16, torch.float32):
                arguments = (x.to(dtype), routing.ids, routing.weights)
                y = split(*arguments)
                assert y.dtype == dtype
                wanted = torch.zeros(x.shape)
                for share in shares:
                    wanted += share(*arguments).float()
                assert torch.equal(y, wanted.to(dtype)), (counts, kind)


def check_random(rank: int, world: int, experts: int) -> None:
    """Against one process with all experts: parts of a sum are rounded on their way, nothing else differs."""
    layer = whole(experts, integers=False)
    share = parallel.ExpertParallel(parallel.take_experts(layer, parallel.experts_of(experts, rank, world)))
    for kind in ("distinct", "repeated", "some nowhere", "far out"):
        generator = torch.Generator().manual_seed(rank)
        x = torch.randn((11 * rank + 3, HIDDEN), generator=generator).bfloat16()
        routing = mixture.route(kind, len(x), TOP_K, experts, rank)
        y, wanted = share(x, routing.ids, routing.weights), layer(x, routing.ids, routing.weights)
        # Each part at most twice as large as the sum of all places, by half a unit in the last of 8 bits.
        places = [layer(x, routing.ids[:, j : j + 1], routing.weights[:, j : j + 1]).double() for j in range(TOP_K)]
        size = sum((place.abs() for place in places), torch.zeros(len(x), HIDDEN, dtype=torch.float64))
        assert ((y.double() - wanted.double()).abs() <= 2.0**-7 * size + 1e-30).all(), kind
        assert reference.same_bits(share(x, routing.ids, routing.weights), y)


def check_a_model(rank: int, world: int) -> None:
    """`parallelize_` deals out the experts of a model, which then is saved and moved without harm."""
    model = nn.ModuleDict({"experts": whole(5, integers=True)})
    x, routing = tokens_of([4] * world, rank, "repeated", 5)
    wanted = model["experts"](x, routing.ids[:, :1], routing.weights[:, :1])
    assert parallel.parallelize_(model, {"*experts": "expert"}) == ["experts"]
    model.half()
    y = model["experts"](x, routing.ids[:, :1], routing.weights[:, :1])
    assert torch.equal(y, wanted)
    assert [name for name in model.state_dict() if "bounds" in name] == []
    mine: Any = model["experts"].experts
    again = nn.ModuleDict({"experts": mine})
    parallel.parallelize_(again, {"*experts": "expert"})
    assert again["experts"].experts is mine


def check_others(rank: int, world: int) -> None:
    """Experts that are another process's are refused."""
    theirs = Fp8Experts(5, 8, 8, local=parallel.experts_of(5, (rank + 1) % world, world))
    with pytest.raises(ValueError, match=f"process {rank} of {world} needs range"):
        parallel.ExpertParallel(theirs)
    share = parallel.ExpertParallel(Fp8Experts(5, 8, 8, local=parallel.experts_of(5, rank, world)))
    with pytest.raises(RuntimeError, match=r"x is float32 of shape \[2, 7\]"):
        share(torch.zeros(2, 7), torch.zeros(2, 1).int(), torch.zeros(2, 1))


def main(rank: int, world: int, store: str) -> None:
    """Run all checks as one of `world` processes that meet in the file `store`."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=timedelta(seconds=60)
    )
    try:
        with torch.no_grad():
            # As many experts as processes, more, and fewer: then some processes hold none.
            for experts in (world, 5, world - 1):
                check_exact(rank, world, experts)
            check_random(rank, world, 5)
            check_a_model(rank, world)
            check_others(rank, world)
    finally:
        dist.destroy_process_group()
