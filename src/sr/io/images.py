"""The one place that turns image files into tensors."""

import io
import logging
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor

from sr.errors import UserError, line_of
from sr.io.decoders import Pixels, has_several_frames, open_decoder, remaining_orientation, upright

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
MAX_PIXELS = 200_000_000  # of an input: 600 MB; a file of a few kilobytes may claim to hold more

# Pillow warns of what is odd in a file; what counts is whether it can be decoded. Set once, for Pillow's modules alone:
# `warnings.catch_warnings` is not thread-safe, and in decoding threads leaves every warning of the process ignored.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # it raises what it logs

SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_GRAY_MODES = frozenset({"1", "L", "LA", *SIXTEEN_BIT_MODES})
_SIXTEEN_TO_EIGHT = 257  # 65535 / 255

# What a file may have that its tensor has not.
TRAITS = TRANSPARENT, PALETTE, COLOUR_SPACE, SIXTEEN_BITS, TURNED, FRAMES = (
    "transparent",
    "palette",
    "colour space",
    "16 bits",
    "EXIF orientation",
    "several frames",
)


class ImageFileError(UserError):
    """A file that cannot be read as an image; the message names it and says why."""


def read_image(path: Path) -> Tensor:
    """Decode a file to uint8 RGB ``(3, H, W)``, upright.

    The rule for what is not 8-bit RGB: EXIF orientation is applied; gray is repeated on three channels; palettes are
    looked up; alpha is dropped, colours stay as stored; CMYK and other colour spaces are converted by Pillow without
    a profile; 16-bit gray is divided by 257 and rounded, 16-bit colour keeps its high byte (Pillow decodes it so); of
    an animation the first frame is read. Floating-point images are refused: their range is not known.

    Raises:
        ImageFileError: if the file cannot be opened, is not an image, is cut off, too large, or floating point.
    """
    return _read(path, lambda *_: [])[0]


def read_with_traits(path: Path) -> tuple[Tensor, list[str]]:
    """`read_image`, and which of ``TRAITS`` the file has: what was converted or lost."""
    return _read(path, _traits)


def _read(path: Path, look: Callable[[Image.Image, str, bool], list[str]]) -> tuple[Tensor, list[str]]:
    if path.suffix.lower() not in SUFFIXES:
        raise ImageFileError(f"{path}: not an image file ({', '.join(sorted(SUFFIXES))}): move it elsewhere")
    with opened(path, str(path)) as file:
        tiles = str(file.tile)  # gone once it is loaded, as is the orientation of TIFF
        applied = remaining_orientation(file)
        file.load()
        orientation = remaining_orientation(file)
        traits = look(file, tiles, max(applied, orientation) > 1)
        pixels = upright(_to_rgb(file, path), orientation)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), traits


def _traits(file: Image.Image, tiles: str, turned: bool) -> list[str]:
    has = {
        TRANSPARENT: file.has_transparency_data and np.asarray(file.convert("RGBA"))[..., 3].min() < 255,
        PALETTE: file.mode in ("P", "PA"),
        COLOUR_SPACE: file.mode in ("CMYK", "LAB", "YCbCr", "HSV"),
        SIXTEEN_BITS: file.mode in SIXTEEN_BIT_MODES or ";16" in tiles,
        TURNED: turned,
        FRAMES: has_several_frames(file),
    }
    return [trait for trait in TRAITS if has[trait]]


def image_size(path: Path) -> tuple[int, int]:
    """Height and width from the header, as stored; (0, 0) for a file without a readable header."""
    try:
        with opened(path, str(path)) as file:
            return file.height, file.width
    except ImageFileError:  # read_image will say what is wrong with it
        return 0, 0


def is_gray(path: Path) -> bool:
    """Whether a file holds one channel, by its header; False where it cannot be read."""
    try:
        with opened(path, str(path)) as file:
            return file.mode in _GRAY_MODES
    except ImageFileError:  # read_image will say what is wrong with it
        return False


@contextmanager
def opened(
    source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS, advice: str = ""
) -> Iterator[ImageFile.ImageFile]:
    """Open a picture, of which nothing is decoded yet; whatever a decoder raises inside becomes one line.

    Args:
        source: a path, or the file's content.
        name: what errors call it.
        max_pixels: refuse larger ones.
        advice: what to do about one that is too large.

    Raises:
        ImageFileError: if it is no regular file, no image, damaged, empty or too large.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else regular_file(source, name) as content:
        try:
            with open_decoder(content) as file:
                if not 0 < file.width * file.height <= max_pixels:
                    raise ImageFileError(
                        f"{name}: has {file.width}x{file.height} pixels, more than the {max_pixels} allowed{advice}"
                        if file.width * file.height
                        else f"{name}: has no pixels: replace the file"
                    )
                yield file
        except UserError:
            raise
        except Exception as error:  # decoders of damaged files raise all kinds of errors
            raise ImageFileError(f"{name}: cannot be read as an image ({line_of(error)}): replace the file") from error


def regular_file(path: Path, name: str) -> IO[bytes]:
    """Open a file, but no pipe that nobody may ever write to, and no device that never ends.

    Raises:
        ImageFileError: if it is none, or cannot be opened.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImageFileError(f"{name}: is no regular file: copy its content into one")
        return path.open("rb")
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise ImageFileError(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def to_pil(image: Tensor) -> Image.Image:
    """Uint8 ``(3, H, W)`` to a Pillow image."""
    return Image.fromarray(image.cpu().permute(1, 2, 0).numpy())


def from_pil(image: Image.Image) -> Tensor:
    """An RGB Pillow image to uint8 ``(3, H, W)``."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _to_rgb(image: Image.Image, path: Path) -> Pixels:
    if image.mode in SIXTEEN_BIT_MODES:
        gray = np.asarray(image, dtype=np.float64).clip(0, 65535) / _SIXTEEN_TO_EIGHT
        return np.repeat(gray.round().astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise ImageFileError(f"{path}: is a floating-point image of unknown range: save it with 8 or 16 bits")
    return np.array(image.convert("RGB"))
