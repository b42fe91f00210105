"""Which function answers every use of DeepGEMM in vLLM, SGLang and transformers, read from their wheels.

    python tools/engine_symbols.py --vllm vllm-*.whl --sglang sglang-*.whl --sgl-deep-gemm sgl_deep_gemm-*.whl \
        --transformers transformers-*.whl > docs/results/engine-symbols.md

The wheels come from `pip download --no-deps`; nothing of them is installed or run. A symbol that neither barrow nor the
DeepGEMM beside the engine has is printed as such, and whether the engine asks before it uses it. The exit status is 1
if a keyword is passed that barrow's function does not take, or if a name that the integration relies on is gone.
"""

import argparse
import ast
import inspect
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import barrow.deep_gemm
from barrow.integrations.deep_gemm import REPLACED, TOLD_BOTH

MODULES = ("deep_gemm", "vllm.third_party.deep_gemm")
# What an engine calls the module that it found.
FINDERS = ("_import_deep_gemm",)
NAMES = {"deep_gemm", "dg", "_dg"}
# Of vLLM's function around DeepGEMM's of the same name, which does not pass it on.
WRAPPER_KEYWORDS = {"is_deep_gemm_e8m0_used"}
# Of SGLang's DeepGEMM alone: the product tells a copy to other GPUs how far it is. Calls with them go there.
HANDED_ON = {"enable_overlap", "max_block_n", "signal"}
SUBMODULES = ("utils", "layout", "math", "testing", "legacy")

# (file, text, whatever its line breaks) that the integrations and their documentation rely on.
RELIED_ON = {
    "vllm": [
        ("vllm/plugins/__init__.py", '"vllm.general_plugins"'),
        ("vllm/envs.py", 'env_with_choices( "VLLM_DEEP_GEMM_WARMUP", "relax", [ "skip",'),
        ("vllm/envs.py", '"VLLM_BLOCKSCALE_FP8_GEMM_FLASHINFER"'),
        ("vllm/model_executor/kernels/linear/scaled_mm/flashinfer.py", "condition = input.shape[0] < 32"),
        ("vllm/envs.py", '"VLLM_USE_DEEP_GEMM"'),
        ("vllm/envs.py", '"VLLM_PLUGINS"'),
        ("vllm/utils/deep_gemm.py", 'getattr(_dg, "fp8_gemm_nt", None)'),
        ("vllm/utils/deep_gemm.py", "disable_ue8m0_cast="),
        ("vllm/model_executor/kernels/linear/scaled_mm/deep_gemm.py", "fp8_gemm_nt("),
        (
            "vllm/model_executor/layers/fused_moe/oracle/fp8.py",
            'if envs.is_set("VLLM_USE_DEEP_GEMM") or envs.is_set("VLLM_MOE_USE_DEEP_GEMM"):',
        ),
        (
            "vllm/model_executor/layers/fused_moe/oracle/fp8.py",
            "_move_to_front(_AVAILABLE_BACKENDS, Fp8MoeBackend.FLASHINFER_CUTLASS) "
            "else: _move_to_front(_AVAILABLE_BACKENDS, Fp8MoeBackend.TRITON)",
        ),
        ("vllm/utils/deep_gemm.py", "dg.set_mk_alignment_for_contiguous_layout(value)"),
        ("vllm/model_executor/layers/fused_moe/experts/deep_gemm_moe.py", "with mk_alignment_scope(align_used):"),
        ("vllm/model_executor/layers/fused_moe/experts/deep_gemm_moe.py", "return align <= M and N % align == 0"),
        ("vllm/model_executor/warmup/deep_gemm_warmup.py", "with mk_alignment_scope(align_used):"),
        ("vllm/model_executor/layers/fused_moe/experts/batched_deep_gemm_moe.py", "fp8_m_grouped_gemm_nt_masked("),
    ],
    "sglang": [
        ("sglang/srt/plugins/__init__.py", '"sglang.srt.plugins"'),
        ("sglang/srt/environ.py", "SGLANG_JIT_DEEPGEMM_PRECOMPILE"),
        ("sglang/srt/environ.py", "SGLANG_ENABLE_JIT_DEEPGEMM"),
        ("sglang/srt/layers/deep_gemm_wrapper/entrypoint.py", "deep_gemm.fp8_gemm_nt("),
        ("sglang/srt/layers/deep_gemm_wrapper/entrypoint.py", "deep_gemm.m_grouped_fp8_gemm_nt_contiguous("),
        ("sglang/srt/layers/deep_gemm_wrapper/entrypoint.py", "return deep_gemm.fp8_m_grouped_gemm_nt_masked("),
        (
            "sglang/srt/layers/deep_gemm_wrapper/entrypoint.py",
            'getattr(deep_gemm, "set_mk_alignment_for_contiguous_layout", None)',
        ),
        (
            "sglang/srt/layers/quantization/fp8.py",
            "moe_a2a_backend.is_deepep() or moe_a2a_backend.is_mooncake() or moe_a2a_backend.is_nixl()",
        ),
        (
            "sglang/srt/layers/quantization/fp8_utils.py",
            "if deep_gemm_wrapper.ENABLE_JIT_DEEPGEMM: return deepgemm_w8a8_block_fp8_linear_with_fallback",
        ),
    ],
    "transformers": [
        ("transformers/integrations/finegrained_fp8.py", "def fp8_linear("),
        (
            "transformers/integrations/finegrained_fp8.py",
            "return _apply_if_grad( FP8LinearFunction, fp8_linear, input,",
        ),
    ],
}


@dataclass
class Use:
    """Where an engine uses a symbol of DeepGEMM, with which keywords, and whether it asks first if it is there."""

    files: set[str] = field(default_factory=set)
    keywords: set[str] = field(default_factory=set)
    asked: bool = False


def python_files(wheel: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".py"):
                yield name, archive.read(name).decode()


def symbol_of(node: ast.expr, names: set[str]) -> str | None:
    """`x` of `deep_gemm.x` and `deep_gemm.utils.layout.x`."""
    if not isinstance(node, ast.Attribute) or node.attr in SUBMODULES or node.attr.startswith("__"):
        return None
    base = node.value
    while isinstance(base, ast.Attribute) and base.attr in SUBMODULES:
        base = base.value
    return node.attr if isinstance(base, ast.Name) and base.id in names else None


def bound_names(tree: ast.AST) -> set[str]:
    """Variables of a file that hold DeepGEMM."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name.split(".")[0] for a in node.names if a.name.startswith(MODULES)} - {"vllm"}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            found = isinstance(node.value.func, ast.Name) and node.value.func.id in FINDERS
            names |= {target.id for target in node.targets if found and isinstance(target, ast.Name)}
    return names | NAMES if names else set()


def asked_of(node: ast.AST, names: set[str]) -> str | None:
    """`x` of `getattr(deep_gemm, "x", None)` and of `hasattr`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
        holder, name = node.args[:2]
        if isinstance(holder, ast.Name) and holder.id in names and isinstance(name, ast.Constant):
            return str(name.value)
    return None


def variables_of(tree: ast.AST, names: set[str]) -> dict[str, str]:
    """Variables that hold a function of DeepGEMM, `_x_impl = getattr(deep_gemm, "x", None)`, and its name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            symbols = [symbol for part in ast.walk(node.value) if (symbol := asked_of(part, names)) is not None]
            if symbols:
                found[node.targets[0].id] = symbols[0]
    return found


def keys_of(node: ast.AST) -> set[str]:
    """Keys of all dictionaries that are written out within an expression."""
    keys: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            keys |= {str(key.value) for key in part.keys if isinstance(key, ast.Constant)}
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "dict":
            keys |= {keyword.arg for keyword in part.keywords if keyword.arg}
    return keys


def dictionaries_of(scope: ast.AST) -> dict[str, set[str]]:
    """Variables that hold dictionaries, and all keys that they get."""
    found: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(scope):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                found[target.id] |= keys_of(node.value)
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                found[target.value.id] |= {str(key.value) for key in [target.slice] if isinstance(key, ast.Constant)}
    return found


def keywords_of(call: ast.Call, dictionaries: dict[str, set[str]]) -> set[str]:
    """Keywords of a call, those of `**dictionary` too."""
    found = {keyword.arg for keyword in call.keywords if keyword.arg}
    for keyword in call.keywords:
        if keyword.arg is None:
            value = keyword.value
            found |= dictionaries.get(value.id, set()) if isinstance(value, ast.Name) else keys_of(value)
    return found - WRAPPER_KEYWORDS


def keywords_by_symbol(tree: ast.AST, names: set[str]) -> dict[str, set[str]]:
    """Keywords that replaced functions are called with in a file."""
    found: dict[str, set[str]] = defaultdict(set)
    variables = variables_of(tree, names)
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    # A dictionary counts within its function.
    scopes = [(tree, {}), *((function, dictionaries_of(function)) for function in functions)]
    for scope, dictionaries in scopes:
        for node in ast.walk(scope):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else symbol_of(node.func, names) or ""
                called = variables.get(called, called)
                if called in REPLACED:
                    found[called] |= keywords_of(node, dictionaries)
    return found


def uses_of(wheel: Path) -> dict[str, Use]:
    uses: dict[str, Use] = defaultdict(Use)
    for file, text in python_files(wheel):
        if "deep_gemm" not in text or "third_party/deep_gemm/" in file:
            continue
        tree = ast.parse(text)
        names = bound_names(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith(MODULES):
                for alias in node.names:
                    uses[alias.name].files.add(file)
            elif isinstance(node, ast.Attribute) and (symbol := symbol_of(node, names)) is not None:
                uses[symbol].files.add(file)
            elif (symbol := asked_of(node, names)) is not None:
                uses[symbol].files.add(file)
                uses[symbol].asked = True
        for symbol, keywords in keywords_by_symbol(tree, names).items():
            uses[symbol].keywords |= keywords
    return {symbol: use for symbol, use in uses.items() if use.files}


def names_of(wheel: Path, package: str) -> set[str]:
    """All names that a DeepGEMM's Python files define or import at any level of a module."""
    found: set[str] = set()
    for file, text in python_files(wheel):
        if not file.startswith(f"{package}/"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.Assign):
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name for alias in node.names}
    return found


def unknown_keywords(symbol: str, use: Use) -> set[str]:
    return use.keywords - set(inspect.signature(getattr(barrow.deep_gemm, symbol)).parameters) - HANDED_ON


def print_uses(title: str, uses: dict[str, Use], theirs: set[str]) -> list[str]:
    """Print the table of an engine; returns what is wrong."""
    wrong = []
    print(f"\n## {title}\n\n| symbol | answered by | files | keywords |\n|---|---|---|---|")
    for symbol, use in sorted(uses.items(), key=lambda item: (item[0] not in REPLACED, item[0])):
        if symbol in REPLACED and symbol in theirs:
            answer = "barrow"
            wrong += [f"{title}: {symbol} takes no {name}" for name in sorted(unknown_keywords(symbol, use))]
        elif symbol in TOLD_BOTH:
            answer = "both"
        elif symbol in theirs:
            answer = "DeepGEMM"
        else:
            answer = "neither; the engine asks first" if use.asked else "neither"
        print(f"| `{symbol}` | {answer} | {len(use.files)} | {', '.join(sorted(use.keywords))} |")
    return wrong


def missing_texts(engine: str, wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [
            f"{engine}: {file} has no {text!r}"
            for file, text in RELIED_ON[engine]
            if text not in " ".join(archive.read(file).decode().split())
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("vllm", "sglang", "sgl-deep-gemm", "transformers"):
        parser.add_argument(f"--{option}", type=Path, required=True, metavar="WHEEL")
    options = parser.parse_args()

    print("# Who answers the engines' uses of DeepGEMM\n")
    print("Read from the wheels by `tools/engine_symbols.py`, with barrow", barrow.__version__, "and:\n")
    for wheel in (options.vllm, options.sglang, options.sgl_deep_gemm, options.transformers):
        print(f"- {wheel.name}")
    print(
        "\n`barrow`: replaced, and DeepGEMM's own where barrow refuses. `DeepGEMM`: left as it was. `both`: a setting"
    )
    print("that both are told. Keywords are those that the engine passes to a replaced function. All of them are")
    print(
        "parameters of barrow's but",
        ", ".join(f"`{name}`" for name in sorted(HANDED_ON)) + ": a call with one of these",
    )
    print("goes to DeepGEMM.")
    wrong = print_uses("vLLM", uses_of(options.vllm), names_of(options.vllm, "vllm/third_party/deep_gemm"))
    wrong += print_uses("SGLang", uses_of(options.sglang), names_of(options.sgl_deep_gemm, "deep_gemm"))
    print("\n## Names that the integrations rely on\n\n| engine | file | text |\n|---|---|---|")
    for engine, texts in RELIED_ON.items():
        wrong += missing_texts(engine, getattr(options, engine))
        for file, text in texts:
            print(f"| {engine} | {file} | `{text}` |")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
