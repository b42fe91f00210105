"""`barrow explain`: of a config.json, of safetensors by their headers, of one product; for named GPUs, without one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from backend_choices import forget
from checkpoints import DEEPSEEK, published, save
from torch import nn

from barrow import cli, launcher
from barrow.linear.target import NAMED

DEEPSEEK_V3 = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "first_k_dense_replace": 3,
    "num_hidden_layers": 61,
    "moe_layer_freq": 1,
    "quantization_config": DEEPSEEK,
}
QWEN3_30B = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_hidden_layers": 48,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
LLAMA_70B = {
    "model_type": "llama",
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
}


def config(folder: Path, content: Any) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert cli.main(["explain", *arguments, "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def shapes(facts: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {layer["name"].split("layers.*.")[1]: (layer["count"], layer["n"], layer["k"]) for layer in facts["layers"]}


def test_deepseek_v3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, DEEPSEEK_V3)
    facts = run(capsys, path, "--gpu", "H100")
    assert shapes(facts) == {
        "self_attn.fused_qkv_a_proj": (61, 2112, 7168),
        "self_attn.q_b_proj": (61, 24576, 1536),
        "self_attn.kv_b_proj": (61, 32768, 512),
        "self_attn.o_proj": (61, 7168, 16384),
        "mlp.gate_up_proj": (3, 36864, 7168),
        "mlp.down_proj": (3, 7168, 18432),
        "mlp.experts.*.gate_up_proj": (58 * 256, 4096, 7168),
        "mlp.experts.*.down_proj": (58 * 256, 7168, 2048),
        "mlp.shared_experts.gate_up_proj": (58, 4096, 7168),
        "mlp.shared_experts.down_proj": (58, 7168, 2048),
    }
    for layer in facts["layers"]:
        assert layer["backend"] == "barrow"
        assert [at["m"] for at in layer["kernels"]] == [1, 16, 128, 2048]
        for at in layer["kernels"]:
            best, *_ = launcher.choose(at["m"], layer["n"], layer["k"], "bf16", 132, groups=layer["experts"])
            assert at["kernel"] == best["kernel"]
    split = shapes(run(capsys, path, "--gpu", "H200", "--tp", "8", "--ep", "8"))
    assert split["self_attn.fused_qkv_a_proj"] == (61, 2112, 7168)
    assert split["self_attn.q_b_proj"] == (61, 3072, 1536)
    assert split["self_attn.o_proj"] == (61, 7168, 2048)
    assert split["mlp.experts.*.down_proj"] == (58 * 32, 7168, 2048)
    assert split["mlp.shared_experts.down_proj"] == (58, 7168, 256)
    assert shapes(run(capsys, path, "--tp", "8"))["mlp.experts.*.down_proj"] == (58 * 256, 7168, 256)


def test_other_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    qwen = shapes(run(capsys, config(tmp_path, QWEN3_30B), "--gpu", "cpu"))
    assert qwen == {
        "self_attn.qkv_proj": (48, 5120, 2048),
        "self_attn.o_proj": (48, 2048, 4096),
        "mlp.experts.*.gate_up_proj": (48 * 128, 1536, 2048),
        "mlp.experts.*.down_proj": (48 * 128, 2048, 768),
    }
    # Four heads of keys and values over eight GPUs: each has a copy of one.
    path = config(tmp_path, QWEN3_30B)
    assert shapes(run(capsys, path, "--tp", "8"))["self_attn.qkv_proj"] == (48, (4 + 2) * 128, 2048)
    # Every other layer is a mixture, and of those one is listed as plain; no number makes it slow.
    sparse = {**QWEN3_30B, "decoder_sparse_step": 2, "mlp_only_layers": [0, 3, 10**9]}
    found = shapes(run(capsys, config(tmp_path, sparse)))
    assert (found["mlp.down_proj"][0], found["mlp.experts.*.down_proj"][0]) == (25, 23 * 128)
    many = shapes(run(capsys, config(tmp_path, {**DEEPSEEK_V3, "num_hidden_layers": 10**12})))
    assert many["mlp.experts.*.down_proj"][0] == (10**12 - 3) * 256
    llama = shapes(run(capsys, config(tmp_path, LLAMA_70B), "--tp", "8"))
    assert llama["self_attn.qkv_proj"] == (80, 1280, 8192)
    assert llama["mlp.down_proj"] == (80, 8192, 3584)


@pytest.mark.parametrize("gpu", NAMED)
def test_every_named_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str], gpu: str) -> None:
    path = config(tmp_path, LLAMA_70B)
    facts = run(capsys, path, "--gpu", gpu)
    for layer in facts["layers"]:
        assert {layer["backend"], *layer["others"]} == {"barrow", "cublaslt", "triton", "cpu", "torch"}
        assert all((at["kernel"] is not None) == (layer["backend"] == "barrow") for at in layer["kernels"])
    assert cli.main(["explain", path, "--gpu", gpu.lower()]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{path} on {gpu}, tp 1, ep 1; layers and shapes of one GPU\n")
    assert "\n80 x model.layers.*.self_attn.o_proj, N = 8192, K = 8192\n" in out
    assert ("not barrow: " in out) == (facts["layers"][0]["backend"] != "barrow")


class Block(nn.Module):
    def __init__(self, experts: int) -> None:
        super().__init__()
        self.q_a_proj = nn.Linear(256, 192, bias=False)
        self.o_proj = nn.Linear(512, 256)
        self.gate = nn.Linear(256, experts, bias=False)
        self.experts = nn.ModuleList(nn.ModuleDict({"up_proj": nn.Linear(256, 128)}) for _ in range(experts))


@pytest.mark.parametrize("quantized", [False, True])
def test_a_folder_of_safetensors(tmp_path: Path, capsys: pytest.CaptureFixture[str], quantized: bool) -> None:
    model = nn.Module()
    model.embed_tokens = nn.Embedding(9, 256)
    model.layers = nn.ModuleList(Block(4) for _ in range(3))
    tensors = published(model, keep=lambda name: not quantized or name.endswith("gate"))
    save(tmp_path, tensors, DEEPSEEK if quantized else None, files=2)
    found = shapes(run(capsys, str(tmp_path), "--tp", "2", "--ep", "2"))
    assert found == {
        "q_a_proj": (3, 192, 256),
        "o_proj": (3, 256, 256),
        "experts.*.up_proj": (6, 128, 256),
    }


def test_only_headers_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file whose tensors take 4 GB, of which nothing is on the disk but the header."""
    size = 2**32
    header = json.dumps({"a.up_proj.weight": {"dtype": "F8_E4M3", "shape": [2**16, 2**16], "data_offsets": [0, size]}})
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header.encode())
        file.truncate(8 + len(header) + size)
    (layer,) = run(capsys, str(tmp_path), "--gpu", "H100")["layers"]
    assert (layer["n"], layer["k"]) == (2**16, 2**16)


@pytest.mark.parametrize(("m", "n", "k"), [(64, 2112, 7168), (1, 1, 1), (8192, 576, 7168)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_one_product(capsys: pytest.CaptureFixture[str], m: int, n: int, k: int, dtype: str) -> None:
    size = ("--m", str(m), "--n", str(n), "--k", str(k), "--dtype", dtype)
    facts = run(capsys, *size, "--gpu", "H20")
    candidates = launcher.choose(m, n, k, "bf16" if dtype == "bfloat16" else "f32", 78, NAMED["H20"].memory_gb_s)
    assert [kernel["kernel"] for kernel in facts["kernels"]] == [candidate["kernel"] for candidate in candidates]
    for kernel, candidate in zip(facts["kernels"], candidates, strict=True):
        lost = candidate["predicted_us"] / candidates[0]["predicted_us"] - 1
        assert kernel["lost_by"] == pytest.approx(lost)
    assert cli.main(["explain", *size, "--gpu", "H20"]) == 0
    out = capsys.readouterr().out
    assert out.count(" us, chosen") == 1
    assert out.count(" us, legal, ") == len(candidates) - 1
    assert run(capsys, *size, "--gpu", "A100")["kernels"] == []


def test_a_gpu_is_explained_with_its_own_bandwidth(capsys: pytest.CaptureFixture[str]) -> None:
    size = ("--m", "8", "--n", "51200", "--k", "5120")
    for gpu, gb_s in (("H100", 3352), ("H200", 4814)):
        (first, *_) = run(capsys, *size, "--gpu", gpu)["kernels"]
        expected = launcher.choose(8, 51200, 5120, "bf16", 132, gb_s)[0]
        assert (first["predicted_us"], first["measured"]) == (expected["predicted_us"], expected["measured"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2', whose layers are not known; pass the folder"),
        ({**LLAMA_70B, "hidden_size": None}, "config.json has no hidden_size"),
        ({**LLAMA_70B, "hidden_size": "big"}, "hidden_size is 'big', not a size"),
        ({**DEEPSEEK_V3, "v_head_dim": 0}, "config.json has no v_head_dim"),
        ({**DEEPSEEK_V3, "mlp_only_layers": 3}, "mlp_only_layers is 3, not a list of numbers"),
        (
            {**LLAMA_70B, "head_dim": 128, "hidden_size": 2**40},
            "no backend can run a layer with N = 10240, K = 1099511627776 on ",
        ),
        ({**LLAMA_70B, "quantization_config": {"quant_method": "gptq"}}, "quant_method is 'gptq'"),
        ([], "is not a JSON object"),
    ],
    ids=str,
)
def test_configs_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, message: str
) -> None:
    assert cli.main(["explain", config(tmp_path, content)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tp", "3"], "qkv_proj: N = 10240 does not divide by 3"),
        (["--gpu", "H1000"], "no GPU is known by the name 'H1000'"),
    ],
)
def test_splits_and_gpus_that_do_not_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.main(["explain", config(tmp_path, LLAMA_70B), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_experts_that_do_not_divide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", config(tmp_path, DEEPSEEK_V3), "--ep", "29"]) == 1
    assert "the number of experts = 256 does not divide by 29" in capsys.readouterr().err


def test_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", str(tmp_path)]) == 1
    assert "config.json cannot be read" in capsys.readouterr().err
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    assert cli.main(["explain", str(tmp_path)]) == 1
    assert "model.safetensors cannot be opened" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["--m", "1", "--n", "1"], ["x", "--m", "1"], ["--m", "0", "--n", "1", "--k", "1"], ["x", "--tp", "-1"]],
    ids=str,
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["explain", *arguments])
    assert "usage: barrow explain" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["abc", "1.5", "0", "2147483648"])
def test_a_size_that_is_none(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["explain", "--m", size, "--n", "1", "--k", "1"])
    assert f"argument --m: {size} is no whole number from 1 to 2^31 - 1" in capsys.readouterr().err


def test_tp_of_one_product(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["explain", "--m", "1", "--n", "1", "--k", "1", "--tp", "2"])
    assert "pass the N and K of one GPU" in capsys.readouterr().err


def test_without_a_name_it_is_the_gpu_that_is_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    product = ("--m", "8", "--n", "64", "--k", "64")
    monkeypatch.setattr(launcher, "driver", lambda: {"available": False, "error": "none", "devices": []})
    assert run(capsys, *product)["gpu"] == "H100"
    devices = [{"index": 0, "num_sms": 78, "memory_gb_s": 4023}]
    monkeypatch.setattr(launcher, "driver", lambda: {"available": True, "error": None, "devices": devices})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    forget()
    facts = run(capsys, *product)
    forget()
    assert (facts["gpu"], facts["num_sms"], facts["backend"]) == ("cuda:0", 78, "barrow")
