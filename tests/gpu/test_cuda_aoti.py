"""A quantised block exported by torch.export and compiled by AOTInductor, run by a C++ program without Python."""

from pathlib import Path

import aoti
import torch


@torch.no_grad()
def test_a_package_runs_without_python(tmp_path: Path, device: torch.device) -> None:
    torch.manual_seed(0)
    model = aoti.Block(512, 2112).to(device)
    xs = [torch.randn(m, 512, device=device, dtype=torch.bfloat16) for m in (40, 3, 1000)]
    package = aoti.package(model, xs[0], tmp_path / "block.pt2")
    aoti.build_runner(tmp_path / "runner", "cuda")
    for x, y in zip(xs, aoti.run(tmp_path / "runner", package, xs, tmp_path), strict=True):
        aoti.assert_close(y, model(x))
