"""How do kernels of the catalogue compare on a shape, in one run and beside DeepGEMM?

    python benchmarks/compare_kernels.py --shape 512x2112x7168 --kernel 128x64x128_s8_k1_w2 64x64 --deep-gemm DIR

A kernel is asked for by a part of its name, all that have it take part, each with B loaded ahead and not. This is for
a change of a kernel: give the new one another name beside the old one's, and both are timed at the same clocks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from barrow.bench.machine import this_machine
from barrow.bench.measure import Row, Settings, measure
from barrow.bench.providers import Activation, Provider, Weight, deep_gemms, import_deep_gemm
from barrow.bench.shapes import Problem, parse_nk
from barrow.bench.summary import DEEP_GEMM, speedups
from barrow.tune.sweep import gemm_kernels, indices

PREFIX = "fp8_gemm_nt_bf16_sm90a_"


class Kernel:
    """One kernel, whatever the launcher would choose."""

    fp8 = True

    def __init__(self, name: str, index: int, ahead: bool) -> None:
        self.name = name.removeprefix(PREFIX) + (" ahead" if ahead else "")
        self._index, self._ahead = index, ahead

    def prepare(self) -> None:
        pass

    def run(self, a: Activation, b: Weight, out: torch.Tensor) -> None:
        torch.ops.barrow.fp8_gemm_nt_with(a.q, a.scale, b.q, b.scale, self._index, self._ahead, out=out)


def named(parts: Sequence[str]) -> list[Provider]:
    """The bfloat16 kernels of plain products whose names hold one of `parts`."""
    plain = [kernel["name"] for kernel in gemm_kernels() if kernel["kind"] == "gemm" and kernel["out"] == "bf16"]
    found = [name for name in plain if any(part in name for part in parts)]
    if not found:
        raise SystemExit(f"no kernel has any of {', '.join(parts)} in its name; barrow info --kernels lists them")
    index = indices()
    return [Kernel(name, index[name], ahead) for name in found for ahead in (False, True)]


def shape(text: str) -> Problem:
    """`512x2112x7168` as M, N, K."""
    m, _, nk = text.partition("x")
    return int(m), *parse_nk(nk)


def tell(row: Row) -> None:
    print(f"\nM = {row['m']}, N = {row['n']}, K = {row['k']}: floor {row['floor_us']:.2f} us")
    for name, us in sorted(row["us"].items(), key=lambda item: float(item[1])):
        beside = "".join(f"  {ratio:.3f} of DeepGEMM's speed" for ratio, _ in speedups([row], DEEP_GEMM, (name,)))
        print(f"{us:10.2f} us  {name}{'' if name in DEEP_GEMM else beside}")
    for name, why in row["failed"].items():
        print(f"    no time  {name}: {why}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=shape, nargs="+", required=True, metavar="MxNxK")
    parser.add_argument("--kernel", nargs="+", required=True, metavar="PART", help="of a kernel's name")
    parser.add_argument("--deep-gemm", type=Path, metavar="DIR", help="folder that holds deep_gemm/")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    contenders = named(args.kernel)
    if args.deep_gemm:
        contenders += deep_gemms(import_deep_gemm(args.deep_gemm))
    for row in measure(this_machine(), contenders, args.shape, Settings(rounds=args.rounds)):
        tell(row)


if __name__ == "__main__":
    main()
