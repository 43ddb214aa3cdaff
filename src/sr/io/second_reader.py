"""No decoder is believed unchecked: what a second one sees of the same file has to agree."""

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from sr.io.bounded import Pixels

ORIENTATION = 274  # tag of TIFF

_GRID = 64  # samples a side that two readers must agree on
_TOLERANCE = 2  # levels of 255 by which they may differ


def check_same(pixels: Pixels, other: Image.Image, *, inverted: bool = False, wraps: bool = False) -> None:
    """Check that another reader sees the same picture: its size, and a coarse grid of its pixels.

    Args:
        pixels: ``(H, W, C)``, gray or RGB, with or without alpha.
        other: what the other reader sees, which is decoded here.
        inverted: whether the other reader takes black for white.
        wraps: whether the other reader may see black where values are highest.

    Raises:
        ValueError: if it sees another picture.
    """
    height, width, channels = pixels.shape
    place = np.ix_(*(np.linspace(0, side - 1, min(side, _GRID)).astype(int) for side in (height, width)))
    other_pixels = _view(other, channels)
    if other_pixels.shape[:2] != (height, width):  # Pillow has applied the orientation
        raise ValueError("two readers see different sizes in it")
    seen, also = _eight(pixels[place]).astype(np.float32), other_pixels[place].astype(np.float32)
    if not wraps:
        seen, also = _opaque(seen), _opaque(also)
    difference = np.abs(seen - (255 - also if inverted else also)) if seen.shape == also.shape else np.array(255)
    if (np.minimum(difference, 256 - difference) if wraps else difference).max() > _TOLERANCE:
        raise ValueError("two readers see different pictures in it")


def _view(image: Image.Image, channels: int) -> npt.NDArray[np.uint8]:
    """The other reader's picture, as stored, with as many channels and 8 bits."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        image.tag_v2.pop(ORIENTATION, None)  # else Pillow turns it while it decodes
        image.info.pop("xmp", None)
        image.getexif().pop(ORIENTATION, None)
    if image.mode.startswith("I"):
        return _eight(np.asarray(image).astype(np.uint16)[..., None])
    seen = np.asarray(image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]))
    return seen if seen.ndim == 3 else seen[..., None]


def _eight(pixels: Pixels) -> npt.NDArray[np.uint8]:
    return (pixels >> 8).astype(np.uint8) if pixels.itemsize == 2 else pixels.astype(np.uint8)


def _opaque(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Colours times alpha, and alpha: colours under alpha 0 say nothing."""
    if values.shape[2] in (2, 4):
        values[..., :-1] *= values[..., -1:] / 255
    return values
