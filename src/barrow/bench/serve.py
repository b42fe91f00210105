"""The linear layers of one decoder block in sequence: the part of a token step that the GEMM decides.

Attention, norms and activations lie between the layers of a real block and are left out, so each layer multiplies an
activation of its own, which it quantises first.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from barrow.bench.machine import Machine
from barrow.bench.measure import Row, empty_row, judge, multiply, prepared, take_times
from barrow.bench.models import DEEPSEEK_V3, linears
from barrow.bench.providers import Provider, Weight, activation, result, weight
from barrow.bench.timing import Call, in_turn

# DeepSeek-V3 on one GPU. Its first blocks have a dense MLP, all others the shared expert, whose linears these are.
BLOCK = tuple((x.n, x.k) for x in linears(DEEPSEEK_V3) if "self_attn" in x.name or "shared_experts" in x.name)
# The tokens of a step: a decode batch.
SERVE_MS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# The weights of one block are over four times an H100's L2 cache, so two sets are cold when their turn comes.
SETS = 2


def block_weights(layers: Sequence[tuple[int, int]] = BLOCK) -> list[list[Weight]]:
    """`SETS` times one weight for every layer, told as N x K."""
    return [[weight(n, k) for n, k in layers] for _ in range(SETS)]


def measure_step(
    machine: Machine, contenders: Sequence[Provider], m: int, sets: Sequence[Sequence[Weight]], rounds: int
) -> Row:
    """Microseconds that one block's layers take for `m` tokens, for every contender that computes all of them."""
    shapes = [(int(w.q.shape[0]), int(w.q.shape[1])) for w in sets[0]]
    inputs = [activation(m, k) for _, k in shapes]
    outs = [result(a, n) for a, (n, _) in zip(inputs, shapes, strict=True)]
    row = empty_row(m, sum(machine.floor_us(m, n, k, activation_bytes=2) for n, k in shapes))
    able = list(contenders)
    for a, w, out in zip(inputs, sets[0], outs, strict=True):
        able = judge(able, a, w, out, row, quantise=True)
    calls: dict[str, Sequence[Call]] = {}
    for provider in able:
        steps = [
            in_turn([partial(multiply, provider, *layer, True) for layer in zip(inputs, ws, outs, strict=True)])
            for ws in sets
        ]
        calls[provider.name] = prepared(provider, steps)
    take_times(row, calls, rounds)
    return row


def measure_steps(machine: Machine, contenders: Sequence[Provider], ms: Sequence[int], rounds: int) -> Iterator[Row]:
    """A row for every M as soon as it is there."""
    sets = block_weights()
    for m in ms:
        yield measure_step(machine, contenders, m, sets, rounds)
