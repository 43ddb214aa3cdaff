"""Resize to any size as image libraries do, without a shift, in numpy.

Pixel centres are at i + 0.5, and the first and the last border of the image stay where they are, whatever the size:
several resizes in a row shift nothing. Every sum is over a few whole rows or columns in a fixed order, in one thread,
so that the result does not depend on the number of threads.
"""

from functools import lru_cache

import numpy as np

AREA, BILINEAR, BICUBIC = "area", "bilinear", "bicubic"

_A = -0.75  # of Keys' kernel, as in OpenCV and torch; MATLAB uses -0.5


def resampled(values: np.ndarray, size: tuple[int, int], kind: str) -> np.ndarray:
    """Resize ``(C, H, W)`` to ``size``, rows and columns.

    Args:
        values: float32 or float64.
        size: of the result, at least 1 each.
        kind: ``area``, the mean over the area that a pixel covers; ``bilinear`` or ``bicubic`` (a = -0.75), both
            without antialiasing, which blur nothing when they shrink.

    Returns:
        ``(C, *size)`` of the same type, not clamped: ``bicubic`` overshoots at edges.
    """
    for axis, length in zip((1, 2), size, strict=True):
        if values.shape[axis] != length:
            values = _along(values, axis, length, kind)
    return values


def reach(kind: str, factor: float) -> float:
    """How many pixels away an output pixel looks, in pixels of the image that is resized by a factor."""
    return {AREA: 0.5 / factor + 1, BILINEAR: 1.0, BICUBIC: 2.0}[kind]


def _along(values: np.ndarray, axis: int, length: int, kind: str) -> np.ndarray:
    weights, indices = _taps(values.shape[axis], length, kind)
    shape = (1, -1, 1) if axis == 1 else (1, 1, -1)
    total: np.ndarray | None = None
    for weight, index in zip(weights.astype(values.dtype), indices, strict=True):
        part = values.take(index, axis)
        part *= weight.reshape(shape)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


@lru_cache(maxsize=256)
def _taps(length: int, out_length: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights and source indices of one dimension, each ``(taps, out_length)``; the edge is repeated."""
    step = length / out_length
    centre = (np.arange(out_length) + 0.5) * step - 0.5
    if kind == AREA:
        half = step / 2
        first = np.floor(centre - half + 0.5)
        positions = first + np.arange(int(np.ceil(step)) + 1)[:, None]
        covered = np.minimum(positions + 0.5, centre + half) - np.maximum(positions - 0.5, centre - half)
        weights = np.clip(covered, 0, None)
    else:
        support = 1 if kind == BILINEAR else 2
        positions = np.floor(centre) + np.arange(1 - support, support + 1)[:, None]
        away = np.abs(centre - positions)
        weights = np.clip(1 - away, 0, None) if kind == BILINEAR else _keys(away)
    weights = weights / weights.sum(axis=0)
    used = (weights != 0).any(axis=1)
    return weights[used], np.clip(positions, 0, length - 1).astype(np.intp)[used]


def _keys(away: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel (1981, equation 4)."""
    near = ((_A + 2) * away - (_A + 3)) * away**2 + 1
    far = ((_A * away - 5 * _A) * away + 8 * _A) * away - 4 * _A
    return np.where(away <= 1, near, np.where(away < 2, far, 0.0))
