"""Experts dealt out to processes: shares of a layer in one process; and real processes over gloo."""

from pathlib import Path
from typing import Any

import experts_worker
import pytest
import reference
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn

from barrow import Fp8Experts, Fp8Linear, parallel


@pytest.mark.parametrize(("experts", "world"), [(256, 8), (5, 3), (3, 5), (1, 4), (128, 1)])
def test_every_expert_has_one_owner(experts: int, world: int) -> None:
    shares = [parallel.experts_of(experts, rank, world) for rank in range(world)]
    assert [expert for share in shares for expert in share] == list(range(experts))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_a_share_has_the_bits_of_the_layer_and_its_own_memory() -> None:
    layer = experts_worker.whole(5, integers=False).eval()
    for local in (range(1, 4), range(5), range(2, 2)):
        share = parallel.take_experts(layer, local)
        assert (share.local, share.num_experts, share.training) == (local, 5, False)
        for name, buffer in share.named_buffers():
            whole = layer.get_buffer(name)
            assert reference.same_bits(buffer, whole[local.start : local.stop])
            assert not len(local) or buffer.untyped_storage().data_ptr() != whole.untyped_storage().data_ptr()
    again = parallel.take_experts(parallel.take_experts(layer, range(1, 4)), range(2, 4))
    assert reference.same_bits(again.down_weight, layer.down_weight[2:4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parallel.experts_of(4, 2, 2), "rank = 2 with world = 2; pass 0 <= rank < world"),
        (
            lambda: parallel.take_experts(Fp8Experts(5, 8, 8, local=range(1, 3)), range(2, 4)),
            r"local = range\(2, 4\), but the layer holds range\(1, 3\)",
        ),
    ],
)
def test_shares_that_are_none(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"barrow.parallel: {message}"):
        call()


def test_plans_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "get_rank", lambda group: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda group: 4)
    model = nn.ModuleDict({"up": Fp8Linear(8, 8), "experts": Fp8Experts(5, 8, 8)})
    for plan, message in (
        ({"experts": "row"}, r"plan\['experts'\] is 'row', but experts is a Fp8Experts; pass 'expert'"),
        ({"*": "expert"}, r"plan\['\*'\] is 'expert', but up is a Fp8Linear; pass 'column' or 'row'"),
    ):
        with pytest.raises(ValueError, match=message):
            parallel.parallelize_(model, plan)  # type: ignore[arg-type]
    assert [type(layer) for layer in model.values()] == [Fp8Linear, Fp8Experts]


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes(world: int, tmp_path: Path) -> None:
    """See experts_worker.py."""
    spawn(experts_worker.main, args=(world, str(tmp_path / "store")), nprocs=world)


def test_one_process_is_enough(tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        layer = experts_worker.whole(3, integers=False)
        x, ids, weights = torch.randn(6, experts_worker.HIDDEN), torch.randint(3, (6, 2)), torch.rand(6, 2)
        assert reference.same_bits(parallel.ExpertParallel(layer)(x, ids, weights), layer(x, ids, weights))
    finally:
        dist.destroy_process_group()
