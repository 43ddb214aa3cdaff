"""Pure functions on numpy arrays: the numbers behind `sr.image`, and what enlarges pictures without torch.

Images are ``(..., H, W)``, those with channels ``(N, C, H, W)``.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"

# MATLAB's rgb2ycbcr, first row, for RGB in [0, 1] and luma in 16..235 (ITU-R BT.601, studio swing).
LUMA_BT601 = (65.481, 128.553, 24.966)

# The free parameter of Keys' cubic convolution kernel (Keys 1981); MATLAB uses -0.5, torch -0.75.
_KEYS_A = -0.5

_BLOCK = 32  # output rows or columns that one matrix product resizes: small blocks multiply fewer zeros

# The eight flips and quarter turns of an image, as `dihedral_view` applies them: a code is a sum of these bits.
FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM, SWAP_SIDES = 1, 2, 4  # SWAP_SIDES: rows become columns, after the flips
DIHEDRAL_CODES = range(8)
ROTATIONS = (0, 3, 5, 6)  # the codes that do not mirror: by 0, 180, 90 degrees to the left, 90 to the right
DIHEDRAL_NAMES = {
    1: "mirrored left to right",
    2: "mirrored top to bottom",
    3: "turned by 180 degrees",
    4: "mirrored along its diagonal",
    5: "turned by 90 degrees to the left",
    6: "turned by 90 degrees to the right",
    7: "mirrored along its other diagonal",
}


def dihedral_view(image: Array, code: int) -> Array:
    """`sr.image.dihedral` of an array, as a view of it: nothing is copied."""
    row_step = -1 if code & FLIP_TOP_BOTTOM else 1
    column_step = -1 if code & FLIP_LEFT_RIGHT else 1
    image = image[..., ::row_step, ::column_step]
    return image.swapaxes(-2, -1) if code & SWAP_SIDES else image


def undo_dihedral_view(image: Array, code: int) -> Array:
    """Undo `dihedral_view` of the same code, as a view.

    >>> undo_dihedral_view(dihedral_view(np.array([[1, 2], [3, 4]]), 5), 5).tolist()
    [[1, 2], [3, 4]]
    """
    image = image.swapaxes(-2, -1) if code & SWAP_SIDES else image
    return dihedral_view(image, code & ~SWAP_SIDES)


def gray_array(image: Array) -> Array:
    """`sr.image.gray` of an array: ``(N, 3, H, W)`` in [0, 1] to ``(N, 1, H, W)``; gray is returned unchanged."""
    if image.shape[1] == 1:
        return image
    red, green, blue = (weight / sum(LUMA_BT601) for weight in LUMA_BT601)
    gray: Array = image[:, :1] * red + image[:, 1:2] * green + image[:, 2:] * blue
    return gray


def enlarge_array(image: Array, scale: int) -> Array:
    """`sr.image.resize` of an array by MATLAB's bicubic, ``(..., H, W)`` to ``(..., scale*H, scale*W)``."""
    if scale == 1:
        return image
    height, width = image.shape[-2:]
    rows = [matrix @ image[..., start:stop, :] for start, stop, matrix in _bicubic(height, scale, image.dtype)]
    tall = np.concatenate(rows, axis=-2)
    columns = [tall[..., start:stop] @ matrix.T for start, stop, matrix in _bicubic(width, scale, image.dtype)]
    return np.concatenate(columns, axis=-1)


@lru_cache(maxsize=256)
def _bicubic(length: int, scale: int, dtype: Any) -> list[tuple[int, int, Array]]:
    blocks = band_blocks(length, length * scale, scale, "bicubic", _BLOCK)
    return [(start, stop, matrix.astype(dtype)) for start, stop, matrix in blocks]


def band_blocks(length: int, out_length: int, scale: float, kernel: str, size: int) -> Iterator[tuple[int, int, Array]]:
    """Blocks of ``size`` rows of the matrix that resizes one dimension, see `taps`.

    Yields:
        The first source, the last one + 1, and the weights ``(rows, sources)`` in float64.
    """
    weights, index = taps(length, out_length, scale, kernel)
    for begin in range(0, out_length, size):
        taken, part = index[:, begin : begin + size], weights[:, begin : begin + size]
        start, stop = int(taken.min()), int(taken.max()) + 1
        matrix = np.zeros((stop - start, taken.shape[1]))
        np.add.at(matrix, (taken - start, np.arange(taken.shape[1])), part)
        yield start, stop, matrix.T


def taps(length: int, out_length: int, scale: float, kernel: str) -> tuple[Array, Array]:
    """Weights (taps, out) in float64 and source indices (taps, out) of one resized dimension.

    MATLAB's ``contributions``: pixel centres at i + 0.5, the kernel stretched by 1/scale when shrinking, the edge
    mirrored with the border pixel repeated.

    Args:
        length: of the dimension.
        out_length: of what it becomes.
        scale: factor between them.
        kernel: of ``KERNELS``.
    """
    shape, support = KERNELS[kernel]
    stretch = min(scale, 1.0)
    width = support / stretch
    centre = (np.arange(out_length, dtype=np.float64) + 0.5) / scale - 0.5
    left = np.floor(centre - width / 2)
    positions = left + np.arange(math.ceil(width) + 2, dtype=np.float64)[:, None]
    weights = shape((centre - positions) * stretch)
    weights = weights / weights.sum(axis=0)
    period = 2 * length
    index = positions.astype(np.int64) % period
    index = np.where(index < length, index, period - 1 - index)
    used = (weights != 0).any(axis=1)
    return weights[used], index[used]


def _cubic(x: Array) -> Array:
    """Keys' cubic convolution kernel, equation 4 of the paper with a = -0.5."""
    x = np.abs(x)
    near = ((_KEYS_A + 2) * x - (_KEYS_A + 3)) * x * x + 1
    far = ((_KEYS_A * x - 5 * _KEYS_A) * x + 8 * _KEYS_A) * x - 4 * _KEYS_A
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _lanczos(x: Array) -> Array:
    """Lanczos' kernel with three lobes: sinc(x) sinc(x / 3) for abs(x) below 3."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _box(x: Array) -> Array:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


# Each kernel and the width of its support.
KERNELS: dict[str, tuple[Callable[[Array], Array], float]] = {
    "bicubic": (_cubic, 4.0),
    "lanczos": (_lanczos, 6.0),
    "nearest": (_box, 1.0),
}
