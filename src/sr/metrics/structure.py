"""SSIM and multi-scale SSIM of Wang et al., computed as fast as torch allows in float64."""

import weakref
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from sr.errors import UserError

# Wang et al. 2004, section III-C: 11x11 Gaussian window, sigma 1.5; K1, K2 of the paper.
WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03

# Wang et al. 2003, section 3.2: from the finest scale to the coarsest.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# Rows that are scored at a time: the score is that of the whole image, in less memory. A processor is faster when these
# rows, and what is computed of them, stay in its cache.
_STRIP, _STRIP_ON_CPU = 256, 32


def rows_at_a_time(image: Tensor) -> int:
    """Rows of an image that are best scored together on its device."""
    return _STRIP_ON_CPU if image.device.type == "cpu" else _STRIP


def ssim(sr: Tensor, hr: Tensor) -> Tensor:
    """SSIM of each image, averaged over channels: two ``(N, C, H, W)`` in [0, 1] to ``(N,)``.

    The window is never padded (Wang et al. 2004), as in scikit-image with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``. torchmetrics pads, which changes the score of small images by up to 0.03.

    Raises:
        UserError: if an image is smaller than the window of 11x11 pixels.
    """
    return _level(sr, hr).ssim


def ms_ssim(sr: Tensor, hr: Tensor, scales: int = len(_SCALE_WEIGHTS)) -> Tensor:
    """Multi-scale SSIM of each image: two ``(N, C, H, W)`` in [0, 1] to ``(N,)``.

    Wang, Simoncelli & Bovik 2003, doi:10.1109/ACSSC.2003.1292216: contrast and structure on five scales, brightness on
    the last; means over channels at each scale. A negative mean counts as 0, since it has no real power. With fewer
    scales, the weights of the finest are scaled to the same sum.

    Raises:
        UserError: if an image is smaller than 176x176 pixels, which leave one window on the fifth scale.
    """
    score = sr.new_ones(sr.shape[0])
    for mean, weight in ms_ssim_factors(sr, hr, scales):
        known = torch.where(mean > 0, mean, 1.0)  # the power of 0 has no gradient
        score = score * torch.where(mean > 0, known**weight, 0.0)
    return score


def ms_ssim_factors(sr: Tensor, hr: Tensor, scales: int) -> Iterator[tuple[Tensor, float]]:
    """The means ``(N,)`` of `ms_ssim` on each scale, and the powers they are raised to.

    Raises:
        UserError: if an image is too small.
    """
    least = WINDOW * 2 ** (scales - 1)
    if min(sr.shape[-2:]) < least:
        size = f"{sr.shape[-1]}x{sr.shape[-2]}"
        raise UserError(f"ms_ssim of {scales} scales needs images of {least}x{least} pixels or more, got {size}")
    weights = _SCALE_WEIGHTS[:scales]
    for number, weight in enumerate(weights):
        if number:
            sr, hr = F.avg_pool2d(sr, 2), F.avg_pool2d(hr, 2)
        level = _level(sr, hr)
        yield level.ssim if number == scales - 1 else level.structure, weight * sum(_SCALE_WEIGHTS) / sum(weights)


class _Level(NamedTuple):
    """Means over the windows of each image, ``(N,)``: SSIM, and its part that compares contrast and structure."""

    ssim: Tensor
    structure: Tensor


# What was found of pairs that still exist: SSIM and MS-SSIM of one pair share their first level.
_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _level(sr: Tensor, hr: Tensor) -> _Level:
    if min(sr.shape[-2:]) < WINDOW:
        raise UserError(f"SSIM needs at least {WINDOW}x{WINDOW} pixels, got {sr.shape[-1]}x{sr.shape[-2]}")
    if sr.requires_grad or hr.requires_grad:
        return _computed(sr, hr)
    versions = [None if image.is_inference() else image._version for image in (sr, hr)]
    target, at_versions, level = _known.get(sr, (None, None, None))
    if target is None or target() is not hr or at_versions != versions:
        level = _computed(sr, hr)
        _known[sr] = weakref.ref(hr), versions, level
    known: _Level = level
    return known


def _computed(sr: Tensor, hr: Tensor) -> _Level:
    sums, structures = sr.new_zeros(sr.shape[0]), sr.new_zeros(sr.shape[0])
    last = sr.shape[-2] - WINDOW + 1
    strip = rows_at_a_time(sr)
    for top in range(0, last, strip):
        rows = slice(top, min(top + strip, last) + WINDOW - 1)
        brightness, structure = _maps(sr[..., rows, :], hr[..., rows, :])
        sums += (brightness * structure).sum(dim=(1, 2, 3))
        structures += structure.sum(dim=(1, 2, 3))
    windows = sr.shape[1] * last * (sr.shape[-1] - WINDOW + 1)
    return _Level(sums / windows, structures / windows)


def _maps(sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """The two factors of SSIM in every window inside two ``(N, C, H, W)``: ``(N, C, H - 10, W - 10)`` each."""
    mean_x, mean_y, mean_squares, mean_product = _blur(torch.stack([sr, hr, sr * sr + hr * hr, sr * hr]))
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    c1, c2 = _K1**2, _K2**2
    structure = (2 * (mean_product - product) + c2) / (mean_squares - squares + c2)
    brightness = (2 * product + c1) / (squares + c1)
    return brightness, structure


def _blur(image: Tensor) -> Tensor:
    """Mean under the window: ``(..., H, W)`` to ``(..., H - 10, W - 10)``.

    Torch has no fast convolution of float64. Across rows, a product with a banded matrix is the fastest of what it has,
    along them the sum of shifted copies: together four times as fast on a processor (`scripts/bench/score.py`).
    """
    height, width = (side - WINDOW + 1 for side in image.shape[-2:])
    rows = _banded_window(height, image.dtype, image.device) @ image
    middle = WINDOW // 2
    weights = _gaussian().tolist()
    blurred: Tensor = weights[middle] * rows[..., middle : middle + width]
    for left in range(middle):
        right = WINDOW - 1 - left
        blurred.add_(rows[..., left : left + width] + rows[..., right : right + width], alpha=weights[left])
    return blurred


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def _banded_window(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix ``(length, length + 10)`` whose rows are the window, each shifted by one."""
    matrix = torch.zeros(length, length + WINDOW - 1, dtype=torch.float64)
    for row in range(length):
        matrix[row, row : row + WINDOW] = _gaussian()
    return matrix.to(device, dtype)


@cache
def _gaussian() -> Tensor:
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    return window / window.sum()
