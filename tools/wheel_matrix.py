"""Installs the wheel in fresh environments, one for each CPython and torch, and writes down whether it works there.

    python tools/wheel_matrix.py --cell python3.10=2.10.0 --cell python3.13=2.15.0 --table docs/results/wheel-matrix.md

A cell is an interpreter (a name on the path, or a path) and a version of torch. Each takes what pip takes for it, which
for most is a CUDA build of several GB: this is for a release, not for every commit. Cells run one after another and are
removed again. Beside the table, a file with the suffix .json has the same rows. Exits with 1 if any cell failed.
"""

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COLUMNS = {
    "python": "CPython",
    "torch": "torch",
    "torch_cuda": "its CUDA",
    "gpu": "GPU",
    "kernels": "kernels",
    "import_s": "import, s",
    "error": "operator's error",
    "result": "result",
}

# Runs in the new environment on the CPU: the GEMM and its quantizers against float64, groups of K, whose operator alone
# takes a list, and a layer of experts, which has the other operators, against its unquantised weights.
CHECK = """
import json, platform, time
import torch
start = time.perf_counter()
import barrow, barrow.launcher
seconds = time.perf_counter() - start
torch.manual_seed(0)
m, n, k = 37, 200, 300
x, w = torch.randn(m, k), torch.randn(n, k)
with torch.no_grad():
    a, a_scale = barrow.per_token_group_quant_fp8(x)
    b, b_scale = barrow.per_block_quant_fp8(w)
    d = barrow.fp8_gemm_nt(a, a_scale, b, b_scale, out_dtype=torch.float32)
exact_a = a.double() * a_scale.double().repeat_interleave(128, 1)[:, :k]
exact_b = b.double() * b_scale.double().repeat_interleave(128, 0)[:n].repeat_interleave(128, 1)[:, :k]
error = ((d - exact_a @ exact_b.T).abs().max() / (exact_a.abs() @ exact_b.abs().T).max()).item()
assert error < 2**-20, f"fp8_gemm_nt is wrong by {error}"
ks, rows_scale = [k, 0], torch.rand(n, 3)
sums = torch.ones(2, m, n)
barrow.k_grouped_fp8_gemm_nt(a, a_scale, b, rows_scale, ks, out=sums)
scaled = b.double() * rows_scale.double().repeat_interleave(128, 1)[:, :k]
apart = torch.stack([sums[0].double() - 1 - exact_a @ scaled.T, sums[1].double() - 1]).abs().max().item()
assert apart < 2**-18 * (exact_a.abs() @ scaled.abs().T).max().item(), f"k_grouped_fp8_gemm_nt is off by {apart}"
gate, up, down = torch.randn(3, 64, k), torch.randn(3, 64, k), torch.randn(3, k, 64)
ids, routing = torch.arange(2 * m).view(m, 2) % 3, torch.rand(m, 2)
with torch.no_grad():
    y = barrow.Fp8Experts.from_weights(gate, up, down)(x, ids, routing)
inner = torch.nn.functional.silu(torch.einsum("mk,eik->mei", x, gate)) * torch.einsum("mk,eik->mei", x, up)
every = torch.einsum("mei,eki->mek", inner, down)
want = (every.gather(1, ids[..., None].expand(m, 2, k)) * routing[..., None]).sum(1)
off = ((y - want).norm() / want.norm()).item()
assert off < 0.1, f"Fp8Experts is off by {off}"
barrow.launcher.verify_pack(barrow.launcher.pack_path())
driver = barrow.launcher.driver()
print(json.dumps({
    "python": platform.python_version(),
    "torch": torch.__version__,
    "torch_cuda": torch.version.cuda or "none",
    "gpu": ", ".join(device["name"] for device in driver["devices"]) or "none",
    "kernels": len(barrow.launcher.kernels()),
    "import_s": round(seconds, 3),
    "error": f"{error:.1e}",
}))
"""


def run_cell(cell: str, wheel: Path) -> dict[str, Any]:
    """Install `wheel` beside the torch of a cell and check it; the row of the table."""
    interpreter, _, torch = cell.rpartition("=")
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        pip = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
        try:
            _run([interpreter, "-m", "venv", folder])
            # numpy is optional for torch, which warns without it.
            _run([*pip, f"torch=={torch}", "numpy"])
            _run([*pip, str(wheel)])
            found: dict[str, Any] = json.loads(_run([python, "-I", "-W", "error", "-c", CHECK]))
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or error.stdout).strip().splitlines()
            name = Path(interpreter).name
            return {"python": name, "torch": torch, "result": f"failed: {lines[-1] if lines else error}"}
    return {**found, "result": "works"}


def _run(command: list[str]) -> str:
    # Another folder than the sources', so that only what is installed can be imported.
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tempfile.gettempdir()).stdout


def table(rows: list[dict[str, Any]], wheel: Path) -> str:
    """The rows as Markdown."""
    cells = [list(COLUMNS.values()), ["---"] * len(COLUMNS)]
    cells += [[str(row.get(key, "")) for key in COLUMNS] for row in rows]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    libc = " ".join(platform.libc_ver())
    return "\n".join(
        [
            "# The wheel in fresh environments",
            "",
            "Written by `tools/wheel_matrix.py`. Each row is a new environment with the torch that pip takes.",
            "The wheel is installed there and imported. The GEMM and groups of K run on the CPU and are held",
            "against float64, a layer of experts against its unquantised weights.",
            "",
            f"`{wheel.name}`, SHA-256 `{digest}`, on {platform.system()} {platform.machine()} with {libc}.",
            "",
            *(f"| {' | '.join(row)} |" for row in cells),
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", action="append", required=True, metavar="PYTHON=TORCH")
    parser.add_argument("--table", type=Path, required=True, help="Markdown file to write")
    args = parser.parse_args()
    wheels = sorted((ROOT / "dist").glob("barrow-*.whl"))
    if len(wheels) != 1:
        print(f"dist/ must hold one wheel of barrow and holds {len(wheels)}; run `make wheel`", file=sys.stderr)
        return 1
    rows = []
    for cell in args.cell:
        rows.append(run_cell(cell, wheels[0]))
        print(json.dumps(rows[-1]), flush=True)
        args.table.parent.mkdir(parents=True, exist_ok=True)
        args.table.write_text(table(rows, wheels[0]))
        args.table.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(row["result"] != "works" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
