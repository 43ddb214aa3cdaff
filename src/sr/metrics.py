"""PSNR and SSIM under a named protocol, for outputs and for the baselines they have to beat."""

from collections.abc import Sequence
from functools import cache, lru_cache

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from sr.errors import check_choice
from sr.image import gray, luma, quantise, resize, shave
from sr.terms import BASELINES, Protocol

# An image equal to its target has infinite PSNR, which no mean survives. A single channel value off by one in a
# 12-megapixel image scores about 124 dB, so nothing measurable reaches the cap.
PSNR_CAP = 130.0

# Wang et al. 2004, section III-C: 11x11 Gaussian window, sigma 1.5; K1, K2 of the paper.
_WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03

# Rows that are scored at a time: the score is that of the whole image, in less memory. A processor is faster when these
# rows, and what is computed of them, stay in its cache.
_STRIP, _STRIP_ON_CPU = 256, 32


def psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """PSNR in dB of each image, capped at 130: two ``(N, C, H, W)`` in [0, 1] to ``(N,)``.

    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1)).round().item()
    20.0
    """
    values = peak_signal_noise_ratio(sr, hr, data_range=1.0, dim=(1, 2, 3), reduction="none")
    return values.clamp(max=PSNR_CAP)


def ssim(sr: Tensor, hr: Tensor) -> Tensor:
    """SSIM of each image, averaged over channels: two ``(N, C, H, W)`` in [0, 1] to ``(N,)``.

    The window is never padded (Wang et al. 2004), as in scikit-image with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``. torchmetrics pads, which changes the score of small images by up to 0.03.

    Raises:
        ValueError: if an image is smaller than the window of 11x11 pixels.
    """
    if min(sr.shape[-2:]) < _WINDOW:
        raise ValueError(f"SSIM needs at least {_WINDOW}x{_WINDOW} pixels, got {sr.shape[-1]}x{sr.shape[-2]}")
    total = sr.new_zeros(sr.shape[0])
    last = sr.shape[-2] - _WINDOW + 1
    strip = _strip_for(sr)
    for top in range(0, last, strip):
        rows = slice(top, min(top + strip, last) + _WINDOW - 1)
        total += _ssim_map(sr[..., rows, :], hr[..., rows, :]).sum(dim=(1, 2, 3))
    return total / (sr.shape[1] * last * (sr.shape[-1] - _WINDOW + 1))


def _ssim_map(sr: Tensor, hr: Tensor) -> Tensor:
    """SSIM of every window inside two ``(N, C, H, W)``: ``(N, C, H - 10, W - 10)``."""
    mean_x, mean_y, mean_squares, mean_product = _blur(torch.stack([sr, hr, sr * sr + hr * hr, sr * hr]))
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    c1, c2 = _K1**2, _K2**2
    structure = (2 * (mean_product - product) + c2) / (mean_squares - squares + c2)
    brightness = (2 * product + c1) / (squares + c1)
    ssim_map: Tensor = brightness * structure
    return ssim_map


def _blur(image: Tensor) -> Tensor:
    """Mean under the window: ``(..., H, W)`` to ``(..., H - 10, W - 10)``.

    Torch has no fast convolution of float64. Across rows, a product with a banded matrix is the fastest of what it has,
    along them the sum of shifted copies: together four times as fast on a processor (`scripts/bench/score.py`).
    """
    height, width = (side - _WINDOW + 1 for side in image.shape[-2:])
    rows = _banded_window(height, image.dtype, image.device) @ image
    middle = _WINDOW // 2
    weights = _gaussian().tolist()
    blurred: Tensor = weights[middle] * rows[..., middle : middle + width]
    for left in range(middle):
        right = _WINDOW - 1 - left
        blurred.add_(rows[..., left : left + width] + rows[..., right : right + width], alpha=weights[left])
    return blurred


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def _banded_window(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix ``(length, length + 10)`` whose rows are the window, each shifted by one."""
    matrix = torch.zeros(length, length + _WINDOW - 1, dtype=torch.float64)
    for row in range(length):
        matrix[row, row : row + _WINDOW] = _gaussian()
    return matrix.to(device, dtype)


@cache
def _gaussian() -> Tensor:
    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    return window / window.sum()


def score(
    sr: Tensor, hr: Tensor, protocol: str = Protocol.RGB, border: int = 0, *, stored_gray: bool = False, bits: int = 8
) -> dict[str, Tensor]:
    """Score images against their targets, in float64 where the device has it.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1]; clamped and rounded to the values of a file first.
        hr: the same shape.
        protocol: ``rgb``: all channels, no border cut. ``y``: MATLAB's luma rounded to 8 bits, without the border; only
            for RGB and for gray, whose values are scored directly.
        border: pixels cut from each side under ``y``; by convention the scale.
        stored_gray: the target's file is grayscale, so that ``y`` scores its values directly, not their luma.
        bits: of a value in a file, 8 or 16.

    Returns:
        ``{"psnr": (N,), "ssim": (N,)}``.

    Raises:
        UserError: if the protocol is unknown.
    """
    check_choice("protocol", protocol, [*Protocol])
    with torch.autocast(sr.device.type, enabled=False):
        dtype = torch.float32 if sr.device.type == "mps" else torch.float64  # Apple's GPUs lack float64

        def scored(image: Tensor) -> Tensor:
            strips = (rows.to(dtype) for rows in image.split(_strip_for(image), -2))
            return torch.cat([_scored_values(rows, protocol, stored_gray, bits) for rows in strips], -2)

        sr, hr = scored(sr), scored(hr)
        if protocol == Protocol.Y:
            sr, hr = shave(sr, border), shave(hr, border)
        return {"psnr": psnr(sr, hr), "ssim": ssim(sr, hr)}


def _strip_for(image: Tensor) -> int:
    return _STRIP_ON_CPU if image.device.type == "cpu" else _STRIP


def _scored_values(image: Tensor, protocol: str, stored_gray: bool, bits: int) -> Tensor:
    """What a protocol compares of ``(N, C, H, W)``: all channels, or luma or gray value; rounded as in a file."""
    image = quantise(image, bits)
    if protocol == Protocol.RGB:
        return image
    return quantise(gray(image) if stored_gray or image.shape[1] == 1 else luma(image), bits)


class Scorer:
    """Score outputs and, once per image, the baselines they have to beat."""

    def __init__(self, scale: int, protocol: str = Protocol.RGB, bits: int = 8) -> None:
        """Fix the protocol.

        Args:
            scale: enlarges the input, and is the border that ``y`` cuts by default.
            protocol: ``rgb`` or ``y``.
            bits: of a value in a file, to which images are rounded.
        """
        check_choice("protocol", protocol, [*Protocol])
        self.scale, self.bits = scale, bits
        self.protocol = protocol
        self._baselines = BASELINES if scale > 1 else BASELINES[:1]
        self._baseline_scores: dict[str, dict[str, Tensor]] = {}

    def __call__(
        self, sr: Tensor, lr: Tensor, hr: Tensor, names: Sequence[str], border: int | None = None
    ) -> dict[str, Tensor]:
        """Score a batch; ``names`` identify the images across epochs.

        Returns:
            Tensors ``(N,)``: ``psnr``, ``ssim``, ``gain`` (dB over the input), ``input_psnr`` and ``input_ssim``; for
            scales above 1 also PSNR and SSIM of ``nearest`` and ``lanczos``.
        """
        border = self.scale if border is None else border
        scores = score(sr, hr, self.protocol, border, bits=self.bits)
        if any(name not in self._baseline_scores for name in names):
            batch = self._score_baselines(lr, hr, border)
            for position, name in enumerate(names):
                self._baseline_scores[name] = {key: values[position] for key, values in batch.items()}
        rows = [self._baseline_scores[name] for name in names]
        scores |= {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
        scores["gain"] = scores["psnr"] - scores["input_psnr"]
        return scores

    def _score_baselines(self, lr: Tensor, hr: Tensor, border: int) -> dict[str, Tensor]:
        scores = {}
        for baseline in self._baselines:
            enlarged = resize(lr, self.scale, baseline.kernel)
            for metric, values in score(enlarged, hr, self.protocol, border, bits=self.bits).items():
                scores[f"{baseline.prefix}_{metric}"] = values
        return scores
