"""Decode image files to tensors."""

import io
import logging
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from sr.errors import UserError, line_of
from sr.io.bounded import Pixels, UnreadKindError
from sr.io.decoders import has_several_frames, open_decoder, remaining_orientation, upright

if TYPE_CHECKING:  # pictures are read without torch
    from torch import Tensor

SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".tga"),
        *(".avif", ".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
MAX_PIXELS = 200_000_000  # 600 MB once decoded; a file of a few kilobytes may claim to have more

# Pillow warns of oddities in a file, but all that matters is whether it can be decoded. Set once for Pillow's modules,
# since `warnings.catch_warnings` is not thread-safe: used in decoding threads, it can silence the whole process.
warnings.filterwarnings("ignore", module=r"PIL\.")
for _name in ("PIL.TiffImagePlugin", "tifffile"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # they also raise what they log

SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_GRAY_MODES = frozenset({"1", "L", "LA", *SIXTEEN_BIT_MODES})
_FIRST_ON_ITS_SIDE = 5  # EXIF orientation: those from here to the last, 8, swap height and width
_SIXTEEN_TO_EIGHT = 257  # 65535 / 255

# Properties of a file that are lost or converted in its tensor.
TRAITS = TRANSPARENT, PALETTE, COLOUR_SPACE, SIXTEEN_BITS, LEFT_OUT, TURNED, FRAMES = (
    "transparent",
    "palette",
    "colour space",
    "16 bits",
    "left out",
    "EXIF orientation",
    "several frames",
)


class ImageFileError(UserError):
    """A file that cannot be read as an image; the message names the file and the reason."""


def read_image(path: Path) -> "Tensor":
    """Decode a file to uint8 RGB ``(3, H, W)``, upright.

    EXIF orientation is applied; gray is repeated on three channels; palettes are looked up; alpha is dropped, colours
    stay as stored; CMYK and other colour spaces are converted by Pillow without a profile; 16-bit gray is divided by
    257 and rounded, 16-bit colour keeps its high byte, as Pillow decodes it; of an animation the first frame is read.
    Floating-point images are refused, since their range is unknown.

    Raises:
        ImageFileError: if the file cannot be opened, is not an image, is truncated, too large, or floating point.
    """
    return _tensor(_read(path, lambda *_: [])[0])


def read_with_traits(path: Path) -> "tuple[Tensor, list[str]]":
    """As `read_image`, with those of ``TRAITS`` that the file has."""
    pixels, traits = _read(path, _traits)
    return _tensor(pixels), traits


def _read(path: Path, find_traits: "Callable[[Image.Image, Header, bool], list[str]]") -> tuple[Pixels, list[str]]:
    if path.suffix.lower() not in SUFFIXES:
        raise ImageFileError(f"{path}: not an image file ({', '.join(sorted(SUFFIXES))}): move it elsewhere")
    with opened(path, str(path)) as file:
        header = header_of(file)  # loading changes it, and the orientation of TIFF
        applied = remaining_orientation(file)
        file.load()
        orientation = remaining_orientation(file)
        traits = find_traits(file, header, max(applied, orientation) > 1)
        return upright(_to_rgb(file, path), orientation), traits


def _tensor(pixels: Pixels) -> "Tensor":
    """``(H, W, C)`` as ``(C, H, W)``."""
    import torch

    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _traits(file: Image.Image, header: "Header", turned: bool) -> list[str]:
    is_present = {
        TRANSPARENT: file.has_transparency_data and np.asarray(file.convert("RGBA"))[..., 3].min() < 255,
        PALETTE: header.mode in ("P", "PA"),
        COLOUR_SPACE: header.mode in ("CMYK", "LAB", "YCbCr", "HSV"),
        SIXTEEN_BITS: header.is_deep,
        LEFT_OUT: bool(note_of(file)),
        TURNED: turned,
        FRAMES: header.has_frames,
    }
    return [trait for trait in TRAITS if is_present[trait]]


def image_size(path: Path) -> tuple[int, int]:
    """Height and width from the header, as stored; (0, 0) for a file without a readable header."""
    try:
        with opened(path, str(path)) as file:
            return file.height, file.width
    except ImageFileError:  # `read_image` reports the reason
        return 0, 0


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width as `read_image` returns them, by the header; (0, 0) for a file without a readable one.

    The orientation of a PNG that stores it behind its pixels is not known from the header.
    """
    try:
        with opened(path, str(path)) as file:
            is_turned = remaining_orientation(file) >= _FIRST_ON_ITS_SIDE
            return (file.width, file.height) if is_turned else (file.height, file.width)
    except ImageFileError:  # `read_image` reports the reason
        return 0, 0


class Header(NamedTuple):
    """What the header of a file says: Pillow's mode, whether it has 16 bits, and several frames or pages."""

    mode: str
    is_deep: bool
    has_frames: bool

    @property
    def is_gray(self) -> bool:
        """Whether it has a single channel, apart from alpha."""
        return self.mode in _GRAY_MODES


def header_of(file: ImageFile.ImageFile) -> Header:
    """The header of an opened file; Pillow's mode tells the depth of gray alone, its tiles that of colours."""
    tiles = str(file.tile)
    is_deep = file.mode in SIXTEEN_BIT_MODES or ";16" in tiles
    mode = "LA" if "LA;16" in tiles else file.mode  # Pillow opens gray of 16 bits with alpha as RGBA
    return Header(mode, getattr(file, "is_deep", is_deep), has_several_frames(file))


def note_of(file: Image.Image) -> str:
    """What is lost in reading a file of a format that is not read completely; empty if nothing."""
    return str(getattr(file, "note", ""))


def read_header(path: Path) -> Header | None:
    """The header of a file; None if it cannot be read."""
    try:
        with opened(path, str(path)) as file:
            return header_of(file)
    except ImageFileError:  # `read_image` reports the reason
        return None


def is_gray(path: Path) -> bool:
    """Whether a file has a single channel, by its header; False if it cannot be read."""
    header = read_header(path)
    return header is not None and header.is_gray


@contextmanager
def opened(
    source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS, advice: str = ""
) -> Iterator[ImageFile.ImageFile]:
    """Open an image without decoding its pixels; errors of decoders inside the ``with`` block become `ImageFileError`.

    Args:
        source: a path, or the file's content.
        name: name of the image in errors.
        max_pixels: refuse larger images.
        advice: text added to the error for an image that is too large.

    Raises:
        ImageFileError: if it is not a regular file, not an image, damaged, empty or too large.
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
        except UnreadKindError as error:
            raise ImageFileError(f"{name}: {error}") from error
        except Exception as error:  # decoders raise all kinds of errors on damaged files
            raise ImageFileError(f"{name}: cannot be read as an image ({line_of(error)}): replace the file") from error


def regular_file(path: Path, name: str) -> IO[bytes]:
    """Open a regular file; pipes and devices could block forever.

    Raises:
        ImageFileError: if it is not a regular file, or cannot be opened.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImageFileError(f"{name}: is not a regular file: copy its content into one")
        return path.open("rb")
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise ImageFileError(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def to_pil(image: "Tensor") -> Image.Image:
    """Convert uint8 ``(3, H, W)`` to a Pillow image."""
    return Image.fromarray(image.cpu().permute(1, 2, 0).numpy())


def from_pil(image: Image.Image) -> "Tensor":
    """Convert an RGB Pillow image to uint8 ``(3, H, W)``."""
    return _tensor(np.array(image))


def _to_rgb(image: Image.Image, path: Path) -> Pixels:
    if image.mode in SIXTEEN_BIT_MODES:
        gray = np.asarray(image, dtype=np.float64).clip(0, 65535) / _SIXTEEN_TO_EIGHT
        return np.repeat(gray.round().astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise ImageFileError(f"{path}: is a floating-point image of unknown range: save it with 8 or 16 bits")
    return np.array(image.convert("RGB"))
