"""`Fp8Experts` keeps its weights: layout, constructors, conversions, state dicts; and refuses what does not fit."""

import copy
import io
import re
from typing import Any

import numpy as np
import pytest
import reference
import torch
from torch import Tensor, nn

import barrow
from barrow import Fp8Experts, Fp8Linear, launcher
from barrow.experts import PROJECTIONS
from barrow.experts.compute import COMPUTE
from barrow.linear import Case, backends, named


class Mlp(nn.Module):
    """An expert as models write it."""

    def __init__(self, hidden: int, inner: int, dtype: torch.dtype = torch.float32, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, inner, bias=bias, dtype=dtype)
        self.up_proj = nn.Linear(hidden, inner, bias=bias, dtype=dtype)
        self.down_proj = nn.Linear(inner, hidden, bias=bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return result


def mlps(count: int = 3, hidden: int = 200, inner: int = 192, **options: Any) -> list[Mlp]:
    torch.manual_seed(0)
    return [Mlp(hidden, inner, **options) for _ in range(count)]


def weights(experts: list[Mlp]) -> list[Tensor]:
    """gate, up and down of all experts."""
    return [torch.stack([getattr(each, name).weight for each in experts]).detach() for name in PROJECTIONS]


def same(one: Fp8Experts, other: Fp8Experts) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and reference.same_bits(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("inner", [128, 192, 40])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_every_projection_is_quantized_by_itself(inner: int, use_ue8m0: bool, dtype: torch.dtype) -> None:
    experts = mlps(inner=inner, dtype=dtype)
    layer = Fp8Experts.from_weights(*weights(experts), use_ue8m0=use_ue8m0)
    padded = -(-inner // 128) * 128
    assert {name: tuple(buffer.shape) for name, buffer in layer.named_buffers()} == {
        "gate_up_weight": (3, 2 * padded, 200),
        "gate_up_weight_scale_inv": (3, 2 * padded // 128, 2),
        "down_weight": (3, 200, padded),
        "down_weight_scale_inv": (3, 2, padded // 128),
    }
    for expert, module in enumerate(experts):
        for name in PROJECTIONS:
            wanted = Fp8Linear.from_linear(module.get_submodule(name), use_ue8m0=use_ue8m0)  # type: ignore[arg-type]
            weight, scale = layer.projection(expert, name)
            assert reference.same_bits(weight, wanted.weight)
            assert torch.equal(scale, wanted.weight_scale_inv)
    gate, up = layer.gate_up_weight.float().split(padded, 1)
    assert not gate[:, inner:].any()
    assert not up[:, inner:].any()
    assert not layer.down_weight.float()[..., inner:].any()
    assert same(layer, Fp8Experts.from_experts(experts, use_ue8m0=use_ue8m0))


def test_is_close_to_the_experts_it_came_from() -> None:
    experts = mlps(hidden=300, inner=320)
    layer = Fp8Experts.from_experts(nn.ModuleList(experts))  # type: ignore[arg-type]
    x, ids, routing = torch.randn(20, 300), torch.randint(3, (20, 2)), torch.rand(20, 2)
    with torch.no_grad():
        each = torch.stack([expert(x) for expert in experts], 1)
    wanted = (each[torch.arange(20)[:, None], ids] * routing[..., None]).sum(1)
    # Three roundings to 4 significant bits: of a weight and its input, twice, and of what lies between.
    error = (layer(x, ids, routing) - wanted).norm(dim=1)
    assert (error <= 0.1 * wanted.norm(dim=1)).all()


def test_fp8_projections_are_taken_as_they_are() -> None:
    experts = mlps()
    wanted = Fp8Experts.from_experts(experts)
    for expert in experts:
        barrow.quantize_(expert)
    assert same(Fp8Experts.from_experts(experts), wanted)
    assert not Fp8Experts.from_experts([expert.eval() for expert in experts]).training


@pytest.mark.parametrize(
    "convert",
    [lambda layer: layer.half(), lambda layer: layer.double().bfloat16(), lambda layer: layer.to("cpu", torch.float16)],
    ids=["half", "twice", "to device and dtype"],
)
def test_conversions_leave_the_format_alone(convert: Any) -> None:
    layer = Fp8Experts.from_experts(mlps())
    before = copy.deepcopy(layer)
    assert convert(layer) is layer
    assert same(layer, before)
    assert list(layer.parameters()) == []


def test_moves_between_devices() -> None:
    layer = Fp8Experts.from_experts(mlps()).to("meta", torch.float16).to_empty(device="cpu")
    assert {name: buffer.dtype for name, buffer in layer.named_buffers()} == Fp8Experts.FORMATS


@pytest.mark.parametrize("assign", [False, True])
def test_state_dict_round_trip_through_a_file(assign: bool) -> None:
    layer = Fp8Experts.from_experts(mlps())
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = Fp8Experts(3, 200, 192, device="meta" if assign else "cpu")
    other.load_state_dict(torch.load(file), assign=assign)
    assert same(other, layer)


@pytest.mark.parametrize("strict", [False, True])
def test_loading_weights_of_another_dtype_is_an_error(strict: bool) -> None:
    layer = Fp8Experts.from_experts(mlps())
    before = copy.deepcopy(layer)
    state = {**layer.state_dict(), "down_weight": layer.down_weight.bfloat16()}
    with pytest.raises(
        RuntimeError, match=r"down_weight has dtype torch\.bfloat16, but Fp8Experts needs.*from_weights"
    ):
        layer.load_state_dict(state, strict=strict)
    assert same(layer, before)


def test_a_new_layer_is_zeros() -> None:
    layer = Fp8Experts(4, 130, 40)
    assert torch.equal(layer(torch.randn(3, 130), torch.ones(3, 2).int(), torch.ones(3, 2)), torch.zeros(3, 130))


def test_its_representation() -> None:
    assert repr(Fp8Experts(4, 130, 40, use_ue8m0=True)) == (
        "Fp8Experts(num_experts=4, hidden=130, intermediate=40, use_ue8m0=True)"
    )
    assert "intermediate=40, local=1:3, use_ue8m0=False" in repr(Fp8Experts(4, 130, 40, local=range(1, 3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fp8Experts(0, 8, 8), r"num_experts = 0; pass at least 1"),
        (lambda: Fp8Experts(1, 0, 8), r"hidden = 0; pass at least 1"),
        (lambda: Fp8Experts(1, 8, 0), r"intermediate = 0; pass at least 1"),
        (lambda: Fp8Experts(4, 8, 8, local=range(2, 5)), r"local = range\(2, 5\); pass range\(a, b\) with .* b <= 4"),
        (lambda: Fp8Experts(4, 8, 8, local=range(0, 4, 2)), r"local = range\(0, 4, 2\); pass"),
        (
            lambda: Fp8Experts.from_weights(torch.ones(2, 8, 4), torch.ones(2, 8, 4), torch.ones(2, 8, 4)),
            r"down \[2, 8",
        ),
        (lambda: Fp8Experts.from_weights(*[torch.ones(4, 4)] * 3), r"gate \[4, 4\].*pass \[E, I, H\] twice"),
        (lambda: Fp8Experts(4, 8, 8, local=[0, 1]), r"local = \[0, 1\]; pass range\(a, b\)"),  # type: ignore[arg-type]
        (lambda: Fp8Experts(4, 8, 8).explain(-1, -8), r"tokens = -1; pass at least 0"),
        (lambda: Fp8Experts.from_experts([]), r"there are no experts"),
        (lambda: Fp8Experts.from_experts(mlps(bias=True)), r"gate_proj of expert 0 has a bias; pass experts"),
        (lambda: Fp8Experts.from_experts([nn.Linear(3, 3)]), r"gate_proj of expert 0 is NoneType; pass experts"),
        (
            lambda: Fp8Experts.from_experts([Mlp(8, 4), Mlp(8, 5)]),
            r"weight of gate_proj of expert 1 has shape \[5, 8\] but needs \[4, 8\]",
        ),
        (lambda: Fp8Experts(4, 8, 8, local=range(1, 3)).projection(3, "up_proj"), r"up_proj of expert 3 is not here"),
        (lambda: Fp8Experts(4, 8, 8).projection(3, "w1"), r"w1 of expert 3 .* one of gate_proj, up_proj, down_proj"),
        (
            lambda: Fp8Experts(4, 8, 8).fill(0, "up_proj", torch.ones(8, 8), torch.ones(2, 1)),
            r"scale of up_proj of expert 0 has shape \[2, 1\] but needs \[1, 1\]",
        ),
    ],
)
def test_what_is_no_mixture(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"barrow.Fp8Experts.*: .*{message}"):
        make()


def test_a_projection_that_does_not_fit_leaves_the_layer_alone() -> None:
    layer = Fp8Experts.from_experts(mlps())
    before = copy.deepcopy(layer)
    weight, scale = (each.clone().fill_(1.0) for each in layer.projection(1, "up_proj"))
    with pytest.raises(ValueError, match=r"the scale of up_proj of expert 1 has shape \[2, 1\] but needs \[2, 2\]"):
        layer.fill(1, "up_proj", weight, scale[:, :1])
    with pytest.raises(RuntimeError, match=r"the weight of up_proj of expert 1 is torch\.bfloat16 and has a scale"):
        layer.fill(1, "up_proj", weight.bfloat16(), scale)
    assert same(layer, before)
    layer.fill(1, "up_proj", weight, scale)
    assert not same(layer, before)


def test_weights_of_another_dtype() -> None:
    with pytest.raises(RuntimeError, match="float64 but needs bfloat16, float16 or float32"):
        Fp8Experts.from_weights(*[torch.ones(1, 4, 4, dtype=torch.float64)] * 3)


X, IDS, WEIGHTS = torch.zeros(5, 130), torch.zeros(5, 2, dtype=torch.int32), torch.zeros(5, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:, 1:], IDS, WEIGHTS), r"x is float32 of shape \[5, 129\] on cpu; pass .* of shape \[T, 130\] on cpu"),
        ((X.double(), IDS, WEIGHTS), r"x is float64 of shape \[5, 130\]"),
        ((X[0], IDS, WEIGHTS), r"x is float32 of shape \[130\]"),
        ((X.to("meta"), IDS, WEIGHTS), r"x is .* on meta; pass .* on cpu"),
        ((X, IDS[:4], WEIGHTS), r"topk_ids is int32 of shape \[4, 2\] on cpu; pass int32 or int64 of shape \[5, k\]"),
        ((X, IDS.float(), WEIGHTS), r"topk_ids is float32"),
        ((X, IDS[:, 0], WEIGHTS), r"topk_ids is int32 of shape \[5\]"),
        ((X, IDS.to("meta"), WEIGHTS), r"topk_ids is .* on meta; pass .* on cpu"),
        ((X, IDS, WEIGHTS[:, :1]), r"topk_weights is float32 of shape \[5, 1\] on cpu; pass floating .* \[5, 2\]"),
        ((X, IDS, IDS), r"topk_weights is int32"),
        ((X, IDS, WEIGHTS.to("meta")), r"topk_weights is .* on meta; pass .* on cpu"),
    ],
)
def test_bad_input(arguments: tuple[Tensor, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=f"barrow.Fp8Experts: {message}"):
        Fp8Experts(3, 130, 40)(*arguments)


@pytest.mark.parametrize("value", [None, [1.0], np.ones((5, 2), np.float32)], ids=["None", "list", "array"])
def test_what_is_no_tensor(value: Any) -> None:
    told = f"barrow.Fp8Experts: {{}} is a {type(value).__name__} but needs to be a tensor; pass a torch.Tensor: "
    for name in ("x", "topk_ids", "topk_weights"):
        with pytest.raises(TypeError, match=told.format(name)):
            Fp8Experts(3, 130, 40)(**{"x": X, "topk_ids": IDS, "topk_weights": WEIGHTS, name: value})
    for name in ("gate", "up", "down"):
        with pytest.raises(TypeError, match=told.format(name)):
            Fp8Experts.from_weights(**{"gate": X[None], "up": X[None], "down": X.T[None], name: value})


@pytest.mark.parametrize("preference", [None, ["torch"]])
def test_inputs_that_require_grad(preference: list[str] | None) -> None:
    layer = Fp8Experts(3, 130, 40, backends=preference)
    with pytest.raises(
        RuntimeError, match=r"barrow.Fp8Experts: x, topk_weights requires grad, but there is no backward"
    ):
        layer(X.clone().requires_grad_(), IDS, WEIGHTS.clone().requires_grad_())
    with torch.no_grad():
        layer(X.clone().requires_grad_(), IDS, WEIGHTS)


def test_only_backends_that_run_experts_are_chosen() -> None:
    ours = {name for name, backend in backends.registered().items() if backend.experts}
    assert ours == set(COMPUTE)
    wanted = {"H100": "barrow", "A100": "torch", "MI300X": "torch", "cpu": "cpu"}
    for name, backend in wanted.items():
        choice = backends.choose(Case(n=4096, k=7168, target=named(name), experts=256))
        assert choice.backend.name == backend
        assert choice.others["triton"] == "it multiplies by one matrix, not by those of many experts"
    with pytest.raises(
        RuntimeError, match=r"no backend can run 3 experts with N = 256, K = 130 on cpu: .*triton: it mult"
    ):
        Fp8Experts(3, 130, 40, backends=["triton"])(X, IDS, WEIGHTS)


@pytest.mark.parametrize(("tokens", "top_k"), [(1, 8), (64, 8), (4096, 8)])
def test_explain_names_the_kernels_that_the_launcher_chooses(tokens: int, top_k: int) -> None:
    layer = Fp8Experts(256, 512, 192, device="meta")
    found = layer.explain(tokens, top_k, device=named("H100"), dtype=torch.float16)
    rows = tokens * top_k
    for each, (n, k) in zip(found, ((512, 512), (512, 256)), strict=True):
        best, *_ = launcher.choose(rows, n, k, "bf16", 132, 3352, groups=256)
        assert (each.m, each.n, each.k, each.experts) == (rows, n, k, 256)
        assert (each.backend, each.kernel) == ("barrow", best["kernel"])
        # Nobody knows which experts have rows and how many, so neither is told, nor tiles that it would take.
        told = rf"tiles of \d+x\d+( with K split in \d)? on 132 SMs, predicted {best['predicted_us']:.1f} us"
        assert re.fullmatch(rf"{told}(, measured as the fastest)?; next of .*", each.kernel_reason)
    assert layer.explain(0, top_k).down.kernel is None
    assert layer.explain(1, top_k).down.backend == "torch"
    assert Fp8Experts(4, 8, 8, local=range(2, 2)).explain(tokens, top_k).gate_up.kernel is None
