"""`barrow bench` and `barrow tune` on a GPU: every contender computes the product, and times come out."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import barrow
import barrow.deep_gemm
from barrow import cli, launcher
from barrow.bench import experts
from barrow.bench.expert_layers import ALIGNMENT, LAYOUTS, DeepGemmLayer, Layout
from barrow.bench.grouped_problems import GroupedProblem
from barrow.bench.providers import Activation, Bf16, CublasLt, Weight, activation, result, weight
from barrow.cli import bench_mixture
from barrow.tune.sweep import gemm_kernels, worth_timing

# Triton compiles its launchers with the C compiler of the machine.
CAN_TRITON = importlib.util.find_spec("triton") is not None and bool(shutil.which("gcc") or shutil.which("clang"))


def run_json(*arguments: str, out: Path) -> dict[str, list[dict[str, Any]]]:
    assert cli.main([*arguments, "--out", str(out)]) == 0
    data: dict[str, list[dict[str, Any]]] = json.loads(out.read_text())
    return data


def test_every_contender_is_right_and_has_a_time(tmp_path: Path, device: torch.device) -> None:
    data = run_json("bench", "--nk", "512x1024", "--m", "16", "128", "--quant", out=tmp_path / "bench.json")
    expected = {"barrow", "barrow_prefetch", "cublaslt", "bf16"} | ({"triton"} if CAN_TRITON else set())
    for row in data["rows"]:
        assert set(row["us"]) >= expected, row["failed"]
        for name, us in row["us"].items():
            assert 0 < us < 1e4, name


def test_a_warm_cache_and_a_models_layers(tmp_path: Path, device: torch.device) -> None:
    sizes = {
        "num_hidden_layers": 1,
        "hidden_size": 256,
        "intermediate_size": 384,
        "num_attention_heads": 4,
        "head_dim": 64,
    }
    (tmp_path / "config.json").write_text(json.dumps(sizes))
    data = run_json(
        "bench", "--config", str(tmp_path / "config.json"), "--m", "8", "--l2", "warm", "--against", "bf16",
        out=tmp_path / "bench.json",
    )  # fmt: skip
    assert [(row["n"], row["k"]) for row in data["rows"]] == [(768, 256), (256, 256), (256, 384)]
    assert all(set(row["us"]) == {"barrow", "barrow_prefetch", "bf16"} for row in data["rows"])


def test_a_decoder_block_has_a_time(tmp_path: Path, device: torch.device) -> None:
    data = run_json("bench", "--serve-like", "--m", "4", "--against", "cublaslt", "bf16", out=tmp_path / "step.json")
    (row,) = data["rows"]
    assert row["failed"] == {}
    assert set(row["us"]) == {"barrow", "barrow_prefetch", "cublaslt", "bf16"}


@pytest.mark.parametrize(("m", "n", "k"), [(1, 576, 7168), (100, 200, 1000), (130, 2112, 512), (7, 24, 130)])
def test_the_triton_contender_takes_any_shape(m: int, n: int, k: int, device: torch.device) -> None:
    if not CAN_TRITON:
        pytest.skip("Triton or a C compiler for it is not installed here")
    from barrow.bench import triton_gemm

    a, b = activation(m, k), weight(n, k)
    out = result(a, n)
    triton_gemm.fp8_gemm_nt(a.q, a.scale, b.q, b.scale, out)
    want = barrow.fp8_gemm_nt(a.q, a.scale, b.q, b.scale, out_dtype=torch.float32)
    assert float((out.float() - want).norm() / want.norm()) < 0.005


def test_groups_of_every_kind_have_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    problems = [
        GroupedProblem("contiguous", 4, 300, 512, 1024, skewed=True),
        GroupedProblem("masked", 6, 20, 512, 1024),
        GroupedProblem("k_grouped", 3, 256, 512, 1024),
    ]
    monkeypatch.setattr(bench_mixture, "PROBLEMS", problems)
    data = run_json("bench", "--grouped", "--against", "bf16", out=tmp_path / "grouped.json")
    ours = {"barrow", "barrow_prefetch"}
    assert [(row["kind"], set(row["us"])) for row in data["rows"]] == [(p.kind, ours) for p in problems]


def test_a_layer_of_experts_has_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    monkeypatch.setattr(experts, "SIZES", (16, 1024, 512))
    data = run_json("bench", "--experts", "--m", "1", "70", "--against", "bf16", out=tmp_path / "experts.json")
    assert [set(row["us"]) for row in data["rows"]] == [{"barrow"}] * 2


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tokens", [1, 3, 150])
def test_triton_around_grouped_products_makes_a_layer(
    layout: Layout, tokens: int, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    """With barrow in DeepGEMM's place, in a graph, for another routing than the one it was captured with."""
    if not CAN_TRITON:
        pytest.skip("Triton or a C compiler for it is not installed here")
    from barrow.bench import triton_experts

    monkeypatch.setattr(barrow.deep_gemm.utils.layout, "_group_alignment", ALIGNMENT)
    weights = experts.drawn_experts(16, 1152, 512)
    layer = DeepGemmLayer(barrow.deep_gemm, triton_experts, weights, layout, False)
    layer.prepare()
    x = torch.randn(tokens, 1152, device=device, dtype=torch.bfloat16)
    routing, other = (experts.drawn_routing(tokens, 16, 8, seed) for seed in (0, 1))
    layer.run(x, routing.ids, routing.weights)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = layer.run(x, routing.ids, routing.weights)
    routing.ids.copy_(other.ids)
    routing.weights.copy_(other.weights)
    graph.replay()
    want = experts.reference(weights, x, other)
    error = (y.float() - want).norm(dim=1) / want.norm(dim=1)
    assert float(error.max()) < experts.WRONG_TOKEN


def test_peers_take_the_layouts_of_the_benchmark(device: torch.device) -> None:
    a, b = activation(64, 1024), weight(512, 1024)
    want = barrow.fp8_gemm_nt(a.q, a.scale, b.q, b.scale, out_dtype=torch.float32)
    for provider, limit in ((CublasLt(), 0.005), (Bf16(), 0.1)):
        out = result(a, 512)
        provider.run(Activation(a.q, a.scale, a.plain), Weight(b.q, b.scale, b.plain), out)
        assert float((out.float() - want).norm() / want.norm()) < limit, provider.name


def test_tuning_times_every_kernel_and_goes_on(tmp_path: Path, device: torch.device) -> None:
    out = tmp_path / "tune.json"
    first = run_json("tune", "--nk", "576x1024", "--m", "8", out=out)
    kernels = [k for k in gemm_kernels() if k["kind"] == "gemm" and k["out"] == "bf16"]
    assert {row["kernel"] for row in first["rows"]} == {k["name"] for k in kernels if worth_timing(k["block_m"], 8)}
    both = run_json("tune", "--nk", "576x1024", "--m", "8", "128", out=out)
    assert both["rows"][: len(first["rows"])] == first["rows"]
    assert {row["kernel"] for row in both["rows"] if row["m"] == 128} == {k["name"] for k in kernels}


def test_the_driver_tells_the_bandwidth_that_the_table_asks_for(device: torch.device) -> None:
    found = launcher.driver()["devices"][device.index]
    # H100 PCIe to H200: anything else is a wrong attribute or unit.
    assert 1500 < found["memory_gb_s"] < 6000
    name = torch.cuda.get_device_name(device)
    if "H100 80GB HBM3" in name or "H200" in name:
        gpus = [gpu["name"] for gpu in launcher.tuned()["gpus"] if gpu["num_sms"] == found["num_sms"]]
        assert found["memory_gb_s"] == pytest.approx(4814 if "H200" in name else 3352, rel=0.03), gpus
