"""Shards of layers: every rank's share in one process, exactly; and real processes over gloo."""

from pathlib import Path
from typing import Any

import parallel_worker
import pytest
import reference
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn

from barrow import Fp8Linear, parallel
from barrow.linear import FusedFp8Linear, fuse
from barrow.ops.layout import scale_blocks


def make(k: int, n: int, *, bias: bool = True, backends: list[str] | None = None) -> Fp8Linear:
    torch.manual_seed(0)
    return Fp8Linear.from_linear(nn.Linear(k, n, bias=bias), backends=backends)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("n", "world"), [(256, 2), (576, 2), (576, 3), (2112, 4), (2112, 8), (24, 8), (384, 3)])
def test_column_parallel_keeps_every_scale(n: int, world: int, bias: bool) -> None:
    layer = make(300, n, bias=bias)
    x = torch.randn(5, 300)
    shards = [parallel.column_parallel(layer, rank, world) for rank in range(world)]
    torch.testing.assert_close(torch.cat([shard(x) for shard in shards], -1), layer(x), rtol=1e-5, atol=1e-5)
    for rank, shard in enumerate(shards):
        assert isinstance(shard, FusedFp8Linear) == (rank * n // world % 128 != 0)
        assert shard.weight.shape[0] < n // world + 128
        assert shard.weight.untyped_storage().data_ptr() != layer.weight.untyped_storage().data_ptr()


@pytest.mark.parametrize("sizes", [(256, 256), (192, 64, 64), (576, 576)])
def test_every_part_of_a_fused_layer_is_split(sizes: tuple[int, ...]) -> None:
    parts = [make(192, size) for size in sizes]
    layer = fuse(parts)
    x = torch.randn(4, 192)
    given = None if isinstance(layer, FusedFp8Linear) else sizes
    for rank in range(2):
        shard = parallel.column_parallel(layer, rank, 2, parts=given)
        wanted = torch.cat([part(x).chunk(2, -1)[rank] for part in parts], -1)
        torch.testing.assert_close(shard(x), wanted, rtol=1e-5, atol=1e-5)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of processes are not added up: the test does it."""
    monkeypatch.setattr(dist, "all_reduce", lambda tensor, group=None: None)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("k", "world"), [(256, 2), (576, 2), (576, 3), (2112, 4), (2112, 8), (24, 8)])
def test_row_parallel_keeps_every_scale(k: int, world: int) -> None:
    layer = make(k, 130, bias=False, backends=["torch"])
    x = torch.randn(5, k)
    shards = [parallel.row_parallel(layer, rank, world) for rank in range(world)]
    total = sum(shard(part).double() for shard, part in zip(shards, x.chunk(world, -1), strict=True))
    exact = x.double() @ reference.dequantize(layer.weight, layer.weight_scale_inv, 128).T
    torch.testing.assert_close(total, exact, rtol=1e-5, atol=1e-5)
    for rank, shard in enumerate(shards):
        first = k // world * rank
        assert shard.lead == first % 128
        assert shard.weight_scale_inv.shape == (2, scale_blocks(shard.lead + k // world))
        assert reference.same_bits(shard.weight[:, shard.lead :], layer.weight[:, first : first + k // world])


@pytest.mark.usefixtures("alone")
def test_row_parallel_on_whole_blocks_quantizes_the_input_alike() -> None:
    layer = make(512, 64, bias=False)
    x = torch.randn(5, 512)
    total = sum(parallel.row_parallel(layer, rank, 2)(part).double() for rank, part in enumerate(x.chunk(2, -1)))
    torch.testing.assert_close(total, layer(x).double(), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("alone")
def test_the_bias_is_added_once_and_in_the_dtype_of_the_input() -> None:
    layer = make(256, 64)
    shard = parallel.row_parallel(layer, 1, 2)
    x = torch.randn(2, 3, 128, dtype=torch.bfloat16)
    y = shard(x)
    assert y.dtype == torch.bfloat16
    assert layer.bias is not None
    torch.testing.assert_close(y - shard(torch.zeros_like(x)) + layer.bias, y.float(), rtol=0.02, atol=0.02)
    assert torch.equal(shard(torch.zeros_like(x))[0, 0], layer.bias.bfloat16())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: parallel.column_parallel(make(64, 130), 0, 4, name="up"),
            "the features of up = 130 does not divide by 4",
        ),
        (
            lambda: parallel.row_parallel(make(130, 64), 0, 4, name="down"),
            "input features of down = 130 does not divide",
        ),
        (lambda: parallel.column_parallel(make(64, 64), 2, 2), "rank = 2 with world = 2"),
        (lambda: parallel.column_parallel(make(64, 64), 0, 2, parts=[32, 16]), "do not add up to 64"),
        (lambda: parallel.row_parallel(fuse([make(64, 3), make(64, 3)]), 0, 2), "layer is fused from several layers"),
        (lambda: parallel.column_parallel(fuse([make(64, 4)] * 2), 0, 2, parts=[8]), r"made of \[4, 4\]"),
        (lambda: parallel.row_parallel(parallel.row_parallel(make(64, 4), 0, 2), 0, 2), "is a RowParallelFp8Linear"),
    ],
    ids=["N", "K", "rank", "parts", "fused", "other parts", "twice"],
)
def test_what_cannot_be_split(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_plans_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "get_rank", lambda group: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda group: 4)
    model = nn.Sequential(make(64, 64), make(64, 130))
    for plan, message in (
        ({"2": "row"}, "'2' matches no Fp8Linear or Fp8Experts of the model; correct it or leave it out"),
        ({"0": "rows"}, r"plan\['0'\] is 'rows', but 0 is a Fp8Linear; pass 'column' or 'row'"),
        ({"*": "column"}, "the features of 1 = 130"),
    ):
        with pytest.raises(ValueError, match=message):
            parallel.parallelize_(model, plan)  # type: ignore[arg-type]
    assert [type(layer) for layer in model] == [Fp8Linear, Fp8Linear]


def test_what_has_no_fp8_layers() -> None:
    with pytest.raises(ValueError, match=r"'0' matches no Fp8Linear or .*; call barrow.quantize_ or barrow.checkpoint"):
        parallel.parallelize_(nn.Sequential(nn.Linear(64, 64)), {"0": "row"})
    with pytest.raises(TypeError, match=r"barrow.parallel: model is a list; pass an nn.Module"):
        parallel.parallelize_([], {})  # type: ignore[arg-type]


def test_a_layer_under_two_names_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "get_rank", lambda group: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda group: 2)
    shared = make(64, 128)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert parallel.parallelize_(model, {"*": "column"}) == ["0", "2"]
    assert model[0] is model[2]
    assert model[0].out_features == 64


def test_a_model_that_is_a_layer() -> None:
    with pytest.raises(
        ValueError, match="model is itself a layer and cannot be replaced in place; use column_parallel"
    ):
        parallel.parallelize_(make(64, 64), {"*": "column"})


def test_an_input_of_another_width() -> None:
    shard = parallel.row_parallel(make(576, 8), 1, 2)
    with pytest.raises(RuntimeError, match=r"x has shape \(2, 320\); pass this process's \[\.\.\., 288\]"):
        shard(torch.zeros(2, 320))
    with pytest.raises(TypeError, match=r"barrow.RowParallelFp8Linear: x is a NoneType but needs to be a tensor"):
        shard(None)


@pytest.mark.parametrize("world", [2, 3])
def test_processes(world: int, tmp_path: Path) -> None:
    """Modules, compiled too, and DTensors: see parallel_worker.py."""
    spawn(parallel_worker.main, args=(world, str(tmp_path / "store")), nprocs=world)
