"""Choices from the table of measurements: their buckets, the GPUs that they hold for, and the model behind them."""

import json
import math
from pathlib import Path
from typing import Literal

import pytest
from choice_probe import SHIPPED, SPECS, Problem, build, run
from cxx import compiler
from hypothesis import given
from hypothesis import strategies as st

from barrow import launcher
from barrow_build.config import tuning

Out = Literal["bf16", "f32"]
OUTS: tuple[Out, ...] = ("bf16", "f32")
KERNELS = tuning.tunable(SPECS)
OUT = {name: spec.out for name, spec in KERNELS.items()}
H100 = (132, 3352)
H200 = (132, 4814)


def model_choice(m: int, n: int, k: int, out: Out = "bf16", num_sms: int = 132, groups: int = 0) -> str:
    candidates = launcher.choose(m, n, k, out, num_sms, groups=groups)
    return min(candidates, key=lambda candidate: candidate["predicted_us"])["kernel"]


def other_than_the_model(m: int, n: int, k: int, out: Out = "bf16", skip: int = 0, groups: int = 0) -> str:
    """A kernel for the table that shows that it is the table's: the model does not choose it."""
    able = [name for name, spec in KERNELS.items() if (spec.out, spec.grouped) == (out, groups > 0)]
    names = [name for name in able if name != model_choice(m, n, k, out, groups=groups)]
    return names[skip % len(names)]


N, K = 2240, 7296
M64, M1024, M8192 = (other_than_the_model(m, N, K) for m in (64, 1024, 8192))
H200_M64 = other_than_the_model(64, N, K, skip=3)
F32_M64 = other_than_the_model(64, N, K, "f32")
SIX = other_than_the_model(6 * 64, N, K, groups=6)
GPUS = (
    tuning.TunedGpu(
        "h100",
        *H100,
        (),
        (
            tuning.Choice(0, N, K, 8192, M8192, 1.1),
            tuning.Choice(0, N, K, 64, M64, 1.1),
            tuning.Choice(0, N, K, 1024, M1024, 1.1),
            tuning.Choice(0, N, K, 64, F32_M64, 1.1),
            tuning.Choice(6, N, K, 64, SIX, 1.1),
        ),
    ),
    tuning.TunedGpu("h200", *H200, (), (tuning.Choice(0, N, K, 64, H200_M64, 1.1),)),
)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if compiler() is None:
        pytest.skip("compiling the choice needs a C++ compiler")
    return build(tmp_path_factory.mktemp("choice"), GPUS)


def ask(program: Path, *problems: Problem) -> list[tuple[str, bool]]:
    return [(line.split()[0], line.endswith(" 1")) for line in run(program, problems)]


@pytest.mark.parametrize(
    ("m", "kernel"),
    [(56, None), (57, M64), (63, M64), (64, M64), (65, None), (960, None), (961, M1024), (1024, M1024), (1025, None)],
)
def test_a_choice_holds_for_its_bucket_of_m_only(probe: Path, m: int, kernel: str | None) -> None:
    expected = (kernel, True) if kernel else (model_choice(m, N, K), False)
    assert ask(probe, ("bf16", m, N, K, *H100, 0)) == [expected]


def test_beyond_the_last_bucket_the_model_chooses(probe: Path) -> None:
    last, beyond = ask(probe, ("bf16", 8192, N, K, *H100, 0), ("bf16", 8193, N, K, *H100, 0))
    assert last == (M8192, True)
    assert beyond == (model_choice(8193, N, K), False)


@pytest.mark.parametrize(("n", "k"), [(N - 1, K), (N + 1, K), (N, K - 1), (N, K + 1), (K, N)])
def test_n_and_k_are_exact(probe: Path, n: int, k: int) -> None:
    assert ask(probe, ("bf16", 64, n, k, *H100, 0)) == [(model_choice(64, n, k), False)]


def test_each_output_has_its_own_choice(probe: Path) -> None:
    assert ask(probe, ("f32", 64, N, K, *H100, 0)) == [(F32_M64, True)]
    assert ask(probe, ("f32", 1024, N, K, *H100, 0)) == [(model_choice(1024, N, K, "f32"), False)]


@pytest.mark.parametrize(
    ("groups", "m", "measured"),
    [(6, 6 * 64, True), (6, 6 * 56 + 1, True), (6, 6 * 56, False), (6, 6 * 64 + 1, False), (5, 5 * 64, False)],
)
def test_groups_are_known_by_their_number_and_their_mean(probe: Path, groups: int, m: int, measured: bool) -> None:
    expected = SIX if measured else model_choice(m, N, K, groups=groups)
    assert ask(probe, ("bf16", m, N, K, *H100, groups)) == [(expected, measured)]


@pytest.mark.parametrize(
    ("num_sms", "memory_gb_s", "kernel"),
    [
        (*H100, M64),
        (*H200, H200_M64),
        (132, 0, M64),  # unknown: the first GPU with as many SMs
        (132, math.ceil(3352 * 0.9), M64),
        (132, math.ceil(3352 * 0.9) - 1, None),
        (132, math.floor(3352 * 1.1), M64),
        (132, math.floor(3352 * 1.1) + 1, None),
        (132, 4000, None),  # between both and near neither, as a GH200
        (132, math.ceil(4814 * 0.9), H200_M64),
        (131, 3352, None),
        (114, 3352, None),
        (131, 0, None),
    ],
)
def test_a_gpu_matches_by_sm_count_and_bandwidth(
    probe: Path, num_sms: int, memory_gb_s: int, kernel: str | None
) -> None:
    expected = (kernel, True) if kernel else (model_choice(64, N, K, num_sms=num_sms), False)
    assert ask(probe, ("bf16", 64, N, K, num_sms, memory_gb_s, 0)) == [expected]


def test_of_two_gpus_within_reach_the_nearer_counts(tmp_path: Path) -> None:
    if compiler() is None:
        pytest.skip("compiling the choice needs a C++ compiler")
    first, second = GPUS[0].choices[1], GPUS[1].choices[0]
    near = [tuning.TunedGpu("a", 132, 3300, (), (first,)), tuning.TunedGpu("b", 132, 3500, (), (second,))]
    program = build(tmp_path, near)
    asked = ask(program, *(("bf16", 64, N, K, 132, gb_s, 0) for gb_s in (3301, 3399, 3401, 3499)))
    assert [kernel for kernel, _ in asked] == [M64, M64, H200_M64, H200_M64]


def test_a_choice_that_cannot_run_falls_back_to_the_model(tmp_path: Path) -> None:
    if compiler() is None:
        pytest.skip("compiling the choice needs a C++ compiler")
    cluster = next(spec for spec in SPECS if spec.out == "bf16" and spec.cluster_k > spec.ctas_per_sm)
    gpu = tuning.TunedGpu("one SM", 1, 100, (), (tuning.Choice(0, N, K, 64, cluster.name, 1.1),))
    ((kernel, measured),) = ask(build(tmp_path, [gpu]), ("bf16", 64, N, K, 1, 100, 0))
    assert (kernel, measured) == (model_choice(64, N, K, num_sms=1), False)


def test_a_choice_is_for_scales_of_blocks_only(probe: Path) -> None:
    for out in OUTS:
        (line,) = run(probe, [(out, 64, N, K, *H100, 0)], row_scales_b=True)
        model = launcher.choose(64, N, K, out, *H100, row_scales_b=True)[0]["kernel"]
        assert line == f"{model} 0"


def test_without_a_table_every_choice_is_the_models(tmp_path: Path) -> None:
    if compiler() is None:
        pytest.skip("compiling the choice needs a C++ compiler")
    assert ask(build(tmp_path, []), ("bf16", 64, N, K, *H100, 0)) == [(model_choice(64, N, K), False)]


def test_what_is_remembered_is_what_would_be_chosen(probe: Path) -> None:
    # More than are remembered, so that they push each other out; the probe compares.
    problems: list[Problem] = [
        (out, m, n, K, *gpu, 0) for m in range(1, 40) for n in (N, 576) for gpu in (H100, H200) for out in OUTS
    ]
    assert ask(probe, *problems, *problems[::-1]) == ask(probe, *problems) + ask(probe, *problems[::-1])


def in_python(m: int, n: int, k: int, out: str, num_sms: int, memory_gb_s: int, groups: int) -> str | None:
    """The lookup once more, from its description, over the shipped tables."""
    edge = next((edge for edge in tuning.M_EDGES if edge * max(groups, 1) >= m), None)
    alike = [gpu for gpu in SHIPPED if gpu.num_sms == num_sms]
    if memory_gb_s:
        alike = [gpu for gpu in alike if abs(gpu.memory_gb_s - memory_gb_s) * 100 <= 10 * gpu.memory_gb_s]
        alike.sort(key=lambda gpu: abs(gpu.memory_gb_s - memory_gb_s))
    choices = alike[0].choices if alike else ()
    found = [c for c in choices if (c.groups, c.n, c.k, c.m, OUT[c.kernel]) == (groups, n, k, edge, out)]
    return found[0].kernel if found else None


SHAPES = sorted({(c.n, c.k) for gpu in SHIPPED for c in gpu.choices}) or [(N, K)]


@given(
    m=st.integers(1, 10_000) | st.sampled_from(tuning.M_EDGES),
    nk=st.sampled_from(SHAPES) | st.tuples(st.integers(1, 9_999), st.integers(1, 9_999)),
    out=st.sampled_from(OUTS),
    num_sms=st.sampled_from([132, 132, 132, 114, 78]),
    memory_gb_s=st.sampled_from([0, 2039, 3352, 3360, 4023, 4814]),
    groups=st.sampled_from([0, 0, 6, 32]),
)
def test_the_installed_launcher_agrees(
    m: int, nk: tuple[int, int], out: Out, num_sms: int, memory_gb_s: int, groups: int
) -> None:
    candidates = launcher.choose(m, *nk, out, num_sms, memory_gb_s, groups=groups)
    expected = in_python(m, *nk, out, num_sms, memory_gb_s, groups)
    assert [c["kernel"] for c in candidates if c["measured"]] == ([expected] if expected else [])
    assert not any(c["measured"] for c in candidates[1:])
    rest = [c["predicted_us"] for c in candidates[1 if expected else 0 :]]
    assert rest == sorted(rest)


def test_every_shipped_choice_is_made() -> None:
    for gpu in SHIPPED:
        for c in gpu.choices:
            m = c.m * max(c.groups, 1)
            first, *_ = launcher.choose(m, c.n, c.k, OUT[c.kernel], gpu.num_sms, gpu.memory_gb_s, groups=c.groups)
            assert (first["kernel"], first["measured"]) == (c.kernel, True)


def test_the_launcher_tells_what_its_table_covers() -> None:
    told = launcher.tuned()
    assert told["m_edges"] == list(tuning.M_EDGES)
    shipped = [(gpu.name, gpu.num_sms, gpu.memory_gb_s, len(gpu.choices)) for gpu in SHIPPED]
    assert [(g["name"], g["num_sms"], g["memory_gb_s"], g["choices"]) for g in told["gpus"]] == shipped
    json.dumps(told)
