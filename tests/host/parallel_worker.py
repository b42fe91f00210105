"""What each of several processes checks in tests/host/test_parallel.py."""

import copy
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import barrow
from barrow import Fp8Linear, parallel
from barrow.linear import fuse


class Mlp(nn.Module):
    """Gate and up fused with parts that end inside a block, and down, whose shards cut blocks of K."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        halves = [Fp8Linear.from_linear(nn.Linear(hidden, inner, bias=False), backends=["torch"]) for _ in range(2)]
        self.gate_up_proj = fuse(halves)
        self.down_proj = Fp8Linear.from_linear(nn.Linear(inner, hidden), backends=["torch"])

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, -1)
        result: Tensor = self.down_proj(nn.functional.silu(gate) * up)
        return result


def check_modules(world: int) -> None:
    model = Mlp(192, 96 * world)
    x = torch.randn(3, 5, 192, generator=torch.Generator().manual_seed(1))
    wanted = model(x)
    split = copy.deepcopy(model)
    names = parallel.parallelize_(split, {"*gate_up_proj": "column", "down*": "row"})
    assert names == ["gate_up_proj", "down_proj"]
    torch.testing.assert_close(split(x), wanted, rtol=1e-4, atol=1e-5)
    compiled = torch.compile(split, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), wanted, rtol=1e-4, atol=1e-5)


def distributed(layer: Fp8Linear, mesh: DeviceMesh, dim: int) -> Fp8Linear:
    """A copy whose weight and scales are DTensors, split along `dim`."""
    other = copy.deepcopy(layer)
    other.weight = distribute_tensor(layer.weight, mesh, [Shard(dim)], src_data_rank=None)
    other.weight_scale_inv = distribute_tensor(layer.weight_scale_inv, mesh, [Shard(dim)], src_data_rank=None)
    if layer.bias is not None:
        other.bias = distribute_tensor(layer.bias, mesh, [Shard(0) if dim == 0 else Replicate()], src_data_rank=None)
    return other


def check_dtensors(world: int, mesh: DeviceMesh) -> None:
    torch.manual_seed(0)
    size = 128 * world
    up = Fp8Linear.from_linear(nn.Linear(192, 2 * size, bias=False))
    down = Fp8Linear.from_linear(nn.Linear(2 * size, 64))
    x = torch.randn(6, 192)
    y = up(x)
    wanted = down(y)
    split = distributed(up, mesh, 0)(distribute_tensor(x, mesh, [Replicate()], src_data_rank=None))
    assert isinstance(split, DTensor)
    assert split.placements == (Shard(1),)
    torch.testing.assert_close(split.to_local(), y.chunk(world, 1)[mesh.get_rank()], rtol=1e-5, atol=1e-5)
    z = distributed(down, mesh, 1)(split)
    torch.testing.assert_close(z.full_tensor(), wanted, rtol=1e-5, atol=1e-5)
    # Rows of the input: data parallelism over a replicated weight, with shards of different sizes.
    rows = distribute_tensor(torch.randn(2 * world + 1, 192), mesh, [Shard(0)], src_data_rank=None)
    weight, scale = (
        distribute_tensor(each, mesh, [Replicate()], src_data_rank=None) for each in (up.weight, up.weight_scale_inv)
    )
    q, q_scale = barrow.per_token_group_quant_fp8(rows)
    product = barrow.fp8_gemm_nt(q, q_scale, weight, scale, out_dtype=torch.float32)
    assert isinstance(product, DTensor)
    assert product.placements == (Shard(0),)
    torch.testing.assert_close(product.to_local(), up(rows.to_local()), rtol=1e-5, atol=1e-5)
    whole = distribute_tensor(torch.randn(size, 100), mesh, [Shard(0)], src_data_rank=None)
    blocks, scales = barrow.per_block_quant_fp8(whole)
    assert isinstance(blocks, DTensor)
    assert isinstance(scales, DTensor)
    assert blocks.placements == scales.placements == (Shard(0),)


def check_cut_blocks(world: int, mesh: DeviceMesh) -> None:
    layer = Fp8Linear.from_linear(nn.Linear(192 * world, 192 * world))
    x = distribute_tensor(torch.ones(2, 192 * world), mesh, [Replicate()], src_data_rank=None)
    for dim in (0, 1):
        message = f"b has shape .* split in {world} along dimension {dim}, which cuts a block of 128.*column_parallel"
        with pytest.raises(RuntimeError, match=message):
            distributed(layer, mesh, dim)(x)


def main(rank: int, world: int, store: str) -> None:
    """Run all checks as one of `world` processes that meet in the file `store`."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=timedelta(seconds=60)
    )
    try:
        mesh = init_device_mesh("cpu", (world,))
        with torch.no_grad():
            check_modules(world)
            check_dtensors(world, mesh)
            check_cut_blocks(world, mesh)
    finally:
        dist.destroy_process_group()
