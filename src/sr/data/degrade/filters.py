"""Blur kernels, and the convolution of an image with one."""

import math

import numpy as np
import torch
from torch import Tensor


def grid(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a kernel of ``2 * radius + 1`` pixels a side, 0 in its middle."""
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    return steps[:, None], steps[None, :]


def distance(radius: int, sigmas: tuple[float, float], angle: float, shift: float = 0.0) -> np.ndarray:
    """Squared Mahalanobis distance from the middle: ``sigmas`` in pixels along two axes, the first at ``angle``.

    The middle is ``shift`` pixels above and left of that of the kernel.
    """
    rows, columns = (steps + shift for steps in grid(radius))
    along = (columns * math.cos(angle) + rows * math.sin(angle)) / sigmas[0]
    across = (rows * math.cos(angle) - columns * math.sin(angle)) / sigmas[1]
    squares: np.ndarray = along**2 + across**2
    return squares


def gaussian(
    radius: int, sigmas: tuple[float, float], angle: float = 0.0, beta: float = 1.0, shift: float = 0.0
) -> np.ndarray:
    """A Gaussian kernel of sum 1, isotropic if both ``sigmas`` are equal.

    Args:
        radius: in pixels.
        sigmas: standard deviations along two axes.
        angle: of the first axis.
        beta: shape of the generalised Gaussian ``exp(-distance ** beta / 2)``; 1 is the Gaussian.
        shift: see `distance`.

    >>> gaussian(1, (1.0, 1.0)).sum().round(12).item()
    1.0
    """
    return _normalised(np.exp(-0.5 * distance(radius, sigmas, angle, shift) ** beta))


def plateau(radius: int, sigmas: tuple[float, float], angle: float, beta: float) -> np.ndarray:
    """A kernel of sum 1 that is flat in its middle: ``1 / (1 + distance ** beta)``."""
    return _normalised(1 / (1 + distance(radius, sigmas, angle) ** beta))


def sinc(radius: int, cutoff: float) -> np.ndarray:
    """A kernel of sum 1 that passes frequencies below ``cutoff``, in radians per pixel, in every direction.

    It is ``cutoff * J1(cutoff * r) / (2 pi r)`` at the distance r, cut off at a square: it rings at edges.

    >>> bool(sinc(2, 3.0)[2, 2] > sinc(2, 3.0)[2, 3])
    True
    """
    from scipy.special import j1

    rows, columns = grid(radius)
    distances = np.hypot(rows, columns)
    distances[radius, radius] = 1.0
    kernel = cutoff * j1(cutoff * distances) / (2 * np.pi * distances)
    kernel[radius, radius] = cutoff**2 / (4 * np.pi)
    return _normalised(kernel)


def _normalised(kernel: np.ndarray) -> np.ndarray:
    normalised: np.ndarray = kernel / kernel.sum()
    return normalised


def convolve(image: Tensor, kernel: np.ndarray) -> Tensor:
    """Convolve ``(C, H, W)`` with an odd square kernel, the edge mirrored; see `convolved`."""
    return torch.from_numpy(convolved(image.numpy(), kernel))


def convolved(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve float32 or float64 ``(C, H, W)`` with an odd square kernel by scipy's FFT, the edge mirrored.

    scipy computes it in one thread, and so alike in every process; in float32 it takes a third of numpy's time.
    """
    from scipy import fft

    radius = kernel.shape[0] // 2
    padded = np.pad(values, ((0, 0), (radius, radius), (radius, radius)), mode="symmetric")
    rows, columns = padded.shape[1:]
    size = fft.next_fast_len(rows, real=True), fft.next_fast_len(columns, real=True)
    spectrum = fft.rfft2(padded, size) * fft.rfft2(kernel.astype(values.dtype), size)
    blurred = fft.irfft2(spectrum, size)[:, 2 * radius : rows, 2 * radius : columns]
    return np.ascontiguousarray(blurred)
