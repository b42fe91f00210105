"""The choice of kernels compiled by itself, with any catalogue and any table of measured choices.

    python tests/choice_probe.py

How long does one choice take? Prints nanoseconds for shapes that are in the shipped tables, and for others.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "src"))

from cxx import compiler  # noqa: E402

from barrow_build.aot.kernel import Cubin, Kernel  # noqa: E402
from barrow_build.aot.pack import Packed  # noqa: E402
from barrow_build.aot.table import table  # noqa: E402
from barrow_build.config import ARCHS, GemmSpec, catalogue, tuning  # noqa: E402

# out, m, n, k, num_sms, memory_gb_s, groups
Problem = tuple[str, int, int, int, int, int, int]

SPECS = [spec for arch in ARCHS for spec in catalogue(arch) if isinstance(spec, GemmSpec)]
SHIPPED = tuning.load(tuning.FOLDER, SPECS)


def build(folder: Path, gpus: Sequence[tuning.TunedGpu], specs: Sequence[GemmSpec] = SPECS) -> Path:
    """Compile the launcher's choice with these tables; return the program."""
    found = compiler()
    if found is None:
        raise RuntimeError("compiling the choice needs a C++ compiler")
    placed = [Packed(Kernel(spec, Cubin(b"", 0, 0, 0)), 0) for spec in specs]
    generated = folder / "catalogue.cpp"
    generated.write_text(table(placed, 0, gpus))
    sources = [generated, ROOT / "launcher/choice.cpp", ROOT / "launcher/tuned.cpp", ROOT / "tests/choice_probe.cpp"]
    program = folder / "choice"
    flags = ["-std=c++17", "-O3", "-DNDEBUG", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'launcher'}"]
    subprocess.run([found, *flags, "-o", str(program), *map(str, sources)], check=True)
    return program


def run(program: Path, problems: Sequence[Problem], *arguments: str, row_scales_b: bool = False) -> list[str]:
    """Its lines for these problems."""
    text = "".join(" ".join(map(str, (*problem, int(row_scales_b)))) + "\n" for problem in problems)
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def main() -> None:
    out = {spec.name: spec.out for spec in SPECS}
    known: list[Problem] = [
        (out[c.kernel], c.m * max(c.groups, 1), c.n, c.k, gpu.num_sms, gpu.memory_gb_s, c.groups)
        for gpu in SHIPPED
        for c in gpu.choices
    ]
    # One column more is a shape that no table has.
    others: list[Problem] = [(dtype, m, n + 1, k, sms, gb_s, groups) for dtype, m, n, k, sms, gb_s, groups in known]
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder), SHIPPED)
        for label, problems in (("from the table", known), ("by the cost model", others)):
            if problems:
                anew, again = run(program, problems, "20000")
                print(f"{label}: {anew} ns a choice, {again} ns once it is remembered, {len(problems)} shapes")


if __name__ == "__main__":
    main()
