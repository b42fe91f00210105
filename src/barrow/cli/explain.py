"""`barrow explain`: what would run each linear layer of a model, or one product, and why; needs no GPU."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Literal

import torch

from barrow import launcher
from barrow.checkpoint.architecture import layers_of_config
from barrow.checkpoint.files import Checkpoint
from barrow.checkpoint.format import read_config, read_format
from barrow.checkpoint.shapes import LayerShape, divide, layers_of_headers
from barrow.cli.exit_status import FAILED
from barrow.cli.shape_options import positive
from barrow.linear.case import GEMM_DTYPE
from barrow.linear.explain import Explanation, explain
from barrow.linear.target import NAMED, Target, here, named

MS = (1, 16, 128, 2048)
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    help_text = "tell what would run a model's linear layers, or one product, and why"
    parser = commands.add_parser(
        "explain",
        help=help_text,
        description=f"{help_text}. No GPU is needed, and of weights only headers are read. Exits with {FAILED} if the "
        "model cannot be read.",
    )
    parser.add_argument("model", nargs="?", type=Path, help="config.json, or a folder with it and safetensors")
    for name, what in (("m", "rows of the input"), ("n", "rows of the weight"), ("k", "columns of both")):
        parser.add_argument(f"--{name}", type=positive, help=f"{what}, instead of a model")
    parser.add_argument("--gpu", help=f"one of {', '.join(NAMED)}; by default the GPU that is here, or an H100")
    parser.add_argument("--tp", type=positive, default=1, help="GPUs that layers are split over")
    parser.add_argument("--ep", type=positive, default=1, help="GPUs that experts are dealt out to")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="of the input")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run, parser=parser)


def _target(name: str | None) -> Target:
    if name is not None:
        return named(name)
    return here(torch.device("cuda", 0)) if launcher.driver()["devices"] else NAMED["H100"]


def _layers(model: Path, tp: int, ep: int) -> list[LayerShape]:
    folder, config_path = (model, model / "config.json") if model.is_dir() else (model.parent, model)
    if model.is_dir() and any(model.glob("*.safetensors")):
        if config_path.exists():
            read_format(read_config(config_path), str(config_path))
        layers = layers_of_headers(Checkpoint(folder).tensors)
    else:
        config = read_config(config_path)
        read_format(config, str(config_path))
        layers = layers_of_config(config, str(config_path), tp)
    return [divide(layer, tp, ep) for layer in layers]


def _at(explanation: Explanation) -> dict[str, Any]:
    ours = explanation.backend == "barrow"
    return {
        "m": explanation.m,
        "kernel": explanation.kernel if ours else None,
        "why": explanation.kernel_reason if ours else explanation.reason,
    }


def _explain_layer(layer: LayerShape, target: Target, dtype: torch.dtype, ep: int) -> dict[str, Any]:
    here = layer.experts // ep
    found = [explain(m, layer.n, layer.k, dtype=dtype, target=target, experts=here) for m in MS]
    return {
        "name": layer.name,
        "count": layer.count,
        "n": layer.n,
        "k": layer.k,
        "experts": layer.experts,
        "experts_here": here,
        "backend": found[0].backend,
        "reason": found[0].reason,
        "others": found[0].others,
        "kernels": [_at(each) for each in found],
    }


def _explain_product(m: int, n: int, k: int, target: Target, dtype: torch.dtype) -> dict[str, Any]:
    found = explain(m, n, k, dtype=dtype, target=target)
    out: Literal["bf16", "f32"] = "bf16" if GEMM_DTYPE[dtype] == torch.bfloat16 else "f32"
    candidates = launcher.choose(m, n, k, out, found.num_sms, target.memory_gb_s) if found.backend == "barrow" else []
    return {
        "m": m,
        "n": n,
        "k": k,
        "backend": found.backend,
        "reason": found.reason,
        "others": found.others,
        "kernels": [
            {
                "kernel": candidate["kernel"],
                "predicted_us": candidate["predicted_us"],
                "measured": candidate["measured"],
                "lost_by": candidate["predicted_us"] / candidates[0]["predicted_us"] - 1,
            }
            for candidate in candidates
        ],
    }


def _others(facts: dict[str, Any]) -> list[str]:
    return [f"  not {name}: {reason}" for name, reason in facts["others"].items()]


def _model_lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"{facts['model']} on {facts['gpu']}, tp {facts['tp']}, ep {facts['ep']}; layers and shapes of one GPU"]
    for layer in facts["layers"]:
        lines += ["", f"{layer['count']} x {layer['name']}, N = {layer['n']}, K = {layer['k']}"]
        if layer["experts"]:
            lines.append(
                f"  one of {layer['experts']} experts, {layer['experts_here']} of them here, groups of one product: "
                "M is the rows of all of these"
            )
        lines.append(f"  {layer['backend']}: {layer['reason']}")
        for at in layer["kernels"]:
            if at["kernel"]:
                lines.append(f"  M = {at['m']:<5} {at['kernel']}: {at['why']}")
        lines += _others(layer)
    return lines


def _product_lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"M = {facts['m']}, N = {facts['n']}, K = {facts['k']} on {facts['gpu']}"]
    lines += [f"  {facts['backend']}: {facts['reason']}", *_others(facts)]
    width = max((len(kernel["kernel"]) for kernel in facts["kernels"]), default=0)
    for i, kernel in enumerate(facts["kernels"]):
        chosen = "chosen, measured as the fastest" if kernel["measured"] else "chosen"
        verdict = chosen if i == 0 else f"legal, {kernel['lost_by']:+.1%}"
        lines.append(f"  {kernel['kernel']:{width}}  predicted {kernel['predicted_us']:8.1f} us, {verdict}")
    return lines


def _shape(options: argparse.Namespace) -> tuple[int, int, int] | None:
    """M, N and K if they are what is asked for; an error where neither they nor a model are whole."""
    given = [options.m, options.n, options.k]
    if (options.model is None) == all(size is None for size in given) or (options.model is None and None in given):
        options.parser.error("pass a model, or --m, --n and --k")
    if options.model is None and (options.tp > 1 or options.ep > 1):
        options.parser.error("--tp and --ep are for a model; pass the N and K of one GPU")
    return (options.m, options.n, options.k) if options.model is None else None


def run(options: argparse.Namespace) -> int:
    """Print the explanation; return 1 if the model cannot be read."""
    shape, dtype = _shape(options), DTYPES[options.dtype]
    try:
        target = _target(options.gpu)
        facts: dict[str, Any] = {"gpu": target.name, "num_sms": target.num_sms, "dtype": options.dtype}
        if shape is not None:
            facts |= _explain_product(*shape, target=target, dtype=dtype)
        else:
            layers = _layers(options.model, options.tp, options.ep)
            facts |= {"model": str(options.model), "tp": options.tp, "ep": options.ep}
            facts["layers"] = [_explain_layer(layer, target, dtype, options.ep) for layer in layers]
    except (ImportError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return FAILED
    lines = _model_lines if shape is None else _product_lines
    print(json.dumps(facts, indent=2) if options.json else "\n".join(lines(facts)))
    return 0
