"""The experts of a mixture dealt out to processes: tokens travel to the owners of their experts, and results back."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from barrow.experts import Fp8Experts


def check_rank(rank: int, world: int) -> None:
    """Raise ValueError unless there is such a process."""
    if not 0 <= rank < world:
        raise ValueError(f"barrow.parallel: rank = {rank} with world = {world}; pass 0 <= rank < world")


def experts_of(num_experts: int, rank: int, world: int) -> range:
    """The experts that process `rank` of `world` holds: a range, as large as that of the others but for one.

    Raises:
        ValueError: if there is no such process.
    """
    check_rank(rank, world)
    return range(num_experts * rank // world, num_experts * (rank + 1) // world)


def take_experts(layer: Fp8Experts, local: range) -> Fp8Experts:
    """Return a layer with some of the experts of another. It shares no memory with it.

    Raises:
        ValueError: if one of them is not in `layer`.
    """
    if len(local) and not (local[0] in layer.local and local[-1] in layer.local):
        raise ValueError(
            f"barrow.parallel: local = {local}, but the layer holds {layer.local}; pass a range within that"
        )
    taken = Fp8Experts(
        layer.num_experts,
        layer.hidden,
        layer.intermediate,
        local=local,
        use_ue8m0=layer.use_ue8m0,
        device="meta",
        backends=layer.backends,
    )
    first = local.start - layer.local.start
    for name in layer.FORMATS:
        setattr(taken, name, getattr(layer, name)[first : first + len(local)].clone())
    return taken.train(layer.training)


class ExpertParallel(nn.Module):
    """A mixture whose experts lie on the processes of a group, each of which brings tokens of its own.

    A token is sent once to every process that holds at least one of its experts, with all its ids and weights. That
    process adds up its experts' results in float32, by their weights, and sends the sum back, rounded to bfloat16. The
    sums are added in float32 in the order of ranks, and rounded once to x's dtype. So the result is the same every
    time, and differs from that of one process by the rounding of the sums.

    The host waits for the numbers of tokens, so this cannot stand in a CUDA graph. Where all processes have the same
    tokens, a plain `Fp8Experts` with `local` and an all-reduce can.

    Args:
        experts: those of this process, `local` being `experts_of(num_experts, rank, world)`.
        group: the processes; None for all.

    Raises:
        ValueError: if `experts` holds others.
    """

    bounds: Tensor

    def __init__(self, experts: Fp8Experts, *, group: dist.ProcessGroup | None = None) -> None:
        super().__init__()
        rank, world = dist.get_rank(group), dist.get_world_size(group)
        needed = experts_of(experts.num_experts, rank, world)
        if experts.local != needed:
            raise ValueError(
                f"barrow.parallel: experts has local = {experts.local}; process {rank} of {world} needs {needed}"
            )
        self.experts, self.group = experts, group
        ends = [experts_of(experts.num_experts, each, world).stop for each in range(world)]
        bounds = torch.tensor([0, *ends], device=experts.down_weight.device)
        self.register_buffer("bounds", bounds, persistent=False)

    def forward(self, x: Tensor, topk_ids: Tensor, topk_weights: Tensor) -> Tensor:
        """Send this process's tokens through their experts; every process of the group has to call it.

        Args:
            x, topk_ids, topk_weights: see `Fp8Experts.forward`; ids are of the whole mixture. T differs by process and
                may be 0; k, the hidden size and x's dtype are the same everywhere.

        Returns:
            [T, hidden] in x's dtype.

        Raises:
            RuntimeError: as `Fp8Experts.forward`, before anything is sent; the other processes then wait in vain.
        """
        self.experts.check(x, topk_ids, topk_weights)
        theirs = (topk_ids[..., None] >= self.bounds[:-1]) & (topk_ids[..., None] < self.bounds[1:])
        # Tokens, and ids of experts, for each process: what it has to receive, and what memory it needs.
        wanted = theirs.any(1)
        counts = torch.stack([wanted.sum(0), theirs.sum((0, 1))], 1)
        coming = torch.empty_like(counts)
        dist.all_to_all_single(coming, counts, group=self.group)
        (send, _), (receive, ids) = torch.stack([counts, coming]).transpose(1, 2).tolist()
        # In the order of processes, and of tokens for each. Told how many there are, the host need not wait again.
        tokens = wanted.T.nonzero_static(size=sum(send))[:, 1]
        known = topk_ids.masked_fill(~theirs.any(2), -1).int()
        routing = torch.cat([known, topk_weights.float().view(torch.int32)], 1)
        arrived = self._exchange(x[tokens], send, receive)
        arrived_ids, arrived_weights = self._exchange(routing[tokens], send, receive).chunk(2, 1)
        y = self.experts.run(arrived, arrived_ids, arrived_weights.view(torch.float32), sum(ids))
        parts = self._exchange(y, receive, send)
        total = torch.zeros_like(x, dtype=torch.float32)
        # One process after the other: within a part no token occurs twice, so no addition races with another.
        for part, at in zip(parts.split(send), tokens.split(send), strict=True):
            total.index_add_(0, at, part.float())
        return total.to(x.dtype)

    def _exchange(self, rows: Tensor, send: list[int], receive: list[int]) -> Tensor:
        """Rows for each process, one after another, against theirs for this one."""
        arrived = rows.new_empty((sum(receive), *rows.shape[1:]))
        dist.all_to_all_single(arrived, rows.contiguous(), receive, send, group=self.group)
        return arrived
