"""Measures of the error of single pixels."""

import math

import pytest
import torch

from sr.errors import UserError
from sr.metrics.pixels import PSNR_CAP, edge_psnr, worst_psnr


def test_worst_psnr_is_that_of_the_largest_errors_alone() -> None:
    hr = torch.zeros(2, 3, 20, 10)
    sr = torch.full_like(hr, 0.01)
    sr[0, :, 0, :2] = 0.5  # 1 % of 200 pixels
    sr[1, 0, 3, 3] = 0.5  # of one channel: the error of its pixel is a third
    expected = -10 * math.log10(0.25), -10 * math.log10((0.25 / 3 + 2e-4 / 3 + 1e-4) / 2)
    assert worst_psnr(sr, hr).tolist() == pytest.approx(expected, rel=1e-5)
    assert worst_psnr(hr, hr).tolist() == [PSNR_CAP] * 2


def test_the_worst_of_an_image_with_few_pixels_is_one_and_of_all_its_psnr() -> None:
    hr = torch.zeros(1, 1, 4, 4)
    sr = torch.arange(16.0).reshape(1, 1, 4, 4) / 100
    assert worst_psnr(sr, hr).item() == pytest.approx(-20 * math.log10(0.15))
    assert worst_psnr(sr, hr, share=1.0).item() == pytest.approx(-10 * math.log10((sr**2).mean().item()))
    with pytest.raises(UserError, match="share must be above 0 and at most 1, got 0"):
        worst_psnr(sr, hr, share=0)


def test_edge_psnr_counts_errors_where_the_target_has_an_edge() -> None:
    hr = torch.zeros(1, 3, 6, 9)
    hr[..., 4:] = 1.0  # the gradient is at column 3
    flat, edge = hr.clone(), hr.clone()
    flat[..., 0] += 0.5
    edge[..., 3] += 0.1
    assert edge_psnr(flat, hr).item() == PSNR_CAP
    assert edge_psnr(edge, hr).item() == pytest.approx(20, abs=1e-4)


def test_edge_psnr_weights_by_the_length_of_the_gradient() -> None:
    hr = torch.zeros(1, 1, 3, 3)
    hr[..., 0, 1] = 0.4  # gradient 0.4 at (0, 0); at (0, 1) -0.4 in both directions
    sr = hr.clone()
    sr[..., 0, 0] += 0.1
    share = 1 / (1 + 2**0.5)
    assert edge_psnr(sr, hr).item() == pytest.approx(-10 * math.log10(0.01 * share), rel=1e-5)


def test_all_pixels_of_a_constant_target_weigh_the_same() -> None:
    hr = torch.full((1, 1, 5, 5), 0.5)
    assert edge_psnr(hr + 0.1, hr).item() == pytest.approx(20, abs=1e-3)
