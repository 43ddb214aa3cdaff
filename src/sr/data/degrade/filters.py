"""Blur kernels, and the convolution of an image with one."""

import math

import numpy as np
import torch
from torch import Tensor


def grid(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a kernel of ``2 * radius + 1`` pixels a side, 0 in its middle."""
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    return steps[:, None], steps[None, :]


def distance(radius: int, sigmas: tuple[float, float], angle: float) -> np.ndarray:
    """Squared Mahalanobis distance from the middle: ``sigmas`` in pixels along two axes, the first at ``angle``."""
    rows, columns = grid(radius)
    along = (columns * math.cos(angle) + rows * math.sin(angle)) / sigmas[0]
    across = (rows * math.cos(angle) - columns * math.sin(angle)) / sigmas[1]
    squares: np.ndarray = along**2 + across**2
    return squares


def gaussian(radius: int, sigmas: tuple[float, float], angle: float = 0.0) -> np.ndarray:
    """A Gaussian kernel of sum 1, isotropic if both ``sigmas`` are equal.

    >>> gaussian(1, (1.0, 1.0)).sum().round(12).item()
    1.0
    """
    kernel: np.ndarray = np.exp(-0.5 * distance(radius, sigmas, angle))
    kernel /= kernel.sum()
    return kernel


def convolve(image: Tensor, kernel: np.ndarray) -> Tensor:
    """Convolve ``(C, H, W)`` with an odd square kernel, in float64 by numpy's FFT, the edge mirrored.

    numpy computes it in one thread, and so alike on every machine and in every process.
    """
    radius = kernel.shape[0] // 2
    values = image.numpy()
    padded = np.pad(values, ((0, 0), (radius, radius), (radius, radius)), mode="symmetric")
    size = padded.shape[1:]
    spectrum = np.fft.rfft2(padded) * np.fft.rfft2(kernel, size)
    blurred = np.fft.irfft2(spectrum, size)[:, 2 * radius :, 2 * radius :]
    return torch.from_numpy(np.ascontiguousarray(blurred))
