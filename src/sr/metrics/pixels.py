"""Measures of the error of single pixels: PSNR, that of the worst pixels, and that of edges."""

import math

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from sr.errors import UserError

# An image equal to its target has infinite PSNR, which no mean survives. A single channel value off by one in a
# 12-megapixel image scores about 124 dB, so nothing measurable reaches the cap.
PSNR_CAP = 130.0


def psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """PSNR in dB of each image, capped at 130: two ``(N, C, H, W)`` in [0, 1] to ``(N,)``.

    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1)).round().item()
    20.0
    """
    values = peak_signal_noise_ratio(sr, hr, data_range=1.0, dim=(1, 2, 3), reduction="none")
    return values.clamp(max=PSNR_CAP)


def worst_psnr(sr: Tensor, hr: Tensor, share: float = 0.01) -> Tensor:
    """PSNR in dB of the pixels with the largest errors in each image, capped at 130.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: the same.
        share: of the pixels of an image, above 0 and at most 1; at least one pixel.

    Returns:
        ``(N,)``.

    Raises:
        UserError: for another share.

    >>> sr = torch.zeros(1, 1, 10, 10)
    >>> sr[..., 0, 0] = 0.1
    >>> worst_psnr(sr, torch.zeros(1, 1, 10, 10)).round().item()
    20.0
    """
    if not 0 < share <= 1:
        raise UserError(f"worst1: share must be above 0 and at most 1, got {share}")
    errors = (sr - hr).square().mean(dim=1).flatten(1)
    count = max(1, math.ceil(share * errors.shape[1]))
    return _decibels(errors.topk(count, sorted=False).values.mean(dim=1))


def edge_psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """PSNR in dB with each pixel weighted by the gradient of the target there, capped at 130.

    Flat areas, which dominate PSNR, do not count. The gradient is the magnitude of the differences to the next row and
    to the next column, of the mean over channels; the last row and column do not count. Where the target is constant,
    all pixels weigh the same.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1], of at least 2x2 pixels.
        hr: the same.

    Returns:
        ``(N,)``.
    """
    gray = hr.mean(dim=1)
    corner = gray[:, :-1, :-1]
    weights = torch.hypot(gray[:, 1:, :-1] - corner, gray[:, :-1, 1:] - corner)
    weights = torch.where(weights.amax(dim=(1, 2), keepdim=True) > 0, weights, torch.ones_like(weights))
    errors = (sr - hr)[..., :-1, :-1].square().mean(dim=1)
    return _decibels((weights * errors).sum(dim=(1, 2)) / weights.sum(dim=(1, 2)))


def _decibels(error: Tensor) -> Tensor:
    """PSNR of mean squared errors."""
    return (-10 * torch.log10(error)).clamp(max=PSNR_CAP)
