"""`Fp8Experts`: the experts of a mixture on block-scaled FP8 weights, router output in, tokens out."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from barrow.experts.compute import COMPUTE, Weights
from barrow.linear import Explanation, Fp8Linear, Target
from barrow.linear.backends import name_for, preferred, quantize_weight
from barrow.linear.case import GEMM_DTYPE
from barrow.linear.explain import explain
from barrow.linear.formats import Fp8Module
from barrow.linear.target import target_of
from barrow.ops.grad import in_dual_level, refuse_derivatives
from barrow.ops.layout import SCALE_BLOCK, scale_blocks
from barrow.ops.tensors import check_tensors

IDS = (torch.int32, torch.int64)
# Of one expert, by the names that checkpoints and models give them.
PROJECTIONS = ("gate_proj", "up_proj", "down_proj")


class ExpertsExplanation(NamedTuple):
    """Of the product with gate and up, and of that with down."""

    gate_up: Explanation
    down: Explanation


def _projection(expert: nn.Module, index: int, name: str) -> nn.Linear | Fp8Linear:
    """A projection of a module that is an expert."""
    found = getattr(expert, name, None)
    if isinstance(found, (nn.Linear, Fp8Linear)) and found.bias is None:
        return found
    what = "has a bias" if getattr(found, "bias", None) is not None else f"is {type(found).__name__}"
    raise ValueError(
        f"barrow.Fp8Experts: {name} of expert {index} {what}; pass experts whose projections are nn.Linear or "
        "Fp8Linear without a bias"
    )


class Fp8Experts(Fp8Module):
    """y[t] = sum over j of  topk_weights[t, j] * down_e(silu(gate_e(x[t])) * up_e(x[t]))  with e = topk_ids[t, j].

    Weights are float8_e4m3fn with one float32 scale per 128 x 128 block, for inference. The buffers, for E experts
    that lie here, H = hidden and I' = intermediate rounded up to 128:

        gate_up_weight            [E, 2 * I', H]    gate from row 0 on, up from row I' on
        gate_up_weight_scale_inv  [E, 2 * I' / 128, ceil(H / 128)]
        down_weight               [E, H, I']
        down_weight_scale_inv     [E, ceil(H / 128), I' / 128]

    Rows and columns beyond `intermediate` are zeros, which change no result: so gate and up each start a scale block,
    every scale of a checkpoint stays exact, and the product of both is as long as down's rows. A conversion of the
    module (`.half()`) leaves all four alone.

    Where it runs: on barrow's kernels on a Hopper GPU, on barrow's CPU implementation on the CPU; both quantize the
    tokens and the product of gate and up by 1 x 128, write bfloat16 between the steps whatever x is, and add up a
    token's experts in float32, in the order of its slots. Anywhere else torch's matmul runs expert by expert on
    dequantised weights. The first never makes the host wait, so it can stand in a CUDA graph, and gives the same bits
    every time.

    Args:
        num_experts: of the whole mixture; ids go from 0 to num_experts - 1.
        hidden: features of a token.
        intermediate: features between gate and down.
        local: the experts that lie here, a range of step 1; all if None. The others add nothing to the result: that is
            another process's part (`barrow.parallel.ExpertParallel`).
        use_ue8m0: scales are powers of two, those of weights that are quantized here and of activations.
        device: of the buffers.
        backends: names of backends in order of preference, the others not to be used; see `barrow.linear.choose`.

    A layer made by this constructor is all zeros. `from_weights` and `from_experts` make one from weights,
    `barrow.checkpoint.load_` fills it from a checkpoint.

    Raises:
        ValueError: if a size is below 1, or `local` is no range of experts.
    """

    FORMATS: ClassVar = {
        "gate_up_weight": torch.float8_e4m3fn,
        "gate_up_weight_scale_inv": torch.float32,
        "down_weight": torch.float8_e4m3fn,
        "down_weight_scale_inv": torch.float32,
    }
    QUANTIZER = "Fp8Experts.from_weights"
    gate_up_weight: Tensor
    gate_up_weight_scale_inv: Tensor
    down_weight: Tensor
    down_weight_scale_inv: Tensor

    def __init__(
        self,
        num_experts: int,
        hidden: int,
        intermediate: int,
        *,
        local: range | None = None,
        use_ue8m0: bool = False,
        device: torch.device | str | None = None,
        backends: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("num_experts", num_experts), ("hidden", hidden), ("intermediate", intermediate)):
            if size < 1:
                raise ValueError(f"barrow.Fp8Experts: {name} = {size}; pass at least 1")
        self.local = range(num_experts) if local is None else local
        fits = isinstance(self.local, range) and self.local.step == 1
        if not fits or not 0 <= self.local.start <= self.local.stop <= num_experts:
            raise ValueError(f"barrow.Fp8Experts: local = {local}; pass range(a, b) with 0 <= a <= b <= {num_experts}")
        self.num_experts, self.hidden, self.intermediate = num_experts, hidden, intermediate
        self.use_ue8m0 = use_ue8m0
        self.backends = preferred(backends)
        experts, across, inner = len(self.local), scale_blocks(hidden), scale_blocks(intermediate)
        for name, shape in (
            ("gate_up_weight", (experts, 2 * inner * SCALE_BLOCK, hidden)),
            ("gate_up_weight_scale_inv", (experts, 2 * inner, across)),
            ("down_weight", (experts, hidden, inner * SCALE_BLOCK)),
            ("down_weight_scale_inv", (experts, across, inner)),
        ):
            make = torch.ones if name.endswith("scale_inv") else torch.zeros
            self.register_buffer(name, make(shape, dtype=self.FORMATS[name], device=device))

    @classmethod
    def from_weights(
        cls,
        gate: Tensor,
        up: Tensor,
        down: Tensor,
        *,
        use_ue8m0: bool = False,
        backends: Sequence[str] | None = None,
    ) -> "Fp8Experts":
        """Quantize the weights of all experts: gate and up [E, I, H], down [E, H, I], bfloat16, float16 or float32.

        Raises:
            TypeError: if one is no tensor.
            ValueError: if the shapes do not belong together.
            RuntimeError: if a weight has another dtype.
        """
        check_tensors("Fp8Experts", gate=gate, up=up, down=down)
        if gate.dim() != 3 or up.shape != gate.shape or down.shape != gate.transpose(1, 2).shape:
            raise ValueError(
                f"barrow.Fp8Experts: gate {list(gate.shape)}, up {list(up.shape)}, down {list(down.shape)} do not "
                "belong together; pass [E, I, H] twice and [E, H, I]"
            )
        experts, inner, hidden = gate.shape
        layer = cls(experts, hidden, inner, use_ue8m0=use_ue8m0, device=gate.device, backends=backends)
        for name, weights in zip(PROJECTIONS, (gate, up, down), strict=True):
            for expert, weight in enumerate(weights):
                layer.fill(expert, name, weight.detach())
        return layer

    @classmethod
    def from_experts(
        cls, experts: Sequence[nn.Module], *, use_ue8m0: bool = False, backends: Sequence[str] | None = None
    ) -> "Fp8Experts":
        """Take the weights of modules that have `gate_proj`, `up_proj` and `down_proj`, on the device of the first.

        Each of these is an nn.Linear, which is quantized, or an `Fp8Linear`, whose weight and scales are taken as they
        are; neither has a bias. What lies between, the modules' own forward, is taken to be SwiGLU.

        Raises:
            ValueError: naming the projection that is missing, has a bias, or is of another shape.
            RuntimeError: if a plain weight is not bfloat16, float16 or float32.
        """
        layers = [{name: _projection(each, i, name) for name in PROJECTIONS} for i, each in enumerate(experts)]
        if not layers:
            raise ValueError("barrow.Fp8Experts: there are no experts; pass at least one")
        first = layers[0]["gate_proj"]
        made = cls(
            len(layers),
            first.in_features,
            first.out_features,
            use_ue8m0=use_ue8m0,
            device=first.weight.device,
            backends=backends,
        )
        for expert, parts in enumerate(layers):
            for name, part in parts.items():
                scale = part.weight_scale_inv if isinstance(part, Fp8Linear) else None
                made.fill(expert, name, part.weight.detach(), scale)
        return made.train(experts[0].training)

    def projection(self, expert: int, name: str) -> tuple[Tensor, Tensor]:
        """Return where a projection of an expert lies: its weight [N, K] and its scales, as views.

        Args:
            expert: one of `local`.
            name: "gate_proj" or "up_proj", [intermediate, hidden], or "down_proj", [hidden, intermediate].

        Raises:
            ValueError: if it is not here.
        """
        if expert not in self.local or name not in PROJECTIONS:
            raise ValueError(
                f"barrow.Fp8Experts: {name} of expert {expert} is not here; pass an expert from {self.local.start} to "
                f"{self.local.stop - 1} and one of {', '.join(PROJECTIONS)}"
            )
        index = self.local.index(expert)
        if name == "down_proj":
            return self.down_weight[index, :, : self.intermediate], self.down_weight_scale_inv[index]
        blocks = scale_blocks(self.intermediate)
        first = blocks * PROJECTIONS.index(name)
        rows = slice(first * SCALE_BLOCK, first * SCALE_BLOCK + self.intermediate)
        return self.gate_up_weight[index, rows], self.gate_up_weight_scale_inv[index, first : first + blocks]

    def fill(self, expert: int, name: str, weight: Tensor, scale: Tensor | None = None) -> None:
        """Fill a projection of an expert; see `projection`.

        Args:
            expert, name: which one.
            weight: float8_e4m3fn with a scale, or else bfloat16, float16 or float32, which is quantized.
            scale: per 128 x 128 block of weight, any floating point that float32 holds.

        Raises:
            ValueError: if the projection is not here, or of another shape.
            RuntimeError: if the weight has another dtype.
        """
        places = self.projection(expert, name)
        parts = quantize_weight(weight, self.use_ue8m0) if scale is None else (weight, scale)
        for what, place, part in zip(("weight", "scale"), places, parts, strict=True):
            if part.shape != place.shape:
                raise ValueError(
                    f"barrow.Fp8Experts: the {what} of {name} of expert {expert} has shape {list(part.shape)} but "
                    f"needs {list(place.shape)}"
                )
        if parts[0].dtype != torch.float8_e4m3fn:
            raise RuntimeError(
                f"barrow.Fp8Experts: the weight of {name} of expert {expert} is {parts[0].dtype} and has a scale; pass "
                "float8_e4m3fn with a scale, or another dtype without"
            )
        for place, part in zip(places, parts, strict=True):
            place.copy_(part)

    def forward(self, x: Tensor, topk_ids: Tensor, topk_weights: Tensor) -> Tensor:
        """Send every token through its experts.

        Args:
            x: [T, hidden] bfloat16, float16 or float32, any T.
            topk_ids: [T, k] int32 or int64, the experts of each token, any k. An id that is none of an expert here
                (-1 for none at all) adds nothing; one that occurs twice counts twice.
            topk_weights: [T, k] floating point, what the router gives each; taken as float32.

        Returns:
            [T, hidden] in x's dtype.

        Raises:
            TypeError: naming the argument that is no tensor.
            RuntimeError: naming the argument, what it got, what it needs; also if one requires grad, or carries a
                tangent, while grad mode is on.
        """
        self.check(x, topk_ids, topk_weights)
        return self.run(x, topk_ids, topk_weights, topk_ids.numel())

    def run(self, x: Tensor, topk_ids: Tensor, topk_weights: Tensor, rows: int) -> Tensor:
        """`forward` without its checks, in memory for `rows` ids of experts that are here, which must suffice."""
        if not len(self.local):
            return torch.zeros_like(x)
        backend = name_for(
            self.down_weight.device,
            2 * self.down_weight.shape[2],
            self.hidden,
            x.dtype,
            False,
            self.use_ue8m0,
            self.backends,
            len(self.local),
        )
        if x.stride(1) != 1:
            x = x.contiguous()
        ids = topk_ids - self.local.start if self.local.start else topk_ids
        weights = Weights(
            self.gate_up_weight, self.gate_up_weight_scale_inv, self.down_weight, self.down_weight_scale_inv
        )
        return COMPUTE[backend](x, ids, topk_weights.float(), rows, weights, self.use_ue8m0).to(x.dtype)

    def check(self, x: Tensor, topk_ids: Tensor, topk_weights: Tensor) -> None:
        """Raise what `forward` raises for these arguments."""

        def wrong(name: str, tensor: Tensor, needed: str) -> RuntimeError:
            got = f"{str(tensor.dtype).removeprefix('torch.')} of shape {list(tensor.shape)} on {tensor.device}"
            return RuntimeError(f"barrow.Fp8Experts: {name} is {got}; pass {needed}")

        try:
            device = self.down_weight.device
            if x.dtype not in GEMM_DTYPE or x.dim() != 2 or x.shape[1] != self.hidden or x.device != device:
                raise wrong("x", x, f"bfloat16, float16 or float32 of shape [T, {self.hidden}] on {device}")
            if (
                topk_ids.dtype not in IDS
                or topk_ids.dim() != 2
                or topk_ids.shape[0] != x.shape[0]
                or topk_ids.device != device
            ):
                raise wrong("topk_ids", topk_ids, f"int32 or int64 of shape [{x.shape[0]}, k] on {device}")
            if (
                not topk_weights.is_floating_point()
                or topk_weights.shape != topk_ids.shape
                or topk_weights.device != device
            ):
                raise wrong("topk_weights", topk_weights, f"floating point of shape {list(topk_ids.shape)} on {device}")
            if torch.is_grad_enabled() and (x.requires_grad or topk_weights.requires_grad or in_dual_level()):
                refuse_derivatives("Fp8Experts", x=x, topk_weights=topk_weights)
        except (AttributeError, RuntimeError):
            check_tensors("Fp8Experts", x=x, topk_ids=topk_ids, topk_weights=topk_weights)
            raise

    def explain(
        self,
        tokens: int,
        top_k: int,
        *,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str | Target | None = None,
        num_sms: int | None = None,
    ) -> ExpertsExplanation:
        """Say what runs the products of this layer for `tokens` tokens of `top_k` experts each, and why.

        Args:
            tokens, top_k: shape of the ids; all of them are taken to be of experts here.
            dtype, device, num_sms: see `Fp8Linear.explain`.

        Raises:
            ValueError: naming the argument, what it got, what it needs.
        """
        for name, size in (("tokens", tokens), ("top_k", top_k)):
            if size < 0:
                raise ValueError(f"barrow.Fp8Experts.explain: {name} = {size}; pass at least 0")
        where = self.down_weight.device if device is None else device
        gate_up, down = (
            explain(
                tokens * top_k if len(self.local) else 0,
                weight.shape[1],
                weight.shape[2],
                dtype=dtype,
                target=target_of(where),
                use_ue8m0=self.use_ue8m0,
                num_sms=num_sms,
                preference=self.backends,
                experts=len(self.local),
            )
            for weight in (self.gate_up_weight, self.down_weight)
        )
        return ExpertsExplanation(gate_up, down)

    def extra_repr(self) -> str:
        local = "" if len(self.local) == self.num_experts else f", local={self.local.start}:{self.local.stop}"
        return (
            f"num_experts={self.num_experts}, hidden={self.hidden}, intermediate={self.intermediate}{local}, "
            f"use_ue8m0={self.use_ue8m0}"
        )
