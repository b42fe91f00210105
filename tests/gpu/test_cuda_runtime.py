"""Streams, host threads, devices, repeatability."""

import threading
from collections.abc import Callable

import pytest
import torch
from exact import Case, Operands, expected, operands
from gemm_kernels import Kernel
from reference import BLOCK, random_problem

import barrow
from barrow.bench.shapes import DEEPSEEK_NK

CASE = Case(130, 264, 1100, a_scale="row_major")
# Long enough on any Hopper that a launch on the wrong stream would overtake it.
SLEEP_CYCLES = 100_000_000


def _run(x: Operands) -> None:
    barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale, out=x.out)


def test_work_goes_to_the_current_stream(device: torch.device) -> None:
    """Inputs arrive late on a side stream, outputs are read on it: any other stream would see stale data."""
    x = operands(CASE, torch.float32, device)
    late, want = x.a.clone(), expected(x)
    x.a.view(torch.uint8).zero_()
    _run(x)
    torch.cuda.synchronize()
    assert not x.out.any()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(SLEEP_CYCLES)
        x.a.view(torch.uint8).copy_(late.view(torch.uint8))
        _run(x)
        seen = x.out.clone()
    stream.synchronize()
    assert torch.equal(seen, want)


def test_the_padding_workspace_stays_alive_on_a_side_stream(device: torch.device) -> None:
    """What copies an unaligned A must not give its workspace to another stream's allocation before it is read."""
    x = operands(Case(257, 100, 1001, a_offset=1, b_pad=3), torch.float32, device)
    want = expected(x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    for _ in range(5):
        with torch.cuda.stream(stream):
            torch.cuda._sleep(SLEEP_CYCLES // 20)
            _run(x)
        # The same sizes as the workspaces, on the other stream, filled with e4m3 NaN.
        for rows in (257, 100):
            torch.full((rows, 1008), 0x7F, dtype=torch.uint8, device=device)
        stream.synchronize()
        assert torch.equal(x.out, want)


def _in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in fresh threads, all starting at once; raise what the first of them raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(count)

    def body(index: int) -> None:
        try:
            barrier.wait()
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_many_host_threads_at_once(device: torch.device) -> None:
    def work(index: int) -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            for turn in range(20):
                x = operands(Case(1 + 37 * index, 40 + 64 * turn, 512), torch.bfloat16, device, seed=turn)
                _run(x)
                assert torch.equal(x.out, expected(x))

    _in_threads(8, work)


def test_a_thread_that_never_used_cuda(device: torch.device) -> None:
    """A new host thread has no current context; the operator must be able to come first in it."""
    x = operands(CASE, torch.bfloat16, device)
    want = expected(x)
    torch.cuda.synchronize()
    _in_threads(1, lambda _: _run(x))
    torch.cuda.synchronize()
    assert torch.equal(x.out, want)


def test_every_gpu_whichever_is_current(device: torch.device) -> None:
    for index in range(torch.cuda.device_count()):
        target = torch.device("cuda", index)
        if torch.cuda.get_device_capability(target) != (9, 0):
            continue
        for current in range(torch.cuda.device_count()):
            with torch.cuda.device(current):
                x = operands(CASE, torch.bfloat16, target)
                out = barrow.fp8_gemm_nt(x.a, x.a_scale, x.b, x.b_scale)
                q, scale = barrow.per_token_group_quant_fp8(x.out.zero_())
                assert torch.cuda.current_device() == current
            assert out.device == q.device == scale.device == target
            assert torch.equal(out, expected(x))


@pytest.mark.parametrize(("m", "n", "k"), [(1, 576, 7168), (64, *DEEPSEEK_NK[0]), (515, 4096, 7168)])
def test_the_same_bits_every_run(m: int, n: int, k: int, device: torch.device) -> None:
    """50 runs on four streams with other work in between."""
    p = random_problem(m, n, k, device=device)
    first = barrow.fp8_gemm_nt(*p.args, out_dtype=torch.float32)
    noise = torch.randn(2048, 2048, device=device)
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream() for _ in range(4)]
    outs = []
    for turn in range(50):
        with torch.cuda.stream(streams[turn % 4]):
            outs.append(barrow.fp8_gemm_nt(*p.args, out_dtype=torch.float32))
            noise @ noise
    torch.cuda.synchronize()
    assert all(torch.equal(first, out) for out in outs)


def test_the_same_bits_from_every_kernel_run_twice(kernel: Kernel, device: torch.device) -> None:
    p = random_problem(200, 1032, 2000, device=device, b_rows=1 if kernel.row_scales_b else BLOCK)
    outs = [torch.empty(200, 1032, dtype=kernel.dtype, device=device) for _ in range(10)]
    for out in outs:
        torch.ops.barrow.fp8_gemm_nt_with(*p.args, kernel.index, out=out)
    assert all(torch.equal(outs[0], out) for out in outs[1:])
