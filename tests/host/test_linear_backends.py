"""Which backend a device gets and why the others do not run; what `explain` says, without a GPU."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal
from unittest.mock import Mock

import pytest
import torch
from backend_choices import forget
from torch import nn

from barrow import Fp8Linear, launcher, ops
from barrow.linear import Case, Choice, backends, matmuls, target

GPU = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def _forget_choices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(backends.VARIABLE, raising=False)
    forget()
    yield
    forget()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that pretends another machine."""

    def pretend(
        *,
        capability: tuple[int, int] = (9, 0),
        error: str | None = None,
        torch_sees_it: bool = True,
        cuda: str | None = "13.0",
        hip: str | None = None,
        triton: bool = False,
    ) -> None:
        devices = [{"index": 0, "num_sms": 78, "memory_gb_s": 4023}]
        monkeypatch.setattr(
            launcher, "driver", lambda: {"available": error is None, "error": error, "devices": devices}
        )
        monkeypatch.setattr(torch.cuda, "is_available", lambda: torch_sees_it)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(target, "_triton", lambda: triton)

    return pretend


def choice_on(device: torch.device, preference: tuple[str, ...] | None = None) -> Choice:
    return backends.choose(Case(n=4096, k=4096, target=target.here(device)), preference)


def test_a_hopper_gpu_gets_the_kernels(machine: Any) -> None:
    machine()
    choice = backends.on_device(GPU)
    assert choice.backend.name == "barrow"
    assert choice.others == {
        "cublaslt": "it could, but barrow comes first",
        "triton": "Triton is not installed; pip install barrow[triton]",
        "cpu": "it is for CPU tensors, not for cuda",
        "torch": "it could, but barrow comes first",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"capability": (8, 9)}, "the kernels are for compute capability 9.0 (Hopper), cuda:0 has 8.9"),
        ({"capability": (10, 0)}, "the kernels are for compute capability 9.0 (Hopper), cuda:0 has 10.0"),
        ({"error": "barrow: no NVIDIA driver: x", "triton": True}, "no NVIDIA driver: x"),
        ({"torch_sees_it": False, "triton": True}, f"torch {torch.__version__} sees no CUDA device"),
        ({"hip": "7.0", "cuda": None}, "the kernels run on NVIDIA GPUs, and cuda:0 is AMD's"),
        ({"capability": (7, 5), "triton": True}, "the kernels are for compute capability 9.0 (Hopper), cuda:0 has 7.5"),
    ],
    ids=["ada", "blackwell", "no driver", "torch without CUDA", "ROCm", "turing"],
)
def test_a_gpu_that_cannot_run_them_gets_torch(machine: Any, changes: dict[str, Any], reason: str) -> None:
    machine(**changes)
    choice = backends.on_device(GPU)
    assert choice.backend.name == "torch"
    assert choice.others["barrow"] == reason


@pytest.mark.parametrize("changes", [{"capability": (8, 0)}, {"capability": (10, 0)}, {"hip": "7.0", "cuda": None}])
def test_with_triton_it_gets_the_triton_kernel(machine: Any, changes: dict[str, Any]) -> None:
    machine(triton=True, **changes)
    assert backends.on_device(GPU).backend.name == "triton"


def test_a_build_without_kernels(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    monkeypatch.setattr(launcher, "kernels", list)
    assert backends.on_device(GPU).others["barrow"] == "this build of barrow carries no kernels"


def test_a_torch_too_old_for_cublaslt(machine: Any) -> None:
    machine(cuda="12.8")
    reason = "cuBLASLt takes block scales from CUDA 12.9 on, and torch was built with 12.8"
    assert backends.on_device(GPU).others["cublaslt"] == reason


@pytest.mark.parametrize(("device", "name"), [("cpu", "cpu"), ("meta", "torch"), ("xpu", "torch"), ("mps", "torch")])
def test_other_devices(machine: Any, device: str, name: str) -> None:
    machine()
    choice = backends.on_device(torch.device(device))
    assert choice.backend.name == name
    assert choice.others["barrow"] == f"the kernels run on NVIDIA GPUs, not on {device}"
    assert {choice.backend.name, *choice.others} == set(backends.registered())


def test_a_preference_as_argument_and_as_variable(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    choice = choice_on(GPU, ("torch", "barrow"))
    assert choice.backend.name == "torch"
    assert choice.others["barrow"] == "it could, but torch comes first"
    assert choice.others["cublaslt"] == "the preference leaves it out"
    monkeypatch.setenv(backends.VARIABLE, "triton, cublaslt,torch")
    forget()
    assert choice_on(GPU).backend.name == "cublaslt"
    # The argument is nearer than the variable.
    assert choice_on(GPU, ("barrow",)).backend.name == "barrow"


def test_a_name_may_come_twice(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    once = choice_on(GPU, ("torch", "barrow"))
    assert choice_on(GPU, ("torch", "barrow", "torch")) == once
    monkeypatch.setenv(backends.VARIABLE, "torch,torch,barrow")
    assert choice_on(GPU) == once


def test_a_preference_that_nothing_fulfils(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    with pytest.raises(RuntimeError, match=r"N = 4096, K = 4096 on cpu: .*barrow: the kernels run on NVIDIA GPUs"):
        choice_on(torch.device("cpu"), ("barrow", "triton"))
    with pytest.raises(ValueError, match="backends names 'cutlas'; pass names out of barrow, cublaslt, triton"):
        choice_on(GPU, ("cutlas",))
    monkeypatch.setenv(backends.VARIABLE, "deepgemm")
    forget()
    for call in (
        lambda: backends.choose(Case(n=8, k=8, target=target.here(torch.device("cpu"))), "torch"),
        lambda: Fp8Linear(8, 8, backends="torch"),
    ):
        with pytest.raises(ValueError, match=r"backends is 'torch' but needs to be names in order; pass \('torch',\)"):
            call()
    with pytest.raises(ValueError, match="BARROW_BACKENDS names 'deepgemm'"):
        Fp8Linear(8, 8)(torch.zeros(1, 8))


def test_the_layer_runs_on_the_backend_it_prefers() -> None:
    linear, x = nn.Linear(300, 200), torch.randn(5, 300)
    exact, quantized = (Fp8Linear.from_linear(linear, backends=names) for names in (("torch",), ("cpu",)))
    with torch.no_grad():
        wanted = x @ matmuls.dequantize(exact.weight, exact.weight_scale_inv, torch.float32).T + linear.bias
        torch.testing.assert_close(exact(x), wanted)
        assert not torch.allclose(quantized(x), wanted, rtol=1e-4, atol=1e-4)
    assert exact.explain(5).backend == "torch"
    with pytest.raises(RuntimeError, match="no backend can run"):
        Fp8Linear(300, 200, backends=["triton"])(x)


@pytest.mark.parametrize("m", [1, 16, 128, 4096])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_explain_names_the_kernel_that_the_launcher_chooses(m: int, dtype: torch.dtype) -> None:
    layer = Fp8Linear(7168, 2112)
    out: Literal["bf16", "f32"] = "bf16" if dtype == torch.bfloat16 else "f32"
    best, second, *_ = candidates = launcher.choose(m, 2112, 7168, out, 132)
    found = layer.explain(m, dtype=dtype)
    assert (found.m, found.n, found.k, found.dtype, found.num_sms) == (m, 2112, 7168, dtype, 132)
    assert found.kernel == best["kernel"]
    assert found.kernel.startswith(f"fp8_gemm_nt_{out}_")
    assert f"on 132 SMs, predicted {best['predicted_us']:.1f} us" in found.kernel_reason
    assert f"next of {len(candidates)}: {second['kernel']}" in found.kernel_reason


@pytest.mark.parametrize("capability", [(8, 9), (9, 0)], ids=["ada", "hopper"])
def test_weights_on_a_gpu_without_kernels_are_quantized_by_the_cpu(
    capability: tuple[int, int], machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(capability=capability)
    quantizer = Mock(return_value=(Mock(), Mock()))
    monkeypatch.setattr(ops, "per_block_quant_fp8", quantizer)
    weight = Mock(device=GPU, **{"stride.return_value": 1})
    q, scale = backends.quantize_weight(weight, True)
    quantizer.assert_called_once_with(weight if capability == (9, 0) else weight.cpu(), use_ue8m0=True)
    for made, result in zip(quantizer.return_value, (q, scale), strict=True):
        made.to.assert_called_once_with(GPU)
        assert result is made.to()


def test_explain_counts_the_tiles() -> None:
    found = Fp8Linear(7168, 2112).explain(300)
    table = {kernel["name"]: kernel for kernel in launcher.kernels() if kernel["kind"] == "gemm"}
    assert found.kernel is not None
    spec = table[found.kernel]
    tiles = -(-300 // spec["block_m"]) * -(-2112 // spec["block_n"])
    assert found.kernel_reason.startswith(f"{tiles} tiles of {spec['block_m']}x{spec['block_n']}")


def test_explain_tells_a_split_of_k(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Fp8Linear(7168, 576)
    kernel = layer.explain(4).kernel
    table = [{**spec, "cluster_k": 4} for spec in launcher.kernels() if spec["name"] == kernel]
    monkeypatch.setattr(launcher, "kernels", lambda: table)
    assert " with K split in 4 on 132 SMs" in layer.explain(4).kernel_reason


def test_explain_takes_the_device_of_the_weight_or_another() -> None:
    layer = Fp8Linear.from_linear(nn.Linear(256, 128))
    here = layer.explain(4)
    assert (here.target, here.backend) == (target.Target("cpu", "cpu", triton=target._triton()), "cpu")
    assert "CPU implementation" in here.reason
    there = layer.explain(4, device="meta")
    assert (there.target.device_type, there.backend) == ("meta", "torch")
    assert there.kernel == here.kernel
    for device in (target.named("H20"), "H20"):
        on_h20 = layer.explain(4, device=device)
        assert (on_h20.backend, on_h20.num_sms) == ("barrow", 78)
    with pytest.raises(ValueError, match="no GPU is known by the name 'H7'; pass one of H100, "):
        layer.explain(4, device="H7")


def test_explain_for_a_gpu_with_fewer_sms() -> None:
    # One wave of small tiles on 132 SMs is several on 8.
    reasons = {Fp8Linear(7168, 4096).explain(64, num_sms=sms).kernel_reason for sms in (8, 132)}
    assert len(reasons) == 2


def test_an_explanation_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fp8Linear(8, 8).explain(1).kernel = None  # type: ignore[misc]


@pytest.mark.parametrize(("m", "n", "k"), [(0, 8, 8), (8, 0, 8), (8, 8, 0)])
def test_explain_nothing_to_compute(m: int, n: int, k: int) -> None:
    found = Fp8Linear(k, n).explain(m)
    assert found.kernel is None
    assert found.kernel_reason == "a dimension is 0: no kernel is launched"


@pytest.mark.parametrize("arguments", [{"m": -1}, {"m": 1, "num_sms": 0}, {"m": 1, "dtype": torch.float64}], ids=str)
def test_explain_bad_input(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"barrow.explain: m = .*; pass m >= 0, num_sms >= 1"):
        Fp8Linear(8, 8).explain(**arguments)


def test_explain_on_a_build_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "choose", lambda *_, **__: [])
    found = Fp8Linear(8, 8).explain(1)
    assert found.kernel is None
    assert found.kernel_reason == "this build of barrow carries no kernel with bf16 output"
