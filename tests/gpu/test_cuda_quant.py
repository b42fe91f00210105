"""The quantizers on the GPU give the bits of the CPU implementation: all dtypes, shapes, strides, special values."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import same_bits

import barrow

Quantizer = Callable[..., tuple[torch.Tensor, torch.Tensor]]

QUANTIZERS: list[Quantizer] = [barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8]
DTYPES = [torch.bfloat16, torch.float16, torch.float32]
SHAPES = [
    (0, 0),
    (0, 128),
    (5, 0),
    (1, 1),
    (1, 128),
    (3, 127),
    (32, 129),
    (33, 256),
    (127, 384),
    (128, 130),
    (131, 7168),
]

pytestmark = pytest.mark.parametrize("quantize", QUANTIZERS, ids=lambda q: q.__name__)


def _assert_same(quantize: Quantizer, x: torch.Tensor, device: torch.device, use_ue8m0: bool) -> None:
    """`x` on the CPU; its strides are kept on the way to the GPU."""
    storage = x.as_strided((x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)
    on_gpu = storage.to(device).as_strided(x.shape, x.stride(), x.storage_offset())
    q, scale = quantize(on_gpu, use_ue8m0=use_ue8m0)
    want_q, want_scale = quantize(x, use_ue8m0=use_ue8m0)
    assert q.stride() == want_q.stride()
    assert scale.stride() == want_scale.stride()
    assert same_bits(scale.cpu(), want_scale), _first_difference(scale.cpu(), want_scale, "scale")
    assert same_bits(q.cpu(), want_q), _first_difference(q.cpu().float(), want_q.float(), "q")


def _first_difference(got: torch.Tensor, want: torch.Tensor, name: str) -> str:
    bad = ((got != want) & ~(got.isnan() & want.isnan())).nonzero()
    if not len(bad):
        return f"{name} differs in the sign of a zero"
    at = tuple(bad[0].tolist())
    return f"{name}: {len(bad)} differ, first at {at}: got {got[at].item()!r}, want {want[at].item()!r}"


@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
def test_random(
    quantize: Quantizer, shape: tuple[int, int], dtype: torch.dtype, use_ue8m0: bool, device: torch.device
) -> None:
    g = torch.Generator().manual_seed(shape[0] * 1000 + shape[1])
    x = torch.randn(shape, generator=g) * torch.exp2(torch.rand(shape[0], 1, generator=g) * 40 - 20)
    _assert_same(quantize, x.to(dtype), device, use_ue8m0)


def _specials(dtype: torch.dtype) -> list[float]:
    info = torch.finfo(dtype)
    return [
        0.0,
        -0.0,
        float("nan"),
        float("inf"),
        float("-inf"),
        info.max,
        info.min,
        info.tiny,
        -info.tiny,
        info.smallest_normal / 4,  # a denormal
        448.0,
        -448.0,
        1.0,
        1e-3,
    ]


@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_among_random_ones(
    quantize: Quantizer, dtype: torch.dtype, use_ue8m0: bool, device: torch.device
) -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(260, 520, generator=g).to(dtype)
    specials = torch.tensor(_specials(dtype), dtype=dtype)
    where = torch.rand(x.shape, generator=g) < 0.02
    x[where] = specials[torch.randint(0, len(specials), (int(where.sum()),), generator=g)]
    _assert_same(quantize, x, device, use_ue8m0)


@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_groups_of_one_special_value(
    quantize: Quantizer, dtype: torch.dtype, use_ue8m0: bool, device: torch.device
) -> None:
    """Each special value alone fills a group: all zero, nothing finite, the largest and the smallest scale."""
    specials = torch.tensor(_specials(dtype), dtype=dtype)
    x = specials.repeat_interleave(128)[None, :].expand(128, -1).contiguous()
    _assert_same(quantize, x, device, use_ue8m0)


@pytest.mark.parametrize("use_ue8m0", [False, True])
def test_every_bfloat16(quantize: Quantizer, use_ue8m0: bool, device: torch.device) -> None:
    """All 65,536 bit patterns, in groups of neighbours and in groups that mix magnitudes."""
    bits = torch.arange(-32768, 32768, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    for x in (bits.view(512, 128), bits.view(128, 512).t().contiguous()):
        _assert_same(quantize, x, device, use_ue8m0)


@pytest.mark.parametrize("use_ue8m0", [False, True])
def test_ties_of_e4m3(quantize: Quantizer, use_ue8m0: bool, device: torch.device) -> None:
    """Values halfway between two e4m3 neighbours, under a scale of exactly 1."""
    e4m3 = torch.arange(0, 0x7F, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    ties = (e4m3[1:] + e4m3[:-1]) / 2
    x = torch.zeros(1, 256)
    x[0, :126], x[0, 128:254] = ties, -ties
    x[0, 126], x[0, 254] = 448.0, -448.0
    _assert_same(quantize, x, device, use_ue8m0)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    m=st.integers(0, 300),
    k=st.integers(0, 600),
    pad=st.integers(0, 20),
    offset=st.integers(0, 9),
    dtype=st.sampled_from(DTYPES),
    use_ue8m0=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_shape_and_stride(
    quantize: Quantizer,
    m: int,
    k: int,
    pad: int,
    offset: int,
    dtype: torch.dtype,
    use_ue8m0: bool,
    seed: int,
    device: torch.device,
) -> None:
    g = torch.Generator().manual_seed(seed)
    pitch = k + pad
    storage = torch.full((offset + m * pitch,), float("inf"), dtype=dtype)
    x = storage.as_strided((m, k), (pitch, 1), offset)
    x.copy_(torch.randn(m, k, generator=g))
    _assert_same(quantize, x, device, use_ue8m0)


def test_large(quantize: Quantizer, device: torch.device) -> None:
    """Past 2^31 elements; compared with the same rows quantized alone."""
    rows, k = 300_032, 8192
    x = torch.randn(1024, k, device=device, dtype=torch.bfloat16).repeat(rows // 1024, 1)
    q, scale = quantize(x)
    per_row = scale.shape[0] == rows
    for start in (0, rows // 2 // 1024 * 1024, rows - 1024):
        alone_q, alone_scale = quantize(x[start : start + 1024].clone())
        assert same_bits(q[start : start + 1024], alone_q)
        first, count = (start, 1024) if per_row else (start // 128, 8)
        assert same_bits(scale[first : first + count], alone_scale)
