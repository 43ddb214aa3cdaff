"""Parameter counts: the published number, and the sum over the layers as the papers give them."""

import pytest
from torch import nn

from sr.nets.compact import Compact
from sr.nets.fsrcnn import FSRCNN
from sr.nets.resblock import ResBlockNet
from sr.nets.rlfn import RLFN
from sr.nets.span import SPAN


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def conv(before: int, after: int, kernel: int = 3) -> int:
    return (before * kernel**2 + 1) * after


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fsrcnn_for_luma_has_the_12464_weights_of_the_paper(scale: int) -> None:
    net = FSRCNN(scale, image_channels=1)
    d, s, m = 56, 12, 4
    weights = 25 * d + s * d + 9 * m * s**2 + d * s + 81 * d  # section 3.3 of the paper
    assert weights == 12_464
    assert sum(parameter.numel() for parameter in net.parameters() if parameter.ndim == 4) == weights
    biases, slopes = d + s + m * s + d + 1, d + s + m * s + d
    assert count(net) == weights + biases + slopes == 12_809


def test_fsrcnn_for_rgb_reads_and_makes_three_channels() -> None:
    assert count(FSRCNN(2)) == 12_809 + 2 * 25 * 56 + 2 * 81 * 56 + 2 == 24_683


@pytest.mark.parametrize(("num_blocks", "scale", "total"), [(16, 4, 621_424), (32, 4, 1_213_296), (16, 2, 600_652)])
def test_compact_has_a_slope_for_each_channel(num_blocks: int, scale: int, total: int) -> None:
    expected = conv(3, 64) + num_blocks * conv(64, 64) + (num_blocks + 1) * 64 + conv(64, 3 * scale**2)
    assert count(Compact(scale, num_blocks)) == expected == total


@pytest.mark.parametrize(("scale", "thousands"), [(2, 527), (4, 543)])
def test_rlfn_has_the_published_count(scale: int, thousands: int) -> None:
    attention = conv(52, 16, 1) + conv(16, 16, 1) + 2 * conv(16, 16) + conv(16, 52, 1)
    block = 3 * conv(52, 52) + conv(52, 52, 1) + attention
    expected = conv(3, 52) + 6 * block + conv(52, 52) + conv(52, 3 * scale**2)
    assert count(RLFN(scale)) == expected
    assert abs(expected / 1000 - thousands) < 1  # table 2 rounds one of them down and the other up


@pytest.mark.parametrize(("scale", "thousands"), [(2, 481), (4, 498)])
def test_folded_span_has_the_published_count(scale: int, thousands: int) -> None:
    expected = conv(3, 52) + 18 * conv(52, 52) + conv(52, 52) + conv(4 * 52, 52, 1) + conv(52, 3 * scale**2)
    assert count(SPAN(scale, folded=True)) == count(SPAN(scale).folded()) == expected
    assert round(expected / 1000) == thousands


def test_span_is_trained_with_wider_factors() -> None:
    def factored(before: int, after: int) -> int:
        product = conv(before, 2 * before, 1) + conv(2 * before, 2 * after) + conv(2 * after, after, 1)
        return product + conv(before, after, 1)

    expected = factored(3, 52) + 19 * factored(52, 52) + conv(4 * 52, 52, 1) + conv(52, 12)
    assert count(SPAN(2)) == expected


@pytest.mark.parametrize(("num_blocks", "channels", "total"), [(4, 32, 124_588), (6, 32, 180_076), (6, 48, 401_436)])
def test_resblock_has_three_convolutions_in_a_block(num_blocks: int, channels: int, total: int) -> None:
    expected = conv(3, channels) + (3 * num_blocks + 1) * conv(channels, channels) + conv(channels, 12)
    assert count(ResBlockNet(2, num_blocks, channels)) == expected == total
