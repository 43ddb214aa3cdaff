"""From a source to a pair of images: decode, crop, derive the low-resolution image, rotate."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr.data.degrade.base import Degradation, full_key, generator, name_of
from sr.data.degrade.bicubic import BICUBIC
from sr.data.degrade.pillow import Pillow
from sr.data.sources import Source
from sr.errors import UserError
from sr.image import crop_to_multiple, resize, to_float, to_levels
from sr.io.images import from_pil, image_size, to_pil
from sr.io.pixel_formats import RGB8, PixelFormat, read_pixels
from sr.terms import SHARPENS

_NAMED = 2  # folders in a line
_LONGEST_KEY = 80  # of a degradation, in a line

MIN_SIDE = 11  # the window of SSIM
DEGRADED_BY = 23  # default seed of images that are degraded once


def describe_degradation(
    sources: Sequence[Source],
    scale: int,
    factors: Sequence[int],
    shrink: int,
    pixels: PixelFormat = RGB8,
    degradation: Degradation = BICUBIC,
) -> str:
    """Say how the low-resolution images are made, their scale, and their format unless it is RGB of 8 bits.

    >>> describe_degradation([], 2, (), 2)
    "x2, low resolution by MATLAB's bicubic"
    """
    text = _describe_degradation(sources, scale, factors, shrink, degradation)
    return f"{text}; {pixels}" if str(pixels) else text


def _describe_degradation(
    sources: Sequence[Source], scale: int, factors: Sequence[int], shrink: int, degradation: Degradation
) -> str:
    is_default = degradation == BICUBIC
    by = "by MATLAB's bicubic" if is_default else f"by {_brief(degradation)}"
    if factors:
        return f"{', '.join(f'x{factor}' for factor in factors)} in one network, low resolution {by}"
    derived = by if scale > 1 else f"shrunk and enlarged by {shrink}" + ("" if is_default else f", {by}")
    folders = {_low_folder(source) for source in sources if source.lr}
    if folders:
        place = f"from {' and '.join(f'{folder}/' for folder in sorted(folders))}"
        if len(folders) > _NAMED:
            place = f"from {len(folders)} folders"
        has_all = all(source.lr is not None for source in sources)
        derived = place if has_all else f"{place} or, where it has none, {derived}"
    return f"x{scale}, low resolution {derived}" if scale > 1 else f"{SHARPENS}; input {derived}"


def _brief(degradation: Degradation) -> str:
    """Its key, or its name alone if there are many settings."""
    key = full_key(degradation)
    return key if len(key) <= _LONGEST_KEY else f"{name_of(degradation)}(...)"


def _low_folder(source: Source) -> str:
    """The folder of the low resolution, as a path from the parent of that of the high resolution if it is below it."""
    assert source.lr
    low, base = source.lr.parent, source.hr.parent.parent
    return low.relative_to(base).as_posix() if low.is_relative_to(base) else low.as_posix()


def check_is_degraded(sources: Sequence[Source], degradation: Degradation) -> None:
    """Refuse a degradation that would be ignored, since every image has a file of low resolution.

    Raises:
        UserError: for any but the default.
    """
    if degradation != BICUBIC and sources and all(source.lr for source in sources):
        raise UserError(
            f"{sources[0].lr}: degrade={name_of(degradation)} would be ignored, since every image has a "
            "file of low resolution: name the high resolution alone, data.high_res=DIR data.root=null"
        )


def stored_size(source: Source) -> tuple[int, int]:
    """Height and width of what a source shows of its file, before it is shrunk or rotated, as `image_size` tells."""
    if source.box:
        left, top, right, bottom = source.box
        return bottom - top, right - left
    return image_size(source.hr)


def is_too_small(source: Source, scale: int) -> bool:
    """Whether `load_pair` would refuse an image for its size, by its header; not one without a readable header."""
    sides = [side * source.size for side in stored_size(source)]
    height, width = (math.ceil(side) // (source.factor or scale) * (source.factor or scale) for side in sides)
    if source.rotated and not min(height, width) < MIN_SIDE:
        height = width = _rotated_side(height // scale, width // scale) * scale
    return bool(sides[0]) and min(height, width) < MIN_SIDE


def load_pair(
    source: Source,
    scale: int,
    shrink: int,
    pixels: PixelFormat = RGB8,
    degradation: Degradation = BICUBIC,
    seed: int = DEGRADED_BY,
) -> tuple[Tensor, Tensor]:
    """Decode a source to ``lr`` ``(C, h, w)`` and ``hr`` ``(C, scale*h, scale*w)``, uint8 or uint16 as ``pixels`` says.

    Without a low-resolution file, ``lr`` is derived from the whole image, once, by a degradation whose random numbers
    depend on ``seed`` and the name of the image, and rounded as well: see `derive_lr`.

    Raises:
        ImageFileError: for a file that cannot be read.
        UserError: for an image smaller than the window of SSIM, or sizes that do not fit the scale.
    """
    image = read_pixels(source.hr, pixels)
    if source.box:
        left, top, right, bottom = source.box
        image = image[:, top:bottom, left:right].contiguous()
    if source.size != 1:
        image = to_levels(resize(to_float(image).double()[None], source.size)[0], pixels.bits)
    hr = crop_to_multiple(image, source.factor or scale)
    height, width = image.shape[1:]
    if min(hr.shape[1:]) < MIN_SIDE:
        advice = "remove it" if source.size == 1 else f"leave {source.size:g} out of data.augment.sizes"
        raise UserError(f"{source.hr}: {width}x{height} pixels, at least {MIN_SIDE} a side are needed: {advice}")
    if source.rotated and _rotated_side(hr.shape[1] // scale, hr.shape[2] // scale) * scale < MIN_SIDE:
        raise UserError(f"{source.hr}: {width}x{height} pixels are too few to rotate: set data.augment.rotate45=false")
    if source.factor:
        hr = rotate45(hr, source.factor) if source.rotated else hr
        return derive_lr(hr, scale, source.factor, degradation, generator(seed, source.name), enlarge=True), hr
    if source.lr is None:
        hr = rotate45(hr, scale) if source.rotated else hr
        return derive_lr(hr, scale, shrink, degradation, generator(seed, source.name)), hr
    lr = read_pixels(source.lr, pixels)
    if (lr.shape[1] * scale, lr.shape[2] * scale) != hr.shape[1:]:
        raise UserError(
            f"{source.lr}: {lr.shape[2]}x{lr.shape[1]} pixels do not fit {source.hr.name} of {width}x{height} at "
            f"scale={scale}: set scale to the factor between the two, or fix the pair"
        )
    return (rotate45(lr, 1), rotate45(hr, scale)) if source.rotated else (lr, hr)


def derive_lr(
    hr: Tensor,
    scale: int,
    shrink: int,
    degradation: Degradation = BICUBIC,
    random: np.random.Generator | None = None,
    *,
    enlarge: bool = False,
) -> Tensor:
    """Degrade an image whose sides are multiples of ``scale``, and round the result.

    At scale 1 it is degraded by ``shrink`` and enlarged again by MATLAB's bicubic; but for ``bicubic``, the default,
    and ``pillow``, Pillow does both, as in the origin project, unless ``enlarge`` is set (``data.scales``).

    Args:
        hr: uint8 or uint16 ``(C, H, W)``.
        scale: factor between the sides of hr and lr.
        shrink: for scale 1, by how much to degrade.
        degradation: makes the low resolution.
        random: what it draws from.
        enlarge: whether to use the degradation and MATLAB's bicubic at scale 1 in any case.

    Returns:
        ``(C, H / scale, W / scale)`` of the same type.
    """
    bits = 8 * hr.element_size()
    random = random or generator(DEGRADED_BY)
    if scale > 1:
        return to_levels(degradation(to_float(hr).double(), scale, random), bits)
    if not enlarge and (degradation == BICUBIC or isinstance(degradation, Pillow)):
        return _by_pillow(hr, lambda image: _shrunk_and_enlarged(image, shrink))
    height, width = hr.shape[1:]
    padded = np.pad(hr.numpy(), ((0, 0), (0, -height % shrink), (0, -width % shrink)), mode="symmetric")
    small = to_levels(degradation(to_float(torch.from_numpy(padded)).double(), shrink, random), bits)
    enlarged = resize(to_float(small).double()[None], shrink)[0, :, :height, :width]
    return to_levels(enlarged, bits)


def _shrunk_and_enlarged(image: Image.Image, shrink: int) -> Image.Image:
    small = (max(1, image.width // shrink), max(1, image.height // shrink))
    return image.resize(small, Image.Resampling.BICUBIC).resize(image.size, Image.Resampling.BICUBIC)


def _by_pillow(image: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Let Pillow change a uint8 or uint16 image ``(C, H, W)``: RGB of 8 bits as a whole, others by channel."""
    if image.dtype == torch.uint8 and image.shape[0] == 3:
        return from_pil(change(to_pil(image)))
    values = np.stack([np.asarray(change(Image.fromarray(plane))) for plane in image.numpy().astype(np.float32)])
    return torch.from_numpy(values).round().clamp(0, torch.iinfo(image.dtype).max).to(image.dtype)


def rotate45(image: Tensor, scale: int) -> Tensor:
    """Rotate uint8 or uint16 ``(C, H, W)`` by 45 degrees and crop the largest centred square without empty corners.

    The size is chosen so that rotating an image ``scale`` times smaller shows the same area.
    """
    height, width = image.shape[1] // scale, image.shape[2] // scale
    side = _rotated_side(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    rotated = _by_pillow(image, lambda picture: picture.rotate(45, Image.Resampling.BICUBIC))
    return rotated[:, top * scale : (top + side) * scale, left * scale : (left + side) * scale].contiguous()


def _rotated_side(height: int, width: int) -> int:
    """Side of the largest centred square inside a rectangle rotated by 45 degrees.

    The diagonal of the square, s * sqrt(2), equals the shorter side of the rectangle. One pixel at each side is left
    out, where the bicubic kernel would extend beyond the edge.
    """
    return int(min(height, width) / 2**0.5) - 2
