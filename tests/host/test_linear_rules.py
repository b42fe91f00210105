"""Which backend can run which shape: every N and K of a dense grid and of real models, on every GPU known by name."""

import pytest
import torch

from barrow import moe_sort
from barrow.linear import Case, Target, backends, rules
from barrow.linear.target import NAMED, named
from barrow.ops.layout import MOST_EXPERTS

# N x K as they occur: dense projections, experts, tensor-parallel splits that cut blocks, and what a shape rule of a
# multiple of 64 and 128 turned away.
REAL_NK = [
    (2112, 7168),
    (576, 7168),
    (1536, 7168),
    (24576, 1536),
    (32768, 512),
    (7168, 16384),
    (129280, 7168),
    (4096, 7168),
    (7168, 2048),
    (1536, 2048),
    (2048, 768),
    (1408, 4096),
    (4096, 1408),
    (3696, 2048),
    (320, 5120),
    (72, 7168),
    (264, 7168),
    (7168, 1152),
    (18432, 7168),
    (896, 16384),
    (100, 100),
    (1, 1),
]
GRID = [(n, k) for n in range(420) for k in range(0, 1100, 50)]
GRID += [(n, k) for n in range(0, 2200, 256) for k in range(1030)]
# All that a server sends: decode, odd batches, prefill.
MS = [0, 1, 2, 3, 5, 8, 63, 64, 65, 127, 128, 129, 1000, 8192]


def test_barrows_kernels_take_every_shape() -> None:
    for target in (NAMED["H100"], NAMED["H200"], NAMED["H20"]):
        assert [nk for nk in GRID + REAL_NK if rules.barrow(Case(*nk, target=target))] == []


def test_cublaslt_takes_exactly_what_torch_and_cublas_both_take() -> None:
    target = NAMED["H100"]
    for n, k in GRID + REAL_NK:
        can = n > 0 and k > 0 and n % 16 == 0 and k % 512 == 0
        assert (rules.cublaslt(Case(n, k, target=target)) is None) == can, (n, k)
    reason = rules.cublaslt(Case(2120, 7168, target=target))
    assert reason == "N is 2120, not a multiple of 16"
    assert rules.cublaslt(Case(4096, 7040, target=target)) == "K is 7040, not a multiple of 512"
    assert rules.cublaslt(Case(0, 512, target=target)) == "N is 0, not a multiple of 16"
    assert "float16" in (rules.cublaslt(Case(4096, 4096, target=target, dtype=torch.float16)) or "")


@pytest.mark.parametrize("name", NAMED)
def test_every_shape_runs_somewhere_on_every_target(name: str) -> None:
    expected = {"H100": "barrow", "MI300X": "triton", "A100": "triton", "B200": "triton", "cpu": "cpu", "xpu": "triton"}
    for n, k in GRID[::97] + REAL_NK:
        found = backends.choose.__wrapped__(Case(n, k, target=NAMED[name])).backend.name
        assert found == expected.get(name, found), (n, k)


@pytest.mark.parametrize("preference", [None, ("cublaslt", "barrow"), ("cublaslt", "triton", "torch"), ("torch",)])
def test_warm_up_and_dispatch_agree(preference: tuple[str, ...] | None) -> None:
    """A layer asks once, for all M; whoever asks for one M gets the same backend."""
    for n, k in REAL_NK:
        whole = backends.choose(Case(n, k, target=NAMED["H100"]), preference).backend
        for m in MS:
            assert backends.choose(Case(n, k, target=NAMED["H100"], m=(m, m)), preference).backend is whole, (m, n, k)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weight_dtype": torch.float8_e5m2}, "the weight is torch.float8_e5m2, not float8_e4m3fn"),
        ({"block": (64, 128)}, "one scale covers 64 x 128 of the weight, not 128 x 128"),
        ({"dtype": torch.float64}, "the input is torch.float64, not bfloat16, float16 or float32"),
        ({"n": 2**31}, "a dimension exceeds 2147483647"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["H100", "A100", "cpu"])
def test_formats_that_nobody_runs(change: dict[str, object], reason: str, name: str) -> None:
    case = Case(**{"n": 256, "k": 256, "target": NAMED[name], **change})  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no backend can run"):
        backends.choose(case)
    for rule in (rules.barrow, rules.cublaslt, rules.triton, rules.cpu, rules.torch_matmul):
        assert rule(case) == reason


def test_more_experts_than_are_told_apart() -> None:
    for count, backend in ((MOST_EXPERTS, "barrow"), (MOST_EXPERTS + 1, "torch")):
        assert backends.choose(Case(8, 8, target=NAMED["H100"], experts=count)).backend.name == backend
    ids = torch.zeros(1, 1, dtype=torch.int32)
    assert moe_sort(ids, MOST_EXPERTS)[0].shape == (MOST_EXPERTS,)
    with pytest.raises(RuntimeError, match=f"needs to be from 1 to {MOST_EXPERTS}"):
        moe_sort(ids, MOST_EXPERTS + 1)


def test_names_of_gpus() -> None:
    assert named("h100") is NAMED["H100"]
    with pytest.raises(ValueError, match="no GPU is known by the name 'H1000'; pass one of H100, "):
        named("H1000")


def test_a_reason_is_one_line() -> None:
    targets = [
        *NAMED.values(),
        Target("broken", "cuda", "nvidia", problem="no driver", triton=True),
        Target("x", "mps"),
    ]
    for target in targets:
        for backend in backends.registered().values():
            reason = backend.why_not(Case(100, 100, target=target))
            assert reason is None or (reason and "\n" not in reason)
