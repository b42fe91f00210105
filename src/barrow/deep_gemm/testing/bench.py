"""Timing on a GPU, with the interface of DeepGEMM's tests; benchmarks/ has the project's own."""

import contextlib
import os
from collections.abc import Callable, Iterator

import torch

# More than any L2 holds.
L2_FLUSH_BYTES = 256_000_000


def bench(fn: Callable[[], object], num_warmups: int = 5, num_tests: int = 10, high_precision: bool = False) -> float:
    """Seconds of one call, by events around `num_tests` of them; `high_precision` hides the launches' host time."""
    torch.cuda.synchronize()
    torch.empty(L2_FLUSH_BYTES, dtype=torch.uint8, device="cuda").zero_()
    for _ in range(num_warmups):
        fn()
    if high_precision:
        # The host runs ahead while the GPU is at a large product.
        large = torch.randn((8192, 8192), device="cuda")
        large @ large
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(num_tests):
        fn()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / num_tests / 1e3


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what the process prints, from C++ too, to nowhere."""
    saved = [os.dup(1), os.dup(2)]
    with open(os.devnull, "w") as nowhere:
        try:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            for target, copy in enumerate(saved, start=1):
                os.dup2(copy, target)
                os.close(copy)


def bench_kineto(
    fn: Callable[[], object],
    kernel_names: str | tuple[str, ...],
    num_tests: int = 30,
    suppress_kineto_output: bool = False,
    trace_path: str | None = None,
    flush_l2: bool = True,
    with_multiple_kernels: bool = False,
    barrier: Callable[[], object] | None = None,
) -> float | tuple[float, ...]:
    """Seconds that one call spends in the kernels whose names contain `kernel_names`, by torch's profiler.

    What is one kernel of DeepGEMM's may be several of barrow's, so all that match are added up, `with_multiple_kernels`
    or not, and a single name that no kernel has stands for the whole call.

    Returns:
        One number for a name, a tuple for a tuple of names, with 0.0 for one that no kernel has. With
        DG_USE_NVIDIA_TOOLS=1, which tells that another profiler is attached, nothing is measured and every time is 1.0.
    """
    names = (kernel_names,) if isinstance(kernel_names, str) else kernel_names
    if os.environ.get("DG_USE_NVIDIA_TOOLS", "0") != "0":
        times = [1.0] * len(names)
        return times[0] if isinstance(kernel_names, str) else tuple(times)

    fn()
    with _silence() if suppress_kineto_output else contextlib.nullcontext():
        schedule = torch.profiler.schedule(wait=0, warmup=1, active=1, repeat=1)
        activities = [torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities, schedule=schedule, acc_events=True) as profiler:
            for _ in range(2):
                for _ in range(num_tests):
                    if flush_l2:
                        torch.empty(L2_FLUSH_BYTES, dtype=torch.uint8, device="cuda").zero_()
                    if barrier is not None:
                        barrier()
                    fn()
                torch.cuda.synchronize()
                profiler.step()
    if trace_path is not None:
        profiler.export_chrome_trace(trace_path)

    events = profiler.key_averages()
    times = [sum(event.device_time_total for event in events if name in event.key) / num_tests / 1e6 for name in names]
    return (times[0] or bench(fn)) if isinstance(kernel_names, str) else tuple(times)
