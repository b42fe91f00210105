"""Compiles the catalogue: every kernel that is not stored yet, in parallel processes, with progress."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TextIO

from barrow_build.aot import cache
from barrow_build.aot.environment import BuildError
from barrow_build.aot.kernel import Compiled, Cubin, Kernel
from barrow_build.aot.nvrtc import compile_kernel, options, toolchain
from barrow_build.aot.sources import read_with_headers
from barrow_build.config import AuxSpec, GemmSpec


def compile_kernels(specs: Sequence[GemmSpec | AuxSpec], root: Path, store: Path, jobs: int) -> Compiled:
    """Compile `specs` from the sources under `root`, keeping cubins in the folder `store`.

    Raises BuildError that names every kernel that failed, the compiler's log with it.
    """
    sources = {name: read_with_headers(root, name) for name in sorted({spec.source for spec in specs})}
    compiler = toolchain()
    keys = {spec: cache.content_key(compiler, options(spec), sources[spec.source]) for spec in specs}
    done = {spec: cubin for spec in specs if (cubin := cache.load(store, keys[spec]))}
    missing = [spec for spec in specs if spec not in done]

    jobs = max(1, min(jobs, len(missing)))
    progress = Progress(len(missing), sys.stdout)
    counts = f"kernels: {len(specs)}, unchanged {len(done)}, to compile {len(missing)}"
    progress.say(f"{counts} in {jobs} jobs" if missing else counts)
    failures = []
    # Processes and not threads: NVRTC compiles one program at a time in a process.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_timed, spec, sources[spec.source]): spec for spec in missing}
        for future in as_completed(running):
            spec = running[future]
            try:
                cubin, seconds = future.result()
                if cubin.spill_bytes:
                    raise BuildError(f"{spec.name}: {cubin.spill_bytes} bytes of registers spill to memory")
            except BuildError as error:
                failures.append(str(error))
                progress.step(f"{spec.name}: failed")
                continue
            cache.store(store, keys[spec], cubin)
            done[spec] = cubin
            progress.step(
                f"{spec.name}: {seconds:.1f} s, {cubin.registers} registers, {cubin.spill_bytes} spilled,"
                f" {len(cubin.image)} bytes"
            )
    progress.close()
    if failures:
        raise BuildError("\n".join([f"{len(failures)} of {len(specs)} kernels failed", *sorted(failures)]))
    inputs = sorted({root / name for closure in sources.values() for name in closure})
    return Compiled(tuple(Kernel(spec, done[spec]) for spec in specs), tuple(inputs), compiler)


def _timed(spec: GemmSpec | AuxSpec, sources: dict[str, bytes]) -> tuple[Cubin, float]:
    start = time.perf_counter()
    return compile_kernel(spec, sources), time.perf_counter() - start


class Progress:
    """One line for each kernel; below them, on a terminal, a bar."""

    def __init__(self, total: int, out: TextIO) -> None:
        self.total, self.out, self.done = total, out, 0
        self.live = out.isatty()

    def say(self, line: str) -> None:
        self.out.write(f"\r\033[K{line}\n" if self.live else f"{line}\n")
        if self.live and self.done < self.total:
            filled = 40 * self.done // self.total
            self.out.write(f"[{'#' * filled}{'.' * (40 - filled)}] {self.done}/{self.total}")
        self.out.flush()

    def step(self, line: str) -> None:
        self.done += 1
        self.say(f"[{self.done:{len(str(self.total))}}/{self.total}] {line}")

    def close(self) -> None:
        if self.live and self.done < self.total:
            self.out.write("\n")
