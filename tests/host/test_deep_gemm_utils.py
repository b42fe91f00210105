"""DeepGEMM's helpers as `barrow.deep_gemm` has them: layouts of scales, casts, settings, comparison."""

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import barrow.deep_gemm as deep_gemm
from barrow.deep_gemm import testing, utils


@pytest.mark.parametrize(("mn", "blocks"), [(1, 1), (4, 3), (5, 2), (8, 5), (0, 2)])
@pytest.mark.parametrize("groups", [None, 1, 3])
@pytest.mark.parametrize("source", ["rows", "columns", "strided"])
def test_mn_major_layout(mn: int, blocks: int, groups: int | None, source: str) -> None:
    shape = (mn, blocks) if groups is None else (groups, mn, blocks)
    sf = torch.randint(1, 200, shape).float().exp2()
    if source == "columns":
        sf = sf.mT.contiguous().mT
    elif source == "strided":
        sf = sf.repeat_interleave(2, -1)[..., ::2]
    laid = utils.get_mn_major_tma_aligned_tensor(sf)
    assert torch.equal(laid, sf)
    assert laid.stride()[-2:] == (1, -(-mn // 4) * 4)
    assert utils.get_mn_major_tma_aligned_tensor(laid) is laid
    packed = utils.get_mn_major_tma_aligned_packed_ue8m0_tensor(sf)
    assert packed.shape == (*shape[:-1], -(-blocks // 4))
    assert packed.stride()[-2:] == (1, -(-mn // 4) * 4)
    if groups is not None:
        assert laid.stride(0) == -(-mn // 4) * 4 * blocks
    unpacked = utils.unpack_ue8m0_from_int(packed)
    assert torch.equal(unpacked[..., :blocks], sf)
    assert not unpacked[..., blocks:].any()


def test_packed_scales_of_groups_of_k() -> None:
    ks, mn = [300, 0, 128, 1024], 6
    sf = torch.randint(1, 200, (3 + 1 + 8, mn)).float().exp2()
    told = torch.tensor(ks, dtype=torch.int32)
    packed = utils.get_k_grouped_mn_major_tma_aligned_packed_ue8m0_tensor(sf, told, ks, 128, 128)
    assert (packed.dtype, packed.shape, packed.is_contiguous()) == (torch.int32, (1 + 1 + 2, mn), True)
    # Each group as a matrix of its own, transposed: four of its rows in one.
    groups = [utils.get_mn_major_tma_aligned_packed_ue8m0_tensor(group.T).T for group in sf.split([3, 1, 8])]
    assert torch.equal(packed, torch.cat(groups))
    pack = utils.get_k_grouped_mn_major_tma_aligned_packed_ue8m0_tensor
    for ks_cpu, psum in ((ks, True), (None, False), ([], False)):
        with pytest.raises(NotImplementedError, match="pass the K of each group in ks_cpu"):
            pack(sf, told, ks_cpu, 128, 128, psum)
    with pytest.raises(RuntimeError, match=r"shape .12, 6. but needs float32 .11, mn."):
        pack(sf, told, [300, 0, 0, 1024], 128, 128)


def test_required_layout() -> None:
    rows, tiles = torch.rand(5, 3), torch.rand(2, 3)
    transform = deep_gemm.transform_sf_into_required_layout
    for recipe, which in (((1, 128, 128), True), ((1, 128), None), ((128, 1, 128), False)):
        laid = transform(rows, 5, 300, recipe, is_sfa=which)
        assert laid.stride() == (1, 8)
        assert torch.equal(laid, rows)
    assert transform(tiles, 200, 300, (1, 128, 128), is_sfa=False) is tiles
    assert transform(tiles, 200, 300, recipe=(128, 128)) is tiles
    grouped = transform(torch.rand(4, 5, 3), 5, 300, (1, 128), num_groups=4)
    assert grouped.stride() == (24, 1, 8)
    for error, message, arguments in (
        (RuntimeError, "needs .4, 3.", (rows, 4, 300, (1, 128))),
        (RuntimeError, "pass three numbers and is_sfa", (rows, 5, 300, (1, 128, 128))),
        (NotImplementedError, "no kernel on Hopper takes torch.float32 scales of 1 x 32", (rows, 5, 300, (1, 32))),
        (NotImplementedError, "no kernel on Hopper takes torch.int32", (rows.int(), 5, 300, (1, 128))),
    ):
        with pytest.raises(error, match=message):
            transform(*arguments)


def test_sizes() -> None:
    assert [utils.get_tma_aligned_size(5, size) for size in (1, 2, 4, 8, 16)] == [16, 8, 8, 6, 5]
    with pytest.raises(RuntimeError, match="element_size is 3"):
        utils.get_tma_aligned_size(5, 3)
    assert (utils.ceil_div(9, 4), utils.align(9, 4), utils.align(8, 4)) == (3, 12, 8)


def groups(x: Tensor, rows: int, columns: int) -> Tensor:
    """x in groups of rows x columns, padded with zeros: [row groups, column groups, elements]."""
    padded = torch.nn.functional.pad(x, (0, -x.shape[1] % columns, 0, -x.shape[0] % rows))
    cut: Tensor = padded.unflatten(1, (-1, columns)).unflatten(0, (-1, rows))
    return cut.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("use_ue8m0", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize(
    ("cast", "gran_k", "rows", "columns"),
    [
        ("per_token_cast_to_fp8", 128, 1, 128),
        ("per_token_cast_to_fp8", 32, 1, 32),
        ("per_channel_cast_to_fp8", 128, 128, 1),
        ("per_block_cast_to_fp8", 128, 128, 128),
    ],
)
def test_casts(cast: str, gran_k: int, rows: int, columns: int, dtype: torch.dtype, use_ue8m0: bool) -> None:
    x = torch.randn(256, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[:128, :128] = 0
    q, sf = getattr(utils, cast)(x, use_ue8m0=use_ue8m0, gran_k=gran_k)
    assert (q.dtype, q.shape, sf.dtype) == (torch.float8_e4m3fn, x.shape, torch.float32)
    assert q.is_contiguous()
    assert sf.is_contiguous()
    exact = groups(x.float(), rows, columns).abs().amax(2).clamp(1e-4) / 448
    if use_ue8m0:
        assert torch.equal(sf.log2(), exact.log2().ceil())
    else:
        assert torch.equal(sf, exact)
    scale = sf.repeat_interleave(rows, 0).repeat_interleave(columns, 1)[:256, :300]
    # Half a unit in the last of three mantissa bits, or of the smallest subnormal.
    assert ((q.float() * scale - x.float()).abs() <= (x.float().abs() * 2**-4).maximum(scale * 2**-10) * 1.001).all()


def test_packed_scales_of_a_cast() -> None:
    x = torch.randn(3, 600)
    q, sf = utils.per_token_cast_to_fp8(x, use_ue8m0=True)
    packed_q, packed = utils.per_token_cast_to_fp8(x, use_ue8m0=True, use_packed_ue8m0=True)
    assert torch.equal(q.view(torch.uint8), packed_q.view(torch.uint8))
    assert torch.equal(utils.unpack_ue8m0_from_int(packed), torch.nn.functional.pad(sf, (0, 3), value=1.0))


def test_a_cast_by_dimensions() -> None:
    x = torch.randn(3, 4, 5)
    q, sf = utils.per_custom_dims_cast_to_fp8(x, (1,), False)
    assert torch.equal(sf, x.abs().amax((0, 2)) / 448)
    assert q.shape == x.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: utils.per_token_cast_to_fp8(torch.ones(3), False), "x has 1 dimensions"),
        (lambda: utils.per_token_cast_to_fp8(torch.ones(3, 4), False, use_packed_ue8m0=True), "needs use_ue8m0"),
        (lambda: utils.per_channel_cast_to_fp8(torch.ones(100, 4), False), "x has 100 rows but needs a multiple"),
        (lambda: utils.pack_ue8m0_to_int(torch.ones(1, 3)), "a multiple of 4"),
        (lambda: utils.pack_ue8m0_to_int(torch.tensor([[1.0, 2, 3, 4]])), "no powers of two"),
        (lambda: utils.get_mn_major_tma_aligned_tensor(torch.ones(3)), "sf is torch.float32 of 1 dimensions"),
        (lambda: deep_gemm.set_tc_util(101), "new_tc_util is 101 but needs to be from 0 to 100"),
    ],
)
def test_bad_arguments(call: Callable[[], object], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        call()


def test_settings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gpu:
        multi_processor_count = 132

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Gpu)
    assert deep_gemm.get_num_sms() == 132
    deep_gemm.set_num_sms(100)
    assert deep_gemm.get_num_sms() == 100
    with pytest.raises(RuntimeError, match="new_num_sms is 133 but needs to be from 0 to 132"):
        deep_gemm.set_num_sms(133)
    deep_gemm.set_num_sms(0)
    assert deep_gemm.get_num_sms() == 132
    assert (deep_gemm.get_tc_util(), deep_gemm.get_pdl()) == (100, False)
    deep_gemm.set_tc_util(50)
    deep_gemm.set_pdl(True)
    assert (deep_gemm.get_tc_util(), deep_gemm.get_pdl()) == (50, True)
    deep_gemm.set_tc_util(0)
    deep_gemm.set_pdl(False)
    assert deep_gemm.get_tc_util() == 100
    deep_gemm.set_ignore_compile_dims(True)
    deep_gemm.set_block_size_multiple_of((64, 64))
    deep_gemm.use_deterministic_algorithms(True)
    assert deep_gemm.get_theoretical_mk_alignment_for_contiguous_layout(7) == 128
    assert deep_gemm.get_mk_alignment_for_contiguous_layout() == 128
    deep_gemm.set_mk_alignment_for_contiguous_layout(64)
    assert utils.get_m_alignment_for_contiguous_layout() == 64
    deep_gemm.set_mk_alignment_for_contiguous_layout(128)


def test_sms_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    deep_gemm.set_num_sms(100)
    assert deep_gemm.get_num_sms() == 100
    with pytest.raises(RuntimeError, match="new_num_sms is -1 but needs to be at least 0"):
        deep_gemm.set_num_sms(-1)
    deep_gemm.set_num_sms(0)
    with pytest.raises(RuntimeError, match="get_num_sms: there is no GPU whose SMs to count; call set_num_sms first"):
        deep_gemm.get_num_sms()


def test_comparison() -> None:
    x = torch.randn(7, 9)
    assert testing.calc_diff(x, x) < 1e-12
    assert testing.calc_diff(torch.zeros(3), torch.zeros(3)) == 0.0
    assert testing.calc_diff(x, -x) == pytest.approx(2.0)
    assert testing.count_bytes(x, (x.bfloat16(), None), [x]) == 7 * 9 * 10
    testing.assert_bitwise_equal(x, x.clone())
    y = x.clone()
    y[2, 3] += 1
    with pytest.raises(AssertionError, match="first in element 21"):
        testing.assert_bitwise_equal(x, y)


def test_conditions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str | None] = []
    monkeypatch.setenv("BARROW_TEST", "set")
    for condition in (lambda: True, lambda: False):
        testing.ignore_env("BARROW_TEST", condition)(lambda: ran.append(os.environ.get("BARROW_TEST")))()
        testing.test_filter(condition)(lambda: ran.append("filter"))()
    assert ran == [None, "filter", "set"]
    assert os.environ["BARROW_TEST"] == "set"
    assert "filtered by" in capsys.readouterr().out


def test_another_profiler_turns_timing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DG_USE_NVIDIA_TOOLS", "1")
    assert testing.bench_kineto(lambda: None, "gemm") == 1.0
    assert testing.bench_kineto(lambda: None, ("gemm", "quant")) == (1.0, 1.0)
