"""One process per GPU, joined by NCCL: what the benchmarks over several GPUs stand on."""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

# rank, number of processes, the file through which they find each other, options
Worker = Callable[[int, int, str, argparse.Namespace], None]


def add_gpus(parser: argparse.ArgumentParser) -> None:
    """Add the option for how many."""
    parser.add_argument("--gpus", type=int, default=2)


def run(worker: Worker, parser: argparse.ArgumentParser) -> None:
    """Parse the command line and start the workers; ends the program where there are fewer GPUs than asked for."""
    options = parser.parse_args()
    if torch.cuda.device_count() < options.gpus:
        parser.error(f"--gpus is {options.gpus}, but torch sees {torch.cuda.device_count()}")
    # In-switch reduction needs a fabric manager that not every machine gives to its users.
    os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
    with tempfile.TemporaryDirectory() as folder:
        spawn(worker, args=(options.gpus, f"{folder}/store", options), nprocs=options.gpus)


@contextmanager
def joined(rank: int, world: int, store: str) -> Iterator[torch.device]:
    """The GPU of this process, while it belongs to the group."""
    torch.cuda.set_device(rank)
    device = torch.device("cuda", rank)
    dist.init_process_group(
        "nccl",
        init_method=f"file://{store}",
        rank=rank,
        world_size=world,
        timeout=timedelta(minutes=2),
        device_id=device,
    )
    yield device
    dist.destroy_process_group()
