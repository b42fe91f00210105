"""A whole layer of experts in the benchmark: contenders, routing, room for any routing, what is judged."""

import builtins
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_on_cpu import H100, TorchGlue, Unable, pretend

import barrow.deep_gemm
from barrow.bench import expert_layers, experts
from barrow.bench.expert_layers import ALIGNMENT, LAYOUTS, BarrowLayer, DeepGemmLayer, Layer, Layout, Room
from barrow.bench.groups import Quantised
from barrow.bench.measure import dequantised
from barrow.bench.summary import LAYERS, LAYERS_PDL
from barrow.experts import Fp8Experts

SIZES = (10, 256, 128)
TOP_K = 3


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Fp8Experts:
    pretend(monkeypatch, {"barrow": 2.0, **dict.fromkeys(LAYERS, 3.0)})
    return experts.drawn_experts(*SIZES)


def peers(layer: Fp8Experts) -> list[Layer]:
    return [DeepGemmLayer(barrow.deep_gemm, TorchGlue(), layer, layout, False) for layout in LAYOUTS]


@pytest.mark.parametrize("tokens", [1, 5, 140])
def test_all_contenders_compute_the_layer(tokens: int, layer: Fp8Experts) -> None:
    row = experts.measure_tokens(H100, layer, [BarrowLayer(layer), *peers(layer)], tokens, 3, TOP_K)
    assert (row["us"], row["failed"]) == ({"barrow": 2.0, **dict.fromkeys(LAYERS, 3.0)}, {})
    assert all(0 < error < experts.WRONG_TOKEN for error in row["relative_error"].values())
    assert (row["m"], row["experts"], row["top_k"]) == (tokens, 10, TOP_K)
    assert row["samples"]["barrow"] == (2.0,) * 3
    assert row["active"] == 3 if tokens == 1 else 3 <= row["active"] <= 10


def test_a_layer_is_called_with_each_routing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pretend(monkeypatch, {"barrow": 2.0})
    layer = experts.drawn_experts(*SIZES)
    list(experts.measure_experts(H100, layer, [BarrowLayer(layer)], [8], 3))
    assert seen == [{"barrow": experts.ROUTINGS}]


class OneLess(BarrowLayer):
    """It forgets an expert of the last token."""

    name = "one_less"

    def run(self, x: torch.Tensor, ids: torch.Tensor, routing: torch.Tensor) -> torch.Tensor:
        routing = routing.clone()
        routing[-1, -1] = 0
        return super().run(x, ids, routing)


def test_one_token_without_one_of_its_experts_is_a_wrong_result(layer: Fp8Experts) -> None:
    row = experts.measure_tokens(H100, layer, [OneLess(layer)], 64, 3, 8)
    assert row["us"] == {}
    assert row["failed"]["one_less"].startswith("wrong result: relative error 0.")


def test_the_reference_is_the_layer_in_float32(layer: Fp8Experts) -> None:
    """Against the backend that dequantises all weights: what is left is the quantisation of activations."""
    plain = Fp8Experts(*SIZES, backends=["torch"])
    plain.load_state_dict(layer.state_dict())
    x, routing = torch.randn(20, SIZES[1]), experts.drawn_routing(20, SIZES[0], TOP_K, 0)
    want = plain(x, routing.ids, routing.weights)
    got = experts.reference(layer, x, routing)
    assert float((got - want).norm() / want.norm()) < 0.08
    # Neither so large that SiLU is a step nor so small that it is linear.
    gates = [x @ dequantised(Quantised(*layer.projection(e, "gate_proj"))).t() for e in range(10)]
    assert 0.8 < float(torch.cat(gates).std()) < 1.25


def test_routings_are_distinct_and_the_same_everywhere(layer: Fp8Experts) -> None:
    first, again, other = (experts.drawn_routing(50, 256, 8, seed) for seed in (0, 0, 1))
    assert all(len(set(ids)) == 8 for ids in first.ids.tolist())
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.ids, other.ids)
    torch.testing.assert_close(first.weights.sum(1), torch.ones(50))


def test_the_floor_is_the_weights_of_experts_that_have_a_token(layer: Fp8Experts) -> None:
    _, hidden, intermediate = SIZES
    size = 3 * hidden * intermediate
    assert experts.floor_us(H100, layer, 4, TOP_K, 6) == pytest.approx((6 * size + 4 * 4 * hidden) / 3.0e6)


def rows_of(ids: list[list[int]], count: int) -> int:
    sizes = [sum(row.count(expert) for row in ids) for expert in range(count)]
    return sum(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes)


@pytest.mark.parametrize("tokens", [1, 4, 33, 200])
def test_there_is_room_for_any_routing_and_not_more(tokens: int) -> None:
    generator = random.Random(0)
    room = Room.of("ends", tokens, 4, 16)
    assert (room.slabs, room.expected_m) == (1, -(-tokens * 4 // 16))
    for _ in range(50):
        # Few experts take most, so that all others have a row or none.
        likely = generator.sample(range(16), generator.randint(4, 16))
        assert rows_of([generator.sample(likely, 4) for _ in range(tokens)], 16) <= room.rows
    used = min(tokens * 4, 16)
    worst = [[expert] for expert in range(used)] + [[0]] * (tokens * 4 - used)
    assert rows_of(worst, 16) <= room.rows < rows_of(worst, 16) + ALIGNMENT
    masked = Room.of("masked", tokens, 4, 16)
    assert (masked.slabs, masked.rows) == (16, -(-tokens // 128) * 128)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_contender_sets_its_librarys_switches(layout: Layout, layer: Fp8Experts) -> None:
    module = Unable()
    one = DeepGemmLayer(module, TorchGlue(), layer, layout, True)  # type: ignore[arg-type]
    one.prepare()
    assert one.name in LAYERS_PDL
    assert module.calls == ["set_pdl True", f"set_mk_alignment_for_contiguous_layout {ALIGNMENT}"]


def test_the_cache_is_filled_for_each_layout_and_product(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})
    module, tasks = Unable(), []
    monkeypatch.setattr(expert_layers, "import_deep_gemm", lambda folder: module)
    monkeypatch.setattr(expert_layers, "in_processes", lambda work, folder, found, n: tasks.extend(found))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    expert_layers.warm_layers(None, SIZES, [1, 200], TOP_K, 4)
    assert [(task.layout, task.n, task.k) for task in tasks] == [
        (layout, *nk) for layout in LAYOUTS for nk in ((256, 256), (256, 128))
    ]
    expert_layers._compile(None, tasks)
    contiguous, masked = "m_grouped_fp8_gemm_nt_contiguous", "m_grouped_fp8_gemm_nt_masked"
    assert module.calls[1:] == [contiguous] * 8 + [masked] * 4


def test_operands_for_compiling_are_of_no_expert(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are not filled there, so nothing may come of them."""
    pretend(monkeypatch, {})
    monkeypatch.setattr(expert_layers, "import_deep_gemm", lambda folder: barrow.deep_gemm)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    made: list[torch.Tensor] = []

    def multiply(*arguments: Any) -> None:
        made.append(arguments[-1])

    monkeypatch.setattr(expert_layers, "multiply", multiply)
    expert_layers._compile(None, [expert_layers.Compilation(layout, 4, 8, 128, (3,), 2) for layout in LAYOUTS])
    assert [set(groups.tolist()) for groups in made] == [{-1}, {0}, {0}]


def test_without_triton_the_peer_is_left_out(layer: Fp8Experts, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def no_triton(name: str, *rest: Any) -> Any:
        if name == "triton":
            raise ImportError("No module named 'triton'")
        return plain(name, *rest)

    monkeypatch.setattr(expert_layers, "import_deep_gemm", lambda folder: barrow.deep_gemm)
    monkeypatch.setattr(builtins, "__import__", no_triton)
    # Imported by another test, it would be found in both places.
    monkeypatch.delitem(sys.modules, "barrow.bench.triton_experts", raising=False)
    monkeypatch.delattr("barrow.bench.triton_experts", raising=False)
    found, missing = expert_layers.layers(layer, ("deep_gemm", "bf16"), None)
    assert [one.name for one in found] == ["barrow"]
    assert missing["deep_gemm"].startswith("what surrounds its kernels is in Triton: ImportError: No module named")
    assert not expert_layers.can_take_part(("deep_gemm",), None)


def test_deep_gemm_is_left_out_where_it_is_not_asked_for(layer: Fp8Experts) -> None:
    found, missing = expert_layers.layers(layer, ("bf16",), None)
    assert ([one.name for one in found], missing) == (["barrow"], {})


# Triton's interpreter rounds wrongly to e4m3, so nothing here needs rounding: elements have four bits, and the largest
# of each 128 is 448, or 14 behind a gate of 32, which SiLU leaves as it is.
INTERPRETED = """
import torch
from bench_on_cpu import TorchGlue
from barrow.bench import triton_experts
from barrow.bench.expert_layers import ALIGNMENT, LAYOUTS, Room

TOP_K, HIDDEN, INTERMEDIATE = 3, 1152, 256
torch.manual_seed(0)
for layout in LAYOUTS:
    # Experts without a token, and with more than a tile has rows.
    for tokens, experts in ((1, 10), (3, 10), (90, 4)):
        ids = torch.stack([torch.randperm(experts)[:TOP_K] for _ in range(tokens)]).int()
        room = Room.of(layout, tokens, TOP_K, experts)
        made = []
        for glue in (triton_experts, TorchGlue()):
            torch.manual_seed(1)
            positions, groups = glue.route(ids, experts, layout, room.rows, ALIGNMENT)
            a = torch.zeros(room.slabs, room.rows, HIDDEN, dtype=torch.float8_e4m3fn)
            a_scale = torch.zeros(room.slabs, HIDDEN // 128, room.rows)
            x = torch.randint(-15, 16, (tokens, HIDDEN))
            x[:, ::128] = 448
            glue.scatter(x.bfloat16(), positions, a, a_scale)
            b = torch.zeros(room.slabs, room.rows, INTERMEDIATE, dtype=torch.float8_e4m3fn)
            b_scale = torch.zeros(room.slabs, INTERMEDIATE // 128, room.rows)
            up = torch.randint(-14, 15, (room.slabs, room.rows, INTERMEDIATE))
            gate = torch.where(torch.rand(up.shape) < 0.2, -200, 32)
            gate[..., ::128], up[..., ::128] = 32, 14
            glue.activate(torch.cat([gate, up], -1).bfloat16(), positions, b, b_scale)
            out = torch.empty(tokens, HIDDEN, dtype=torch.bfloat16)
            y = torch.randn(room.slabs, room.rows, HIDDEN, dtype=torch.bfloat16)
            glue.gather(y, positions, torch.rand(tokens, TOP_K), out)
            assert a_scale.max() == b_scale.max() == 1
            made.append((positions, groups, a.float(), a_scale, b.float(), b_scale, out))
        *exact, summed = zip(*made, strict=True)
        assert all(torch.equal(got, want) for got, want in exact), (layout, tokens)
        torch.testing.assert_close(*summed)
"""


def test_triton_does_what_torch_does() -> None:
    pytest.importorskip("triton", reason="Triton is an extra, and not published for this Python")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from barrow.bench import triton_experts as kernels

TYPES = dict(ids_ptr="*i32", positions_ptr="*i32", groups_ptr="*i32", x_ptr="*bf16", y_ptr="*bf16", out_ptr="*bf16")
TYPES |= dict(q_ptr="*fp8e4nv", scale_ptr="*fp32", weights_ptr="*fp32")
CONSTANTS = dict(EXPERTS=256, ALIGNMENT=64, BINS=512, BLOCK=1024, BLOCKS=8, TOP_K=8)


def build(kernel, **constants):
    names = kernel.arg_names
    constants = {name: value for name, value in (CONSTANTS | constants).items() if name in names}
    types = {name: "constexpr" if name in constants else TYPES.get(name, "i32") for name in names}
    triton.compile(ASTSource(kernel, types, constexprs=constants), target=GPUTarget("cuda", 90, 32))


for layout in ("indices", "ends", "masked"):
    build(kernels._route, LAYOUT=layout)
for kernel in (kernels._scatter, kernels._activate, kernels._gather):
    build(kernel)
"""


def test_triton_compiles_for_hopper(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="Triton is an extra, and not published for this Python")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
