"""Some of a layer's rows: exact wherever the ranges lie, and errors for those that do not."""

import pytest
import torch
from torch import nn

from barrow import Fp8Linear
from barrow.linear import take_rows

FEATURES = 300


def layer(features: int = FEATURES) -> Fp8Linear:
    torch.manual_seed(0)
    return Fp8Linear.from_linear(nn.Linear(130, features))


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, FEATURES)],
        [(130, 200)],
        [(290, 300), (0, 10)],
        [(5, 5)],
        [(5, 5), (7, 9)],
        [(300, 300)],
        [(0, 128), (128, 300)],
    ],
    ids=str,
)
def test_rows_are_taken_exactly(ranges: list[tuple[int, int]]) -> None:
    whole, x = layer(), torch.randn(3, 130)
    y = whole(x)
    assert torch.equal(take_rows(whole, ranges)(x), torch.cat([y[:, first:last] for first, last in ranges], -1))


@pytest.mark.parametrize("wrong", [(-3, 5), (290, 310), (200, 100), (301, 301)], ids=str)
def test_ranges_outside_of_the_layer_are_refused(wrong: tuple[int, int]) -> None:
    told = rf"take_rows: ranges\[1\] is \({wrong[0]}, {wrong[1]}\) but needs 0 <= first <= last <= 300, the layer's"
    with pytest.raises(ValueError, match=told):
        take_rows(layer(), [(0, 5), wrong])


def test_one_row_is_not_taken_for_five() -> None:
    with pytest.raises(ValueError, match=r"take_rows: ranges\[0\] is \(0, 5\) but needs .* <= 1, the layer's"):
        take_rows(layer(1), [(0, 5)])


def test_no_ranges_are_refused() -> None:
    with pytest.raises(ValueError, match=r"take_rows: ranges is empty; pass at least one"):
        take_rows(layer(), [])
