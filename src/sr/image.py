"""Pure tensor functions on images.

Images are ``(N, 3, H, W)`` in [0, 1] unless a docstring says otherwise. Every function is differentiable where
that is meaningful, and keeps the device and dtype of its input.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sr.arrays import FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM, KERNELS, LUMA_BT601, SWAP_SIDES, band_blocks, taps

_LUMA_OFFSET = 16.0

# Output rows or columns that one matrix product resizes. Small blocks multiply fewer zeros: a processor, for which one
# more product costs little, takes half the time.
_BLOCK, _BLOCK_ON_CPU = 128, 32


def quantise(image: Tensor, bits: int = 8) -> Tensor:
    """Clamp to [0, 1] and round to the levels that a file of this many bits can hold, as float.

    >>> quantise(torch.tensor([-0.2, 0.5, 1.7])).mul(255).tolist()
    [0.0, 128.0, 255.0]
    """
    most = 2**bits - 1
    return image.clamp(0, 1).mul(most).round().div(most)


def to_uint8(image: Tensor) -> Tensor:
    """Clamp [0, 1] and round to uint8 0..255, half to even."""
    return image.clamp(0, 1).mul(255).round().to(torch.uint8)


def to_float(image: Tensor) -> Tensor:
    """Map uint8 0..255 or uint16 0..65535 to float32 [0, 1]; floating-point input is returned unchanged."""
    if image.dtype.is_floating_point:
        return image
    return image.to(torch.float32).div(torch.iinfo(image.dtype).max)


def to_levels(image: Tensor, bits: int) -> Tensor:
    """Clamp [0, 1] and round to uint8 or uint16, half to even."""
    return to_uint8(image) if bits == 8 else image.clamp(0, 1).mul(65535).round().to(torch.uint16)


def preview(image: Tensor) -> Tensor:
    """Show any image ``(C, H, W)`` as uint8 RGB: its first three channels, or its first as gray.

    >>> preview(torch.tensor([[[0.5]]])).flatten().tolist()
    [128, 128, 128]
    """
    rgb = image[:3] if image.shape[0] >= 3 else image[:1].expand(3, -1, -1)
    return rgb.contiguous() if rgb.dtype == torch.uint8 else to_uint8(to_float(rgb))


def is_constant(image: Tensor) -> bool:
    """Whether all pixels of ``(C, H, W)`` have one colour.

    >>> is_constant(torch.ones(3, 2, 2)), is_constant(torch.eye(2).expand(3, 2, 2))
    (True, False)
    """
    first = image[:, :1, :1]
    sample = image[:, ::16, ::16]  # cheap, and nearly always enough to tell
    return bool((sample == first).all()) and bool((image == first).all())


def luma(image: Tensor) -> Tensor:
    """MATLAB's ``rgb2ycbcr`` luma: ``(N, 3, H, W)`` in [0, 1] to ``(N, 1, H, W)`` in 16/255..235/255, unrounded.

    Gray ``(N, 1, H, W)`` counts as three equal channels.

    >>> luma(torch.ones(1, 3, 1, 1)).mul(255).item()
    235.0
    """
    return (_weighted_sum(image, LUMA_BT601) + _LUMA_OFFSET) / 255


def shave(image: Tensor, border: int) -> Tensor:
    """Cut ``border`` pixels from each side; 0 returns the image itself."""
    if border == 0:
        return image
    return image[..., border:-border, border:-border]


def crop_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Cut rows at the bottom and columns at the right until both sides divide by ``multiple``."""
    height, width = image.shape[-2:]
    return image[..., : height - height % multiple, : width - width % multiple]


def dihedral(image: Tensor, code: int) -> Tensor:
    """Apply one of the eight flips and quarter turns, see `DIHEDRAL_NAMES`; 0 is the identity.

    Args:
        image: ``(..., H, W)``.
        code: from 0 to 7, a sum of ``FLIP_LEFT_RIGHT``, ``FLIP_TOP_BOTTOM`` and ``SWAP_SIDES``.

    Returns:
        ``(..., H, W)``, or ``(..., W, H)`` where the code swaps the sides.

    >>> dihedral(torch.tensor([[1, 2], [3, 4]]), FLIP_LEFT_RIGHT).tolist()
    [[2, 1], [4, 3]]
    """
    dims = [dim for bit, dim in ((FLIP_LEFT_RIGHT, -1), (FLIP_TOP_BOTTOM, -2)) if code & bit]
    image = image.flip(dims) if dims else image
    return image.transpose(-2, -1) if code & SWAP_SIDES else image


def undo_dihedral(image: Tensor, code: int) -> Tensor:
    """Undo `dihedral` of the same code.

    >>> undo_dihedral(dihedral(torch.tensor([[1, 2], [3, 4]]), 5), 5).tolist()
    [[1, 2], [3, 4]]
    """
    image = image.transpose(-2, -1) if code & SWAP_SIDES else image
    return dihedral(image, code & ~SWAP_SIDES)


def gray(image: Tensor) -> Tensor:
    """Full-range gray value: ``(N, 3, H, W)`` in [0, 1] to ``(N, 1, H, W)`` in [0, 1]; equal channels keep their value.

    Gray ``(N, 1, H, W)`` is returned unchanged.

    >>> gray(torch.full((1, 3, 1, 1), 0.5)).item()
    0.5
    """
    if image.shape[1] == 1:
        return image
    return _weighted_sum(image, [weight / sum(LUMA_BT601) for weight in LUMA_BT601])


def _weighted_sum(image: Tensor, weights: Sequence[float]) -> Tensor:
    """``(N, 3, H, W)``, or gray, to ``(N, 1, H, W)``; by numbers: a tensor of them would be copied to the device."""
    red, green, blue = image.expand(-1, 3, -1, -1).split(1, dim=1)
    weighted: Tensor = red * weights[0] + green * weights[1] + blue * weights[2]
    return weighted


def resize(image: Tensor, scale: float, kernel: str = "bicubic") -> Tensor:
    """Resize by MATLAB's ``imresize(image, scale, kernel)``, antialiased when it shrinks.

    Args:
        image: ``(..., H, W)``, any real floating dtype; float64 agrees with MATLAB to 1e-12.
        scale: factor of the sides; sizes become ``ceil(H * scale)``, ``ceil(W * scale)``.
        kernel: ``bicubic``, ``lanczos`` (three lobes) or ``nearest``, which repeats pixels when a whole ``scale``
            enlarges, and averages a box when it shrinks.

    Returns:
        ``(..., H', W')`` of the same dtype, neither clamped nor rounded: bicubic overshoots at edges.

    Raises:
        ValueError: if ``scale`` is not positive, or for an unknown kernel.
    """
    if not scale > 0:
        raise ValueError(f"resize needs a positive scale, got {scale}")
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    if scale == 1:
        return image
    if torch.compiler.is_exporting() and kernel == "bicubic" and scale == int(scale):
        return _enlarge_any_size(image, int(scale))
    return _resize_dim(_resize_dim(image, -2, scale, kernel), -1, scale, kernel)


def _resize_dim(image: Tensor, dim: int, scale: float, kernel: str) -> Tensor:
    """Multiply by a banded matrix, a block of its rows at a time, so that the cost per pixel is constant."""
    length = image.shape[dim]
    blocks = []
    for start, stop, matrix in _bands(length, math.ceil(length * scale), scale, kernel, image.dtype, image.device):
        part = image[..., start:stop, :] if dim == -2 else image[..., start:stop]
        with torch.autocast(image.device.type, enabled=False):  # bfloat16 would round an image to about 7 bits
            blocks.append(matrix @ part if dim == -2 else part @ matrix.T)
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim)


def _enlarge_any_size(image: Tensor, scale: int) -> Tensor:
    """Bicubic enlargement of ``(N, C, H, W)`` as a graph that does not depend on H and W, both 2 or more.

    Every ``scale``-th output pixel has the same position relative to the input pixels, and so the same weights: each of
    these ``scale`` phases is one filter of a convolution.
    """
    weights, index = taps(8, 8 * scale, scale, "bicubic")
    middle = slice(4 * scale, 5 * scale)  # of pixel 4, far from the borders
    phases = np.zeros((scale, 5))
    np.add.at(phases, (np.arange(scale), index[:, middle] - 2), weights[:, middle])
    filters = torch.tensor(phases.tolist(), dtype=image.dtype, device=image.device)
    batch, channels = image.shape[:2]
    for dim, shape in ((2, (scale, 1, 5, 1)), (3, (scale, 1, 1, 5))):
        height, width = image.shape[2:]
        before, after = image.narrow(dim, 0, 2).flip(dim), image.narrow(dim, image.shape[dim] - 2, 2).flip(dim)
        planes = torch.cat([before, image, after], dim).flatten(0, 1).unsqueeze(1)
        enlarged = torch.nn.functional.conv2d(planes, filters.view(shape))  # (N*C, scale, H, W)
        order = (0, 2, 1, 3) if dim == 2 else (0, 2, 3, 1)
        size = (height * scale, width) if dim == 2 else (height, width * scale)
        image = enlarged.permute(order).reshape(batch, channels, *size)
    return image


def keep_out_of_graphs() -> None:
    """Have torch.compile call `resize` as it is, instead of tracing how its matrices are computed."""
    global _resize_dim
    _resize_dim = torch.compiler.disable(_resize_dim)  # a decorator would import the whole compiler


@contextmanager
def resizing_skipped() -> Iterator[None]:
    """Let `resize` return zeros of the right size, while what else a network computes is counted."""
    global _resize_dim

    def zeros(image: Tensor, dim: int, scale: float, kernel: str) -> Tensor:
        size = list(image.shape)
        size[dim] = math.ceil(size[dim] * scale)
        return image.new_zeros(size)

    before, _resize_dim = _resize_dim, zeros
    try:
        yield
    finally:
        _resize_dim = before


@lru_cache(maxsize=256)
@torch.inference_mode(mode=False)  # the cached matrices are used in training, where inference tensors are refused
def _bands(
    length: int, out_length: int, scale: float, kernel: str, dtype: torch.dtype, device: torch.device
) -> list[tuple[int, int, Tensor]]:
    """Blocks of rows of the matrix that resizes one dimension: (first source, last source + 1, (rows, sources))."""
    size = _BLOCK_ON_CPU if device.type == "cpu" else _BLOCK
    blocks = band_blocks(length, out_length, scale, kernel, size)
    return [(start, stop, torch.from_numpy(matrix).to(device, dtype)) for start, stop, matrix in blocks]
